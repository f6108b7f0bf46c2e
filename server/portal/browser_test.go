package portal

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/portal/browsertest"
)

// errorServer shows the error page of /STATUS with the headers of the server.
func errorServer(t *testing.T) *httptest.Server {
	t.Helper()
	p := newPages(t, "/")
	mux := http.NewServeMux()
	mux.Handle("/_auth/assets/", p.Assets())
	mux.HandleFunc("/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.PathValue("status"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", p.CSP())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		if err := p.Error(w, samplePage(status)); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func samplePage(status int) ErrorPage {
	page := ErrorPage{Status: status, Code: "insufficient_scope", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA"}
	if status != http.StatusForbidden {
		page.Code = strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
	}
	return page
}

func TestErrorPagesInABrowser(t *testing.T) {
	server, browser := errorServer(t), browsertest.Start(t)
	looks := browsertest.Looks()
	for status, looks := range map[int][]browsertest.Look{401: looks, 404: looks[1:3], 500: looks[:1], 502: looks[3:]} {
		for _, look := range looks {
			t.Run(fmt.Sprint(status, "/", look.Name), func(t *testing.T) {
				page := browser.Open(t, server.URL+"/"+strconv.Itoa(status), look, nil)
				page.Check(t)
				page.Screenshot(t, fmt.Sprint("error-", status))
			})
		}
	}
	t.Run("keyboard", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/404", looks[0], nil)
		want := []string{"wavegate", "Go to the start page", "Copy request ID"}
		if diff := cmp.Diff(want, page.TabStops(t)); diff != "" {
			t.Errorf("tab stops (-want +got):\n%s", diff)
		}
		page.Click(t, ".copy")
		page.WaitFor(t, `["Copied", "Selected"].includes(document.querySelector(".copy").textContent)`)
	})
}
