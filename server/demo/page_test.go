package demo

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// page returns the app's answer to GET path with the headers.
func page(t *testing.T, app http.Handler, path string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d: %s", path, w.Code, w.Body)
	}
	return w
}

func TestHomeShowsWhoTheGateSaysYouAre(t *testing.T) {
	app := newApp(t, Config{})
	body := page(t, app, "/", map[string]string{
		"Wave-Subject-ID": "alice-1", "Wave-Username": "Alice <b>", "Wave-Scopes": "streams:write streams:read", "Wave-Auth-Method": "session",
	}).Body.String()
	for _, want := range []string{"alice-1", "Alice &lt;b&gt;", "streams:read", "streams:write", "browser session"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if body := page(t, app, "/", nil).Body.String(); !strings.Contains(body, "There’s no gate in front") {
		t.Error("without Wave headers the page claims that there is a gate")
	}
}

func TestHomeOffersWhoeverSignedInThePortalAndTheWayOut(t *testing.T) {
	app := newApp(t, Config{PortalPath: "/gate/_portal/", LogoutPath: "/gate/_auth/logout"})
	offers := []string{`href="/gate/_portal/"`, `href="/gate/_auth/logout"`, `href="/admin-only"`, "signed you in", "Cookie</code> stayed at the gate"}
	for method, want := range map[string]bool{"session": true, "access-key": false} {
		body := page(t, app, "/", map[string]string{
			"Wave-Subject-ID": "local|ann", "Wave-Auth-Method": method, "Wave-Session-ID": "handle-1", "Wave-Client-ID": "client-1",
		}).Body.String()
		for _, text := range offers {
			if got := strings.Contains(body, text); got != want {
				t.Errorf("%s: the page says %q: %t, want %t", method, text, got, want)
			}
		}
		for _, text := range []string{"Wave-Session-ID", "handle-1", "Wave-Client-ID", "client-1"} {
			if !strings.Contains(body, text) {
				t.Errorf("%s: %q is not among the headers", method, text)
			}
		}
	}
}

func TestHomeOffersButtonsToWhoeverMayWrite(t *testing.T) {
	app := newApp(t, Config{})
	for scopes, want := range map[string]bool{"*": true, "streams:read streams:write": true, "streams:read": false, "": false} {
		body := page(t, app, "/", map[string]string{"Wave-Subject-ID": "alice", "Wave-Scopes": scopes}).Body.String()
		if got := strings.Contains(body, "data-name="); got != want {
			t.Errorf("scopes %q: buttons %t, want %t", scopes, got, want)
		}
	}
	if strings.Contains(page(t, app, "/", nil).Body.String(), "data-name=") {
		t.Error("nobody gets buttons")
	}
}

func TestPageShowsNoCredential(t *testing.T) {
	const canary = "canary-7f3a"
	body := page(t, newApp(t, Config{}), "/", map[string]string{
		"Authorization": "Bearer " + canary, "Cookie": "s=" + canary, "X-Api-Key": canary, "Wave-Access-Token": canary,
	}).Body.String()
	if strings.Contains(body, canary) {
		t.Error("a credential is on the page")
	}
	if !strings.Contains(body, "reached the app; is there a gate in front of it?") {
		t.Error("the page does not warn about the Authorization header")
	}
}

func TestHeadersEchoesWhatArrived(t *testing.T) {
	for _, path := range []string{"/headers", "/public/headers"} {
		w := page(t, newApp(t, Config{}), path+"?a=%2f", map[string]string{"Wave-Subject-ID": "alice", "X-Other": "1"})
		var got struct {
			Method, URI string
			Headers     map[string][]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{"Host": {"example.com"}, "Wave-Subject-ID": {"alice"}, "X-Other": {"1"}}
		if diff := cmp.Diff(want, got.Headers); diff != "" || got.Method != "GET" || got.URI != path+"?a=%2f" {
			t.Errorf("%s %s (-want +got):\n%s", got.Method, got.URI, diff)
		}
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	app := newApp(t, Config{})
	for _, path := range []string{"/", "/public/", "/headers", "/v1/streams", "/public/assets/demo.css"} {
		h := page(t, app, path, nil).Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestPagesRefersOnlyToWhatIsServed(t *testing.T) {
	app := newApp(t, Config{})
	for _, path := range []string{"/", "/public/"} {
		body := page(t, app, path, map[string]string{"Wave-Subject-ID": "alice", "Wave-Auth-Method": "session"}).Body.String()
		for _, link := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			page(t, app, html.UnescapeString(link[1]), nil)
		}
	}
	for _, path := range []string{"/public/assets/", "/public/assets/none.css", "/public/templates/home.html"} {
		if w := ask(app, "GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

func TestEventsTickEachSecondAndEndWithTheClient(t *testing.T) {
	app := newApp(t, Config{})
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			app.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil))
		}()
		time.Sleep(2500 * time.Millisecond)
		leave()
		<-done
		if got := strings.Count(w.Body.String(), "event: tick\ndata: {"); got != 3 {
			t.Errorf("%d events in 2.5 s, want 3:\n%s", got, w.Body)
		}
		if !w.Flushed || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("flushed: %t, header %v", w.Flushed, w.Header())
		}
		if !strings.Contains(w.Body.String(), `"live":["str_keynote0stage002"]`) {
			t.Errorf("the events do not name the live stream:\n%s", w.Body)
		}
	})
}

// Every command must be one that a shell reads as it looks, whatever the
// address is.
func TestCommandsSurviveTheShell(t *testing.T) {
	const url = `http://host'; touch /tmp/x; $(id)`
	for _, c := range Commands(Caller{URL: url, API: url + "/gate", Login: "$WAVE_KEY", Reader: "R:S", Curl: "printf '%s\\n'"}) {
		shell := exec.CommandContext(t.Context(), "sh", "-c", c.Line)
		shell.Env = []string{"WAVE_KEY=ID:SECRET", "PATH=/usr/bin:/bin"}
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", c.Title, err, out)
		}
		if !strings.Contains(string(out), url+"/") || strings.Contains(string(out), "\nWAVE_KEY") {
			t.Errorf("%s: the shell read\n%s", c.Title, out)
		}
		if strings.Contains(c.Line, "WAVE_KEY") && !strings.Contains(string(out), "\nID:SECRET\n") {
			t.Errorf("%s: the key is not one word:\n%s", c.Title, out)
		}
	}
}

func TestPageNamesTheAddressOfTheGate(t *testing.T) {
	forwarded := map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com"}
	for _, test := range []struct {
		cfg    Config
		header map[string]string
		want   string
	}{
		{Config{PublicURL: "https://gate.example.com/"}, forwarded, "https://gate.example.com/v1/streams"},
		{Config{}, forwarded, "https://app.example.com/v1/streams"},
		{Config{}, nil, "http://example.com/v1/streams"},
	} {
		if body := page(t, newApp(t, test.cfg), "/", test.header).Body.String(); !strings.Contains(body, "curl -i "+test.want+"<") {
			t.Errorf("the page does not name %s", test.want)
		}
	}
}
