package policy

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

func principal(method identity.Method, scopes ...string) *identity.Principal {
	return &identity.Principal{Method: method, Subject: "s", Scopes: scopes}
}

func TestDecide(t *testing.T) {
	p := mustParse(t, `
upstreams:
  - {route: /, url: http://u}
  - {route: /open, url: http://u, access: public, methods: [GET]}
  - {route: /people, url: http://u, access: signed-in, unlisted: allow}
  - {route: /machines, url: http://u, access: keys, unlisted: allow}
  - {route: /get, url: http://u, methods: [GET], unlisted: allow}
  - {route: /scoped, url: http://u, require: {scopes: [a, b]}, unlisted: allow}
  - {route: /roled, url: http://u, require: {roles: [r, q]}, unlisted: allow}
  - {route: /grouped, url: http://u, require: {groups: [g, h]}, unlisted: allow}
scopes:
  a: {endpoints: [GET /v1/a, "WS /v1/live"]}
  b: {endpoints: [GET /v1/a, POST /v1/b, GET /open/b, GET /v1/live]}
roles: {r: {}, q: {}}
`)
	var (
		key     = principal(identity.MethodAccessKey, "*")
		narrow  = principal(identity.MethodAccessKey, "a")
		apiKey  = principal(identity.MethodAPIKey, "b")
		token   = principal(identity.MethodToken, "a", "b")
		session = principal(identity.MethodSession)
		staff   = &identity.Principal{Method: identity.MethodSession, Roles: []string{"q"}, Groups: []string{"x", "h"}}
	)
	for _, c := range []struct {
		who  *identity.Principal
		ask  string
		want Reason
		need string
	}{
		{nil, "GET /", NoCredential, ""},
		{&identity.Principal{}, "GET /", NoCredential, ""},
		{nil, "GET /open", Allowed, ""},
		{nil, "HEAD /open", Allowed, ""},
		{nil, "POST /open", MethodNotAllowed, "GET HEAD"},
		{nil, "OPTIONS /open", MethodNotAllowed, "GET HEAD"},
		{nil, "OPTIONS /get", NoCredential, ""},
		{key, "OPTIONS /get", MethodNotAllowed, "GET HEAD"},
		{key, "WS /get", Allowed, ""},
		{session, "GET /open", Allowed, ""},
		{session, "GET /people", Allowed, ""},
		{token, "GET /people", NotSignedIn, ""},
		{key, "GET /people", NotSignedIn, ""},
		{nil, "GET /people", NoCredential, ""},
		{key, "GET /machines", Allowed, ""},
		{apiKey, "GET /machines", Allowed, ""},
		{token, "GET /machines", NotKey, ""},
		{session, "GET /machines", NotKey, ""},
		{token, "GET /scoped", Allowed, ""},
		{key, "GET /scoped", Allowed, ""},
		{narrow, "GET /scoped", InsufficientScope, "a b"},
		{staff, "GET /roled", Allowed, ""},
		{key, "GET /roled", InsufficientRole, "r q"},
		{staff, "GET /grouped", Allowed, ""},
		{session, "GET /grouped", InsufficientGroup, "g h"},
		{narrow, "GET /v1/a", Allowed, ""},
		{narrow, "HEAD /v1/a", Allowed, ""},
		{apiKey, "GET /v1/a", Allowed, ""},
		{session, "GET /v1/a", InsufficientScope, "a b"},
		{narrow, "POST /v1/b", InsufficientScope, "b"},
		{narrow, "WS /v1/live", Allowed, ""},
		{apiKey, "WS /v1/live", InsufficientScope, "a"},
		{narrow, "GET /v1/live", InsufficientScope, "b"},
		{narrow, "GET /v1/other", InsufficientScope, "*"},
		{apiKey, "WS /v1/a", InsufficientScope, "*"},
		{token, "GET /v1/a/", InsufficientScope, "*"},
		{key, "GET /v1/other", Allowed, ""},
		{session, "GET /v1/other", Allowed, ""},
		{session, "GET //v1/a", InsufficientScope, "*"},
		{session, "GET /v1%2Fa", InsufficientScope, "*"},
		{session, `GET /v1\a`, InsufficientScope, "*"},
		{session, "GET /100%", Allowed, ""},
		{key, "GET //v1/a", Allowed, ""},
		{session, "GET /people//x", Allowed, ""},
	} {
		method, path, _ := strings.Cut(c.ask, " ")
		ask := Ask{Route: p.Match("h", path), Method: method, Path: path}
		if method == "WS" {
			ask.Method, ask.WebSocket = "GET", true
		}
		got := p.Decide(c.who, ask)
		want := Decision{Allow: c.want == Allowed, Reason: c.want, Need: strings.Fields(c.need)}
		if c.need == "" {
			want.Need = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v %s (-want +got):\n%s", c.who, c.ask, diff)
		}
		lines := p.Explain(c.who, ask)
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "decision: "+c.want.String()) {
			t.Errorf("%s is explained as %q", c.ask, lines)
		}
	}
}

func TestDecideWithoutRouteWantsACredential(t *testing.T) {
	p := mustParse(t, "scopes: {a: {endpoints: [GET /a]}}")
	for _, c := range []struct {
		who  *identity.Principal
		path string
		want Reason
	}{
		{nil, "/a", NoCredential},
		{nil, "/x", NoCredential},
		{principal(identity.MethodSession), "/x", Allowed},
		{principal(identity.MethodSession), "/a", InsufficientScope},
		{principal(identity.MethodToken, "a"), "/a", Allowed},
		{principal(identity.MethodToken, "a"), "/x", InsufficientScope},
	} {
		if got := p.Decide(c.who, Ask{Method: "GET", Path: c.path}); got.Reason != c.want || got.Allow != (c.want == Allowed) {
			t.Errorf("%v %s: got %v, want %v", c.who, c.path, got, c.want)
		}
	}
}

func TestWithoutPolicyAnyCredentialPasses(t *testing.T) {
	p := routesOf(t, "/")
	for _, method := range []identity.Method{identity.MethodAccessKey, identity.MethodAPIKey, identity.MethodToken, identity.MethodSession} {
		ask := Ask{Route: p.Match("h", "/x"), Method: "GET", Path: "/x"}
		if got := p.Decide(principal(method), ask); !got.Allow {
			t.Errorf("%s: got %v", method, got)
		}
	}
	if got := p.Decide(nil, Ask{Route: p.Match("h", "/x"), Method: "GET", Path: "/x"}); got.Allow {
		t.Error("nobody passed")
	}
}

func TestZeroDecisionAndUnknownAccessRefuse(t *testing.T) {
	if d := (Decision{}); d.Allow || d.Reason.Status() != http.StatusUnauthorized {
		t.Errorf("got %v, status %d", d, d.Reason.Status())
	}
	p := routesOf(t)
	for _, method := range []identity.Method{identity.MethodToken, identity.MethodSession, "odd"} {
		if d := p.Decide(principal(method, "*"), Ask{Route: &Route{Access: 99}, Method: "GET", Path: "/"}); d.Allow {
			t.Errorf("%s passed an access that does not exist", method)
		}
	}
}

func TestReasonStatus(t *testing.T) {
	want := map[Reason]int{
		NoCredential: 401, NotSignedIn: 403, NotKey: 403, InsufficientScope: 403, InsufficientRole: 403,
		InsufficientGroup: 403, MethodNotAllowed: 405, Allowed: 200, 99: 403,
	}
	for r, status := range want {
		if r.Status() != status || r.String() == "" {
			t.Errorf("%v: got %d, want %d", r, r.Status(), status)
		}
	}
}

// TestUserAgentAndExtensionNeverAuthorise: an Ask knows method, path and the
// kind of handshake alone, so nothing else of a request can open a route.
func TestUserAgentAndExtensionNeverAuthorise(t *testing.T) {
	p := routesOf(t, "/")
	for _, path := range []string{"/x.css", "/favicon.ico", "/robots.txt", "/ping", "/healthz", "/.well-known/x", "/x.html/admin"} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "", "get"} {
			if d := p.Decide(nil, Ask{Route: p.Match("h", path), Method: method, Path: path}); d.Allow || d.Reason != NoCredential {
				t.Errorf("%s %s: got %v", method, path, d)
			}
		}
	}
}

// wavePolicy compiles the example with the whole scope table.
func wavePolicy(t testing.TB) *Policy {
	t.Helper()
	data, err := os.ReadFile("../../examples/keys/wave.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, string(data))
}

func TestMatchAndDecideAllocateNothing(t *testing.T) {
	p := wavePolicy(t)
	who := principal(identity.MethodAPIKey)
	p.GrantKey(who, RoleDeveloper, []string{"users:read", "keys:write"})
	for _, path := range []string{"/v1/streams/st_1/status", "/v1/billing/a/b/c", "/nowhere", "//v1//streams"} {
		for _, who := range []*identity.Principal{nil, who} {
			n := testing.AllocsPerRun(100, func() {
				p.Decide(who, Ask{Route: p.Match("app.example.com:8080", path), Method: "GET", Path: path})
			})
			if n != 0 {
				t.Errorf("%s: %v allocations", path, n)
			}
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	p := wavePolicy(b)
	who := principal(identity.MethodAPIKey, "analytics:read", "users:read", "streams:read")
	for _, c := range []struct{ name, method, path string }{
		{"literal", "GET", "/v1/streams"},
		{"wildcard", "GET", "/v1/streams/st_0123456789/status"},
		{"tail", "GET", "/v1/billing/invoices/2026/01"},
		{"unlisted", "GET", "/v1/other/things"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(who, Ask{Route: p.Match("api.example.com", c.path), Method: c.method, Path: c.path})
			}
		})
	}
}
