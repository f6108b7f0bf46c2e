package gateway

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// keyHolder is the principal of an access key.
func keyHolder(id string) *identity.Principal {
	return &identity.Principal{Method: identity.MethodAccessKey, Subject: id, KeyID: id, Scopes: []string{"*"}}
}

// registration is a valid one.
func registration(route, address string) Registration {
	return Registration{Mode: "unicast", Route: route, Address: address, KeyID: "app-id", KeySecret: "app-secret"}
}

func TestRegisteredAppsAreProxiedWithTheirOwnPair(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: "upstreams: []", who: func(*http.Request) *identity.Principal { return keyHolder("KEY") }})
	if err := f.gateway.Apps().Register(keyHolder("KEY"), registration("/demo/", up.url+"/base/")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/demo": "/base/", "/demo/": "/base/", "/demo/x/y?z=1": "/base/x/y?z=1"} {
		f.raw(t, "GET "+path+" HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nAuthorization: Basic canary\r\nWave-Subject-ID: canary\r\n\r\n")
		head := up.head(t)
		if !strings.HasPrefix(head, "GET "+want+" HTTP/1.1\r\n") || strings.Contains(head, "canary") ||
			!strings.Contains(head, "\r\nAuthorization: Basic YXBwLWlkOmFwcC1zZWNyZXQ=\r\n") || !strings.Contains(head, "\r\nWave-Subject-ID: KEY\r\n") {
			t.Errorf("%s: forwarded as\n%s", path, head)
		}
	}
	for _, path := range []string{"/", "/demos", "/demo;x", "/x/demo"} {
		if status, _ := f.get(t, path); status != 404 && status != 400 {
			t.Errorf("%s: got %d", path, status)
		}
	}
	if route, err := f.gateway.Match(f.gateway.table.Load().policy, "app.test", "/demo/x"); err != nil || route.Access != policy.Authenticated || route.AllowInPath != 0 {
		t.Errorf("got %+v %v", route, err)
	}
}

func TestRegistrationsSayEverythingThatIsWrong(t *testing.T) {
	a := New(Config{}).Apps()
	err := a.Register(keyHolder("KEY"), Registration{Mode: "x", Route: "demo", Address: "127.0.0.1:8000", KeyID: "a:b"})
	e := fault.From(err)
	for _, want := range []string{"mode", "route", "address", "key_id", "key_secret"} {
		if e.Status != 400 || !strings.Contains(e.Message, want) {
			t.Errorf("%s is not in %d %q", want, e.Status, e.Message)
		}
	}
}

func TestRegistrationsRefuseBadRoutesAndAddresses(t *testing.T) {
	f := newFront(t, frontConfig{policy: upstream("/api", "static://200") + "  - {route: other.test/host, url: static://200}\n  - {route: /, url: static://200}\n"})
	good := registration("/demo", "http://127.0.0.1:8000")
	for _, route := range []string{
		"", "demo", "/demo/../x", "/a//b", "/a%2fb", `/a\b`, "/..", "/_auth", "/_auth/x", "/oauth/token", "/_health", "/v1/auth/keys", "/a?b", "/a#b", "/*", "/{x}",
		"/api", "/api/x", "/host", "/host/x", "/", "/" + strings.Repeat("a", 256), "/a\x00",
	} {
		reg := good
		reg.Route = route
		if e := fault.From(f.gateway.Apps().Register(keyHolder("KEY"), reg)); e.Status != 400 && e.Status != 403 {
			t.Errorf("route %q: got %v", route, e)
		}
	}
	for _, address := range []string{
		"", "127.0.0.1:8000", "//127.0.0.1", "ftp://127.0.0.1", "file:///etc", "unix:/x", "http://", "http://:80", "http://user:canary@127.0.0.1", "http://127.0.0.1/?x=canary", "http://127.0.0.1/#canary",
		"http://127.0.0.1:99999", "http://127.0.0.1/../x", "http://127.0.0.1/%2e%2e/", "http://127.0.0.1/a%2fb", "http://127.0.0.1 /", "http://127.0.0.1\r\n", "http://" + strings.Repeat("a", 3000),
	} {
		reg := good
		reg.Address = address
		err := f.gateway.Apps().Register(keyHolder("KEY"), reg)
		if e := fault.From(err); e.Status != 400 || strings.Contains(e.Error(), "canary") {
			t.Errorf("address %q: got %v", address, e)
		}
	}
	if got := f.gateway.Apps().List(); len(got) != 0 {
		t.Errorf("registered: %v", got)
	}
}

func TestRoutesBelongToTheKeyThatRegisteredThem(t *testing.T) {
	f := newFront(t, frontConfig{policy: "upstreams: []"})
	a := f.gateway.Apps()
	good := registration("/demo", "http://127.0.0.1:8000")
	if err := a.Register(keyHolder("ONE"), good); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another key":          a.Register(keyHolder("TWO"), good),
		"another key below it": a.Register(keyHolder("TWO"), registration("/demo/sub", "http://127.0.0.1:8000")),
		"another key leaving":  a.Unregister(keyHolder("TWO"), "/demo"),
		"nobody":               a.Register(nil, good),
		"nobody leaving":       a.Unregister(nil, "/demo"),
		"a session":            a.Register(alice(), good),
		"a session leaving":    a.Unregister(alice(), "/demo"),
		"an API key":           a.Register(&identity.Principal{Method: identity.MethodAPIKey, KeyID: "ONE"}, good),
	} {
		if e := fault.From(err); err == nil || e.Status != 403 {
			t.Errorf("%s: got %v", name, err)
		}
	}
	moved := registration("/demo", "http://127.0.0.1:9000")
	moved.Mode = "multicast"
	if err := a.Register(keyHolder("ONE"), moved); err != nil {
		t.Errorf("again: %v", err)
	}
	want := []App{{Route: "/demo", Mode: "multicast", Address: "http://127.0.0.1:9000", Owner: "ONE"}}
	if diff := cmp.Diff(want, a.List()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(fmt.Sprintf("%+v", a.List()), "app-secret") {
		t.Error("the list shows the secret")
	}
	for range 2 { // leaving twice is no error
		if err := a.Unregister(keyHolder("ONE"), "/demo/"); err != nil || len(a.List()) != 0 {
			t.Errorf("leaving: %v %v", err, a.List())
		}
	}
}

func TestThePolicySaysWhichKeysMayRegister(t *testing.T) {
	const rules = "upstreams: []\naccess_keys:\n  ONE: {scopes: [\"*\"], register: [/demo, /team/*]}\n"
	f := newFront(t, frontConfig{policy: rules})
	a := f.gateway.Apps()
	for _, c := range []struct {
		key, route string
		ok         bool
	}{{"ONE", "/demo", true}, {"ONE", "/team/x", true}, {"ONE", "/else", false}, {"TWO", "/demo2", false}} {
		err := a.Register(keyHolder(c.key), registration(c.route, "http://127.0.0.1:1"))
		if (err == nil) != c.ok || err != nil && fault.From(err).Status != 403 {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	f.load(t, "upstreams: [{route: /demo, url: static://200}]\naccess_keys:\n  ONE: {scopes: [\"*\"], register: [/demo]}\n")
	if got := a.List(); len(got) != 0 {
		t.Errorf("after a reload that takes both routes away: %v", got)
	}
}

func TestAppsTakeNothingFromConfiguredRoutes(t *testing.T) {
	const guarded = `
upstreams:
  - {route: /, url: static://200}
  - {route: /api, url: static://200, access: keys}
access_keys:
  NAMED: {scopes: [], register: [/login, /api/*, /api]}
`
	f := newFront(t, frontConfig{policy: upstream("/", "static://200")})
	register := func(key, route string) *fault.Error {
		err := f.gateway.Apps().Register(keyHolder(key), registration(route, "http://127.0.0.1:1"))
		if err == nil {
			return nil
		}
		return fault.From(err)
	}
	for _, route := range []string{"/", "/login", "/login/deep"} {
		if e := register("ANY", route); e == nil || e.Code != "route_taken" {
			t.Errorf("below / without rules: %s: got %v", route, e)
		}
	}
	f.load(t, guarded)
	for _, c := range []struct{ key, route, code string }{
		{"NAMED", "/login", ""},
		{"NAMED", "/api/app", ""},
		{"NAMED", "/api", "route_taken"},
		{"NAMED", "/other", "route_not_allowed"},
		{"ANY", "/login", "route_not_allowed"},
		{"ANY", "/x", "route_not_allowed"},
	} {
		code := ""
		if e := register(c.key, c.route); e != nil {
			code = e.Code
		}
		if code != c.code {
			t.Errorf("%+v: got %q", c, code)
		}
	}
	f.load(t, upstream("/", "static://200"))
	if got := f.gateway.Apps().List(); len(got) != 0 {
		t.Errorf("the policy names no key any more: %v", got)
	}
	f.load(t, upstream("/api", "static://200"))
	if e := register("ANY", "/free"); e != nil {
		t.Errorf("where no route is: %v", e)
	}
}

func TestTheWebFolderGivesWayToApps(t *testing.T) {
	up := newRawUpstream(t)
	web, err := policy.ParseDir("/@"+site(t), policy.Public, "/")
	if err != nil {
		t.Fatal(err)
	}
	web.GivesWay = true
	p, err := policy.Parse("policy.yaml", []byte("upstreams: []"), []policy.Route{web})
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t, frontConfig{policy: "upstreams: []"})
	if err := f.gateway.Load(p); err != nil {
		t.Fatal(err)
	}
	if status, _ := f.get(t, "/demo"); status != 404 {
		t.Errorf("the folder alone: got %d", status)
	}
	for _, route := range []string{"/demo", "/"} {
		if err := f.gateway.Apps().Register(keyHolder("ANY"), registration(route, up.url)); err != nil {
			t.Fatal(err)
		}
		if status, body := f.get(t, route); status != 200 || body != "ok" {
			t.Errorf("%s: got %d %q", route, status, body)
		}
		up.head(t)
	}
	if found, err := f.gateway.Match(p, "app.test", "/demo"); err != nil || !found.App {
		t.Errorf("got %+v %v, want an app's route", found, err)
	}
}

func TestAppsEndWithTheirKey(t *testing.T) {
	f := newFront(t, frontConfig{policy: "upstreams: []"})
	a := f.gateway.Apps()
	ended, end := context.WithCancel(t.Context())
	who := keyHolder("ONE")
	who.Ended = ended
	for _, route := range []string{"/one", "/two"} {
		if err := a.Register(who, registration(route, "http://127.0.0.1:1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Register(keyHolder("TWO"), registration("/three", "http://127.0.0.1:1")); err != nil {
		t.Fatal(err)
	}
	end()
	gone := make(chan bool)
	go func() {
		for len(a.List()) > 1 {
			runtime.Gosched()
		}
		close(gone)
	}()
	waitFor(t, gone)
	if got := a.List(); len(got) != 1 || got[0].Route != "/three" {
		t.Errorf("left: %v", got)
	}
}

func TestAnAppThatIsGoneIsUnregistered(t *testing.T) {
	for _, keep := range []bool{false, true} {
		f := newFront(t, frontConfig{Config: Config{KeepAppLive: keep}, policy: "upstreams: []"})
		a := f.gateway.Apps()
		if err := a.Register(keyHolder("ONE"), registration("/demo", "http://"+deadAddress(t))); err != nil {
			t.Fatal(err)
		}
		if status, body := f.get(t, "/demo"); status != 502 || strings.Contains(body, "app-secret") {
			t.Errorf("got %d %s", status, body)
		}
		if n := len(a.List()); (n == 1) != keep {
			t.Errorf("keep %v: %d apps", keep, n)
		}
	}
}

func TestAppsAreBoundedInNumber(t *testing.T) {
	f := newFront(t, frontConfig{policy: "upstreams: []"})
	a := f.gateway.Apps()
	for i := range maxApps {
		if err := a.Register(keyHolder("ONE"), registration(fmt.Sprintf("/app%d", i), "http://127.0.0.1:1")); err != nil {
			t.Fatal(err)
		}
	}
	if e := fault.From(a.Register(keyHolder("ONE"), registration("/more", "http://127.0.0.1:1"))); e.Status != 503 {
		t.Errorf("got %v", e)
	}
	if err := a.Register(keyHolder("ONE"), registration("/app7", "http://127.0.0.1:2")); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	long := "/app7/" + strings.Repeat("x/", 3000)
	if app := a.match(long); app == nil || app.Route != "/app7" {
		t.Errorf("got %v", app)
	}
	if app := a.match("/" + strings.Repeat("x", 3000)); app != nil {
		t.Errorf("got %v", app)
	}
	if n := testing.AllocsPerRun(100, func() { a.match("/app7/a/b/c/d") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// post sends an app's message as the holder of a key.
func post(t testing.TB, a *Apps, who *identity.Principal, header, body string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(identity.NewContext(t.Context(), &identity.Request{Principal: who}), "POST", "http://gate.test/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	return a.Serve(discardWriter{http.Header{}}, r)
}

type discardWriter struct{ h http.Header }

func (w discardWriter) Header() http.Header         { return w.h }
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w discardWriter) WriteHeader(int)             {}

func TestAppMessages(t *testing.T) {
	f := newFront(t, frontConfig{policy: "upstreams: []"})
	a := f.gateway.Apps()
	const in = `{"register_app":{"mode":"unicast","route":"/demo","address":"http://127.0.0.1:8000","key_id":"i","key_secret":"canary"}}`
	for _, c := range []struct {
		name   string
		who    *identity.Principal
		header string
		body   string
		status int // 0: no error
	}{
		{"register", keyHolder("K"), "", in, 0},
		{"unregister", keyHolder("K"), "", `{"unregister_app":{"route":"/demo"}}`, 0},
		{"nobody", nil, "", in, 401},
		{"a session", alice(), "", in, 403},
		{"empty", keyHolder("K"), "", "", 400},
		{"neither", keyHolder("K"), "", "{}", 400},
		{"both", keyHolder("K"), "", `{"register_app":{},"unregister_app":{}}`, 400},
		{"unknown field", keyHolder("K"), "", `{"register_app":{"canary":1}}`, 400},
		{"unknown message", keyHolder("K"), "", `{"canary":1}`, 400},
		{"wrong kind", keyHolder("K"), "", `{"register_app":"canary"}`, 400},
		{"two values", keyHolder("K"), "", in + in, 400},
		{"rubbish after it", keyHolder("K"), "", in + "x", 400},
		{"form", keyHolder("K"), "", "register_app=canary", 400},
		{"too long", keyHolder("K"), "", `{"register_app":{"mode":"` + strings.Repeat("canary", 20000) + `"}}`, 413},
		{"spaces without end", keyHolder("K"), "", in + strings.Repeat(" ", 70000), 413},
		{"another site's script", keyHolder("K"), "Origin: https://evil.example", in, 403},
		{"another site's form", keyHolder("K"), "Sec-Fetch-Site: cross-site", in, 403},
	} {
		err := post(t, a, c.who, c.header, c.body)
		status := 0
		if err != nil {
			status = fault.From(err).Status
		}
		if status != c.status || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func FuzzAppMessage(f *testing.F) {
	f.Add(`{"register_app":{"mode":"unicast","route":"/demo","address":"http://127.0.0.1:8000","key_id":"i","key_secret":"s"}}`)
	f.Add(`{"unregister_app":{"route":"/demo"}}`)
	f.Add(`{"register_app":{"route":"/..;/x","address":"http://a@b/?c"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		message, err := readAppMessage(strings.NewReader(body))
		if err != nil || message.Register == nil {
			return
		}
		target, err := message.Register.check()
		if err != nil {
			return
		}
		if target.User != nil || target.RawQuery != "" || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
			t.Errorf("address %v", target)
		}
		if path, found, err := CleanPath(reescape(message.Register.Route)); err != nil || found != 0 || path != message.Register.Route {
			t.Errorf("route %q: %v %v", message.Register.Route, found, err)
		}
	})
}
