package manage

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/fault"
)

const (
	auditJSON = `{"entries": [
		{"seq": 4711, "at": "2026-03-09T08:12:40.5Z", "actor": "sub:local|ann", "method": "session", "ip": "203.0.113.7", "request_id": "5f0c", "action": "key.create",
			"target": "key_1", "owner": "sub:local|ann", "outcome": "ok", "details": {"name": "build server", "prefix": "wave_live_0a"}, "count": 1, "hash": "9c1e", "hash_by": "17fa"},
		{"seq": 4710, "at": "2026-03-09T08:12:40Z", "actor": "", "method": "", "ip": "198.51.100.23", "request_id": "6e1d", "action": "credential.refused",
			"target": "", "owner": "", "outcome": "invalid_api_key", "details": {"method": "GET", "path": "/v1/<b>"}, "count": 12, "hash": "9c1f", "hash_by": "17fa"}],
		"next_cursor": "4710"}`
	reportJSON = `{"ok": true, "complete": true, "checked": 4711, "last": 4711}`
)

func TestTheAuditLogSaysWhoDidWhat(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": auditJSON}).admin()
	d.get("audit").want(http.StatusOK,
		`<bdi>ann</bdi></a> made the key <a href="/gate/_portal/keys/key_1"><bdi>build server</bdi></a>`, "A stranger</bdi> was refused at <code><bdi>GET /v1/&lt;b&gt;</bdi></code>",
		"Invalid api key", "× 12", "5f0c", "wave_live_0a", "<code>key.create</code>",
		`href="/gate/_portal/audit?cursor=4710"`, `href="/gate/v1/auth/audit/export?format=csv" data-plain`, "Verify the log", "Who changed what",
	).without("<b>")
}

// The filters of the page are those of the call and of the files. The last day is in,
// which to the API it is not.
func TestTheAuditLogIsNarrowed(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": auditJSON}).admin()
	page := d.get("audit?actor=sub%3Alocal%7Cann&action=key.create&target=&outcome=ok&ip=+203.0.113.7&from=2026-03-01&to=2026-03-31&cursor=9&odd=1")
	c := d.api.calls[0]
	want := url.Values{
		"actor": {"sub:local|ann"}, "action": {"key.create"}, "outcome": {"ok"}, "ip": {"203.0.113.7"}, "from": {"2026-03-01"}, "to": {"2026-04-01"}, "cursor": {"9"}, "limit": {"30"},
	}
	if diff := cmp.Diff(want, c.Query); diff != "" {
		t.Errorf("the call (-want +got):\n%s", diff)
	}
	page.want(http.StatusOK,
		`/gate/v1/auth/audit/export?action=key.create&amp;actor=sub%3Alocal%7Cann&amp;format=jsonl&amp;from=2026-03-01&amp;ip=203.0.113.7&amp;outcome=ok&amp;to=2026-04-01`,
		`name="to" id="to" value="2026-03-31"`, `<option value="key.create" selected>`, `<details class="more-filters" id="more-filters" open>`, "First page",
	)
	if got := page.form("audit").Get("action"); got != "key.create" {
		t.Errorf("the form has %q", got)
	}
	d.get("audit?action=key.").want(http.StatusOK, `<option value="key." selected>key.</option>`)
}

func TestTheAuditLogComplainsBesideTheFilter(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": &fault.Error{
		Status: http.StatusBadRequest, Code: "invalid_request", Fields: []fault.Field{{Field: "to", Message: "must be a time"}, {Field: "cursor", Message: "must be the next_cursor"}},
	}}).admin()
	d.get("audit?to=never").want(http.StatusOK, `value="never"><span class="field-error">This must be a time.</span>`, "cursor: This must be the next_cursor.", "Error: ").without("Nothing happened yet")
}

func TestAnEmptyAuditLogTeaches(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": `{"entries": []}`}).admin()
	d.get("audit").want(http.StatusOK, "Nothing happened yet").without("<table")
	d.get("audit?ip=203.0.113.7").want(http.StatusOK, "Nothing fits").without("<table")
}

// Who may read the log without being an administrator sees their own part of it, and is
// led there; who may not is told.
func TestTheAuditLogOfSomebodyWhoIsNoAdministrator(t *testing.T) {
	status := statusOf(false)
	caller := status["caller"].(map[string]any)
	caller["permissions"] = append(caller["permissions"].([]string), "audit:read")
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": auditJSON, "GET /v1/auth/status": status, "GET /v1/auth/catalog": catalogJSON})
	d.get("audit").want(http.StatusOK, "What you did", `<a href="/gate/_portal/audit" aria-current="page"`).without("Verify the log")

	no := newDesk(t, map[string]any{"GET /v1/auth/audit": fault.New(http.StatusForbidden, "insufficient_scope", "That needs audit:read.")})
	no.get("audit").want(http.StatusForbidden, "That needs audit:read.").without(`href="/gate/_portal/audit"`)
}

func TestTheAuditLogIsVerified(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/audit": auditJSON, "GET /v1/auth/audit/verify": reportJSON}).admin()
	form := d.get("audit").form("audit/verify")
	d.get("audit/verify").want(http.StatusOK, "Verify the log").without("As it was written")
	if got := d.made("GET"); strings.Contains(strings.Join(got, " "), "verify") {
		t.Fatalf("looking made %v", got)
	}
	d.post("audit/verify", form).want(http.StatusOK, "As it was written", "4,711", "/gate/v1/auth/audit/verify", "Verify again")

	d.api.answers["GET /v1/auth/audit/verify"] = `{"ok": false, "complete": false, "checked": 7, "last": 7, "bad": 8, "problem": "Entry 8 was changed."}`
	again := d.get("audit/verify").form("audit/verify")
	d.post("audit/verify", again).want(http.StatusOK, "Changed", "Entry 8 was changed.", "First bad entry")

	d.api.answers["GET /v1/auth/audit/verify"] = fault.New(http.StatusServiceUnavailable, "busy", "The audit log is being verified already.")
	d.post("audit/verify", d.get("audit/verify").form("audit/verify")).want(http.StatusOK, "being verified already").without("As it was written")
}
