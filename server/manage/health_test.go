package manage

import (
	"net/http"
	"strings"
	"testing"
)

const systemJSON = `{"version": "1.2.3", "go": "go1.26.0", "started_at": "2026-03-09T08:00:00Z", "time": "2026-03-09T11:12:40Z", "address": null, "store": "sqlite", "parts": [
	{"name": "store", "status": "ok", "message": "All is kept."},
	{"name": "policy", "status": "warning", "message": "Mend the file.", "details": {"loaded_at": "2026-03-09T08:00:00Z", "reload_error": "line 3: <b>"}},
	{"name": "certificate", "status": "off", "message": "Plain HTTP."}]}`

func TestHealthShowsEachPartTheWorstFirst(t *testing.T) {
	page := newDesk(t, map[string]any{"GET /v1/auth/system": systemJSON}).admin().get("health").want(http.StatusOK,
		`id="health" data-live`, "1 part needs a look.", "Mend the file.", "Reload error", "line 3: &lt;b&gt;", `<details id="part-policy">`, `href="/gate/_portal/policy"`,
		"Not in use", "3 hours", "as each browser knows it", "sqlite", "wavegate 1.2.3 · go1.26.0", "/gate/v1/auth/system",
	)
	if strings.Index(page.Body, "Mend the file.") > strings.Index(page.Body, "All is kept.") {
		t.Error("what is well comes first")
	}
}
