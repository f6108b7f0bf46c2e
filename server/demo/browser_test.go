package demo

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/portal/browsertest"
)

// throughGate are the headers that the gate would add to a request, and what a
// browser sends by itself is not touched.
func throughGate(t *testing.T, g *gate) map[string]string {
	t.Helper()
	return map[string]string{
		"Wave-Subject-ID": "WAVEDEMO4Q7XKZ2M8TRB", "Wave-Username": "WAVEDEMO4Q7XKZ2M8TRB", "Wave-Auth-Method": "access-key",
		"Wave-Key-ID": "WAVEDEMO4Q7XKZ2M8TRB", "Wave-Scopes": "*", "Wave-Assertion": g.assertion(t, nil),
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost:10101",
		"X-Request-ID": "4TQ2XJZK7M3VPRB5N6HWYC8DSA",
	}
}

// signedIn are the headers of somebody with a browser session.
func signedIn(t *testing.T, g *gate) map[string]string {
	t.Helper()
	header := throughGate(t, g)
	maps.Copy(header, map[string]string{
		"Wave-Subject-ID": "local|demo", "Wave-Username": "demo", "Wave-Auth-Method": "session",
		"Wave-Scopes": "streams:read streams:write", "Wave-Session-ID": "ses_ls4ro2dkqq5cvxm3wbyhn7zt6e.kT4vXJ2qB9wLrM0pZ7cV1sNe", "Wave-Client-ID": "r7wq2m5xkzjh3ntayd6vqgcb4u",
		"Wave-Assertion": g.assertion(t, map[string]any{
			"sub": "local|demo", "username": "demo", "auth_method": "session", "key_id": nil,
			"scopes": []string{"streams:read", "streams:write"},
		}),
	})
	delete(header, "Wave-Key-ID")
	return header
}

func demoServer(t *testing.T, g *gate) *httptest.Server {
	t.Helper()
	return serve(t, newApp(t, Config{
		PublicURL: "http://localhost:10101", KeyID: "WAVEDEMO4Q7XKZ2M8TRB", ReaderID: "WAVEREADER5H3N9CJ6YP",
		JWKSPath: "/oauth/jwks", JWKS: g.jwks, PortalPath: "/_portal/", LogoutPath: "/_auth/logout",
	}))
}

func serve(t *testing.T, app http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		server.CloseClientConnections() // event streams do not end by themselves
		server.Close()
	})
	return server
}

// updating is true in the page once an event came in.
const updating = `document.getElementById("pulse").textContent === "updating"`

// sampleStatus is what the page says of the sample stream.
const sampleStatus = `document.querySelector("[data-stream=` + sampleID + `] .status").textContent`

func TestPagesInABrowser(t *testing.T) {
	g := newGate(t)
	server, browser := demoServer(t, g), browsertest.Start(t)
	for _, look := range browsertest.Looks() {
		t.Run("home/"+look.Name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/", look, signedIn(t, g))
			page.WaitFor(t, updating)
			page.Check(t)
			page.WindowScreenshot(t, "demo")
		})
		t.Run("key/"+look.Name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/", look, throughGate(t, g))
			page.WaitFor(t, updating)
			page.Check(t)
			page.Screenshot(t, "demo-key")
		})
	}
	for _, look := range []browsertest.Look{browsertest.Looks()[0], browsertest.Looks()[3]} {
		t.Run("public/"+look.Name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/public/", look, nil)
			page.Check(t)
			page.Screenshot(t, "demo-public")
		})
	}
	desktop := browsertest.Looks()[0]
	t.Run("no gate", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/", desktop, nil)
		page.Check(t)
		page.Screenshot(t, "demo-bare")
	})
	t.Run("keyboard", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/", desktop, signedIn(t, g))
		want := []string{
			"wavegate", "Public page", "Headers", "Streams API", "portal", "Sign out", "Try a page you may not open", "the gate’s public keys",
			"Go live: Night sky", "Stop: Keynote, main stage", "Go live: Harbour camera",
		}
		for _, c := range Commands(Caller{Reader: "reader"}) {
			want = append(want, "Copy "+c.Title)
		}
		want = append(want, "Sent by your client (14)")
		if diff := cmp.Diff(want, page.TabStops(t)); diff != "" {
			t.Errorf("tab stops (-want +got):\n%s", diff)
		}
	})
	t.Run("live", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/", desktop, throughGate(t, g))
		if got := browsertest.Eval[string](t, page, sampleStatus); got != "idle" {
			t.Fatalf("the sample is %s at first, want idle", got)
		}
		post(t, server.URL+"/v1/streams/"+sampleID+"/start")
		page.WaitFor(t, sampleStatus+` === "live"`)
	})
	t.Run("buttons", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/", desktop, signedIn(t, g))
		page.WaitFor(t, updating+" && "+sampleStatus+` === "live"`)
		page.Click(t, "[data-stream="+sampleID+"] .turn")
		page.WaitFor(t, sampleStatus+` === "idle"`)
		page.Check(t)
	})
	t.Run("session has ended", func(t *testing.T) {
		app := newApp(t, Config{})
		server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				respond(w, r, errorf(http.StatusUnauthorized, "credential_required", "You are not signed in."))
				return
			}
			app.ServeHTTP(w, r)
		}))
		page := browser.Open(t, server.URL+"/", desktop, signedIn(t, g))
		page.WaitFor(t, updating)
		page.Click(t, "[data-stream="+sampleID+"] .turn")
		page.WaitFor(t, `!refused.hidden && refused.textContent === "You are not signed in."`)
		page.CheckAccessible(t)
		page.Screenshot(t, "demo-refused")
	})
}
