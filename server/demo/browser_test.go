package demo

import (
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

func demoServer(t *testing.T, g *gate) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(newApp(t, Config{
		PublicURL: "http://localhost:10101", KeyID: "WAVEDEMO4Q7XKZ2M8TRB", ReaderID: "WAVEREADER5H3N9CJ6YP",
		JWKSPath: "/oauth/jwks", JWKS: g.jwks,
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // event streams do not end by themselves
		server.Close()
	})
	return server
}

func TestPagesInABrowser(t *testing.T) {
	g := newGate(t)
	server, browser := demoServer(t, g), browsertest.Start(t)
	for _, look := range browsertest.Looks() {
		t.Run("home/"+look.Name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/", look, throughGate(t, g))
			page.WaitFor(t, `document.getElementById("pulse").textContent === "updating"`)
			page.Check(t)
			page.WindowScreenshot(t, "demo")
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
		page := browser.Open(t, server.URL+"/", desktop, throughGate(t, g))
		want := []string{"wavegate", "Public page", "Headers", "Streams API", "the gate’s public keys"}
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
		row := `document.querySelector("[data-stream=` + sampleID + `] .status").textContent`
		if got := browsertest.Eval[string](t, page, row); got != "idle" {
			t.Fatalf("the sample is %s at first, want idle", got)
		}
		post(t, server.URL+"/v1/streams/"+sampleID+"/start")
		page.WaitFor(t, row+` === "live"`)
	})
}
