package server

import (
	"path/filepath"
	"strings"
	"testing"
)

const forwardPolicy = `
upstreams:
  - {route: app.example.com, url: "static://404"}
  - {route: app.example.com/open, url: "static://404", access: public}
  - {route: app.example.com/admin, url: "static://404", require: {scopes: [admin]}}
scopes:
  admin: {description: All, risk: high}
access_keys:
  id: {scopes: []}
`

// asked starts a server that only answers other proxies.
func asked(t *testing.T) *testServer {
	cfg := testConfig(t)
	cfg.TrustedProxies = prefixes("127.0.0.1/32")
	cfg.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), strings.ReplaceAll(forwardPolicy, "{route: app.example.com,", "{route: app.example.com, unlisted: allow,"))
	return startServer(t, cfg)
}

func TestVerifyAnswersNginx(t *testing.T) {
	ts := asked(t)
	auth := []string{"Authorization", basic("id", "secret")}
	ask := func(url string, headers ...string) answer {
		return ts.do("GET", "/_auth/verify", "", append([]string{"X-Original-URL", url, "X-Original-Method", "GET", "X-Forwarded-For", "192.0.2.7"}, headers...)...)
	}
	a := ask("https://app.example.com/x?y=/open", auth...).want(t, 200, "")
	if a.Header.Get("Wave-Subject-ID") != "id" || a.Header.Get("Wave-Assertion") == "" {
		t.Errorf("headers %v", a.Header)
	}
	ask("https://app.example.com/open").want(t, 200, "")
	for _, closed := range []string{
		"https://app.example.com/x", "https://app.example.com/x?z=/open", "https://app.example.com/openly",
		"https://elsewhere.example.com/open", "https://APP.example.com./x",
	} {
		a := ask(closed, "Accept", "text/html").want(t, 401, "")
		if a.body != "" || a.Header.Get("Location") != "" || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %q %v", closed, a.body, a.Header)
		}
	}
	ask("https://app.example.com/admin", auth...).want(t, 403, "")
	for _, bad := range []string{
		"", "app.example.com/open", "https://app.example.com/open/../admin", "https://app.example.com/open%2f..%2fadmin",
		"https://app.example.com/%zz", "https://app.example.com//open", "ftp://app.example.com/open", "https:///open",
	} {
		ask(bad, auth...).want(t, 400, "")
	}
}

func TestForwardAnswersTraefikCaddyEnvoyAndHAProxy(t *testing.T) {
	ts := asked(t)
	shape := func(host, uri string, headers ...string) []string {
		return append([]string{
			"X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Host", host, "X-Forwarded-Uri", uri, "X-Forwarded-For", "192.0.2.7",
		}, headers...)
	}
	auth := []string{"Authorization", basic("id", "secret")}
	ts.do("GET", "/_auth/forward", "", shape("app.example.com", "/x", auth...)...).want(t, 200, "")
	ts.do("GET", "/_auth/forward", "", shape("app.example.com", "/open")...).want(t, 200, "")
	ts.do("GET", "/_auth/forward", "", shape("app.example.com", "/x")...).want(t, 401, "credential_required")
	ts.do("GET", "/_auth/forward", "", shape("app.example.com", "/admin", auth...)...).want(t, 403, "insufficient_scope")
	ts.do("GET", "/_auth/forward", "").want(t, 400, "invalid_request")
	// Envoy appends the path it asks about, keeps the method, and sends the host as its own.
	ts.do("POST", "/_auth/forward/x/y", "", append(auth, "Host", "app.example.com", "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.7")...).want(t, 200, "")
	ts.do("POST", "/_auth/forward/x/y", "", "Host", "app.example.com", "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.7").want(t, 401, "credential_required")
}

func TestForwardAuthIsForTrustedProxiesAlone(t *testing.T) {
	cfg := testConfig(t)
	ts := startServer(t, cfg)
	ts.do("GET", "/_auth/verify", "", "X-Original-URL", "http://a/", "X-Original-Method", "GET", "Authorization", basic("id", "secret")).want(t, 400, "")
	ts.do("GET", "/_auth/forward", "", "X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a", "X-Forwarded-Uri", "/", "Authorization", basic("id", "secret")).want(t, 400, "")
}
