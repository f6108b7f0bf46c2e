//go:build linux

package proxytest

import (
	"net/http"
	"strings"
	"testing"
)

// pathTricks asks for /admin and its like in disguise, without a credential.
// None may get in.
func pathTricks(t *testing.T, s *stage) {
	for _, target := range []string{
		"/public/../admin", "/public/../../admin", "/public/%2e%2e/admin", "/public/%2E%2e/admin", "/public/.%2e/admin",
		"/public/%252e%252e/admin", "/public/%25252e%25252e/admin", "/public%2f..%2fadmin", "/public%2F%2e%2e%2Fadmin", "/public/..%2fadmin",
		"/public%252f..%252fadmin", "/public/..;/admin", "/public/..;x=y/admin", "/public;/../admin", "/public/;/../admin", "/public/%3b/../admin",
		`/public/..\admin`, `/public\..\admin`, "/public%5c..%5cadmin", "/public/..%5cadmin", "/public/%00/../admin", "/public/\x01/../admin",
		"/public/./../admin", "/./admin", "/public/../public/../admin", "/public/%c0%ae%c0%ae/admin", "/public/%e0%80%ae%e0%80%ae/admin",
		"/public/%u002e%u002e/admin", "/public/%2/admin", "/public/%zz", "/public/..", "/public/../",
		"//admin", "///admin", "//public/../admin", "//app.example.com/admin", "/%2fadmin", "/%2f%2fadmin", "/%61dmin", "/%41DMIN", "/ADMIN", "/admin/", "/admin//", "/admin/.", "/admin/%2e",
		"/admin;", "/admin;/public", "/admin;x=/public", "/;x=/public/admin", "/admin?x=/public", "/admin?/public", "/admin?/../public", "/admin?x=1;/public",
		"/admin#/public", "/admin#", "/#/public", "/admin%23/public", "/%23/public", "/admin%3f/public", "/admin%3F/../public", "/public%23/../admin", "/public#/../admin",
		"/admin%20", "/admin%09", "/admin%0a", "/admin%0d%0aX:/public", "/admin .html", "/admin.json", "/admin.css", "/admin/x.png", "/private/logo.svg", "/robots.txt", "/favicon.ico", "/healthz",
		"/PUBLIC", "/Public", "/publi%63ly", "/public%20", "/public.", "/public;x", "/public%3bx", "/_auth/verify", "/_auth/forward", "/_auth/../private",
		"public", "admin", "", "*", "http://app.example.com/admin", "HTTP://app.example.com/public/../admin", "http://app.example.com/private?x=/public",
		"/http://app.example.com/public", "?/public", "#/public", "\\public", `\\open.example.com\public`,
	} {
		s.expectRefusal(t, target, s.from(t, "127.0.0.1").get(target))
	}
}

// pathTricksWithKey has a key that opens / but not /admin. Where it gets in,
// the app must see a path that no server takes for /admin.
func pathTricksWithKey(t *testing.T, s *stage) {
	for _, target := range []string{
		"/admin", "/admin/", "//admin", "/x/../admin", "/x/%2e%2e/admin", "/x/..%2fadmin", "/%61dmin", "/%2fadmin", "/x//../admin", "/admin?x", "/admin#x", "/./admin",
		"/%252e/admin", "/x/..;/admin", `/x\..\admin`, "/x%5c..%5cadmin", "/admin%2fx", "/admin//x", "/admin/%2e%2e/admin", "/private/..//admin", "/%2561dmin",
	} {
		a := s.from(t, "127.0.0.1").get(target, authorize("reader"))
		for _, saw := range s.app.take() {
			other := saw.Target == "/%2561dmin" || saw.Target == "/admin%23x" // no server's name for /admin
			if !other {
				t.Errorf("%s: status %d, the app saw %s", target, a.status, saw.Target)
			}
		}
	}
}

// forwardedAsDecided looks at paths that are let through: their bytes arrive as
// the client sent them, or not at all.
func forwardedAsDecided(t *testing.T, s *stage) {
	for _, target := range []string{
		"/private", "/private/", "/private/a.b/c~d", "/private/%20x", "/private/%c3%a9", "/private/a%3Bb", "/private/a;b=c", "/private/%7Euser", "/private/a+b",
		"/private/%25", "/private/x?q=/../admin", "/private/x?q=%2e%2e%2f", "/private/x?a=b&a=c?d", "/private/x?", "/private/@:!$&'()*,=", "/public/x?/../../admin",
	} {
		a := s.from(t, "127.0.0.1").get(target, authorize("reader"))
		saw := s.expectEntry(t, target, a)
		if got := strings.TrimSuffix(saw.Target, "?"); got != strings.TrimSuffix(target, "?") {
			t.Errorf("the app saw %s, the client asked for %s", got, target)
		}
	}
}

// hostAsDecided names an open host in one place and a closed one in another.
func hostAsDecided(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	saw := s.expectEntry(t, "open host", c.send(request{method: "GET", target: "/private", host: "open.example.com"}))
	if saw.Host != "open.example.com" {
		t.Errorf("the app saw the host %q", saw.Host)
	}
	for what, r := range map[string]request{
		"absolute form":         {method: "GET", target: "http://open.example.com/private"},
		"absolute form, closed": {method: "GET", target: "http://app.example.com/private", host: "open.example.com"},
		"two hosts":             {method: "GET", target: "/private", lines: []string{"Host: open.example.com"}},
		"two hosts, closed":     {method: "GET", target: "/private", host: "open.example.com", lines: []string{"Host: app.example.com"}},
		"two in one":            {method: "GET", target: "/private", host: "app.example.com, open.example.com"},
		"user part":             {method: "GET", target: "/private", host: "open.example.com@app.example.com"},
		"port":                  {method: "GET", target: "/private", host: "app.example.com:80@open.example.com"},
		"path":                  {method: "GET", target: "/private", host: "open.example.com/app.example.com"},
		"query":                 {method: "GET", target: "/private", host: "open.example.com?.app.example.com"},
		"empty":                 {method: "GET", target: "/private", host: " "},
		"case":                  {method: "GET", target: "/private", host: "APP.example.COM."},
	} {
		a := c.send(r)
		for _, saw := range s.app.take() {
			if a.status != http.StatusOK || saw.Host != "open.example.com" {
				t.Errorf("%s: status %d, the app saw %s at %q", what, a.status, saw.Target, saw.Host)
			}
		}
	}
	s.expectRefusal(t, "no host", c.raw("GET", "GET /private HTTP/1.0\r\n\r\n"))
}
