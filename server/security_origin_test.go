package server

import (
	"net/http"
	"net/netip"
	"net/url"
	"testing"
)

// TestOriginsAreComparedWithTheHostThatTheBrowserKnows: behind a proxy that sends
// another Host on, and with a browser that says no Sec-Fetch-Site, a form of ours
// passes and one of the internal name does not.
func TestOriginsAreComparedWithTheHostThatTheBrowserKnows(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	form := url.Values{"username": {"ann"}, "password": {"ann-password"}}
	for origin, want := range map[string]int{
		"http://gate.example.com": http.StatusSeeOther, ts.URL: http.StatusForbidden, "http://evil.example": http.StatusForbidden, "null": http.StatusForbidden,
	} {
		got := newBrowser(t, ts.URL).send("POST", "/_auth/login", form, "Origin", origin,
			"X-Forwarded-Host", "gate.example.com", "X-Forwarded-Proto", "http", "X-Forwarded-For", "203.0.113.9")
		if got.StatusCode != want {
			t.Errorf("Origin %s: %d, want %d", origin, got.StatusCode, want)
		}
	}
}

func TestHeadChangesNothing(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	b.signIn("ann", "ann-password", "/")
	b.send("HEAD", "/_auth/logout", nil).want(t, http.StatusMethodNotAllowed, "")
	b.send("HEAD", "/_auth/callback?state=x&code=y", nil).want(t, http.StatusMethodNotAllowed, "")
	b.send("GET", "/", nil).want(t, http.StatusOK, "")
	if n := idp.Count("/token"); n != 0 {
		t.Errorf("%d questions to the provider", n)
	}
}

func TestHTTPSIsRequiredOfEveryEndpointThatTakesACredential(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) {
		c.RequireHTTPS = true
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} // whoever ends TLS
	})
	for _, rt := range ts.table {
		method := rt.method
		switch {
		case rt.path == "/_health/live", rt.path == "/_health/ready", rt.path == "/oauth/jwks", rt.path == "/_auth/assets/", rt.path == "/v1/auth/openapi.json":
			continue // open to everybody, without a credential
		case rt.path == "/_auth/verify", rt.path == "/_auth/forward", rt.path == "/_auth/forward/":
			continue // the proxy says how the client came; see answerAsk
		case method == "*":
			method = "GET"
		}
		got := ts.do(method, rt.path, "", "Authorization", basic("id", "secret"))
		if got.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s over plain http: %d %s", method, rt.path, got.StatusCode, got.body)
		}
	}
}
