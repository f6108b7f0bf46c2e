package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

func TestThePathThatWasAuthorisedIsThePathThatIsForwarded(t *testing.T) {
	up := newRawUpstream(t)
	all := newFront(t, frontConfig{policy: route(up.url, `allow_in_path: ["%2f", "%5c", "//", "%25"]`)})
	for _, c := range pathCorpus(t) {
		if strings.ContainsAny(c.raw, "\x00\n ?#") || !strings.HasPrefix(c.raw, "/") {
			continue // cannot be written into a request line
		}
		resp, _ := all.raw(t, "GET "+c.raw+" HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		if c.verdict == "refused" {
			if resp.StatusCode != 400 {
				t.Errorf("%q: status %d, want 400", c.raw, resp.StatusCode)
			}
			continue
		}
		line, _, _ := strings.Cut(up.head(t), "\r\n")
		want := strings.ReplaceAll(c.raw, `\`, "%5C")
		if got := strings.TrimSuffix(strings.TrimPrefix(line, "GET "), " HTTP/1.1"); got != want {
			t.Errorf("%q: forwarded as %q", c.raw, got)
		}
	}
}

func TestPathFeaturesAreRefusedUnlessTheRouteAllowsThem(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	for _, c := range pathCorpus(t) {
		if !strings.HasPrefix(c.verdict, "needs") {
			continue
		}
		if status, _ := f.get(t, c.raw); status != 400 {
			t.Errorf("%q: status %d, want 400", c.raw, status)
		}
	}
}

func TestQueriesAndPathsNeverWidenARule(t *testing.T) {
	public, private := newRawUpstream(t), newRawUpstream(t)
	f := newFront(t, frontConfig{policy: fmt.Sprintf("upstreams:\n  - {route: /public, url: %q, access: public}\n  - {route: /, url: %q}\n", public.url, private.url)})
	for _, path := range []string{
		"/admin?x=/public", "/admin%3F/public", "/admin%23/public", "/publicity", "/public,x", "/%70ublic%2cx", "/PUBLIC", "/%70ublicx", "/x/public", "/public.json",
	} {
		f.get(t, path)
		select {
		case head := <-private.seen:
			if !strings.HasPrefix(head, "GET "+path+" ") {
				t.Errorf("%s: forwarded as %q", path, head)
			}
		case head := <-public.seen:
			t.Errorf("%s went to the public route: %q", path, head)
		case <-time.After(10 * time.Second):
			t.Errorf("%s: went nowhere", path)
		}
	}
	for _, path := range []string{"/public/../admin", "/public/..;/admin", "/public%2f..%2fadmin", "/public//../admin", "/public/%2e%2e/admin", "/public%5c..%5cadmin", "/public/%00", "/public%zz", "/public;x", "/public%3bx"} {
		if status, _ := f.get(t, path); status != 400 {
			t.Errorf("%s: status %d, want 400", path, status)
		}
	}
}

func TestParametersCannotHideTheRoute(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: fmt.Sprintf("upstreams:\n  - {route: /, url: %q, access: public}\n  - {route: /admin, url: %q}\n", up.url, up.url)})
	for path, want := range map[string]int{
		"/admin;x/secret": 400, "/admin;": 400, "/;x/admin": 400, "/admin/a;b": 200, "/other;x/y": 200, "/a/b;c=d": 200, "/admin%3bx": 400,
	} {
		if status, body := f.get(t, path); status != want {
			t.Errorf("%s: status %d %s, want %d", path, status, body, want)
		}
	}
}

func TestSpellingsCannotHideTheRoute(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: fmt.Sprintf(`upstreams:
  - {route: /, url: %q, access: public, allow_in_path: ["%%2f", "%%5c", "//", "%%25"]}
  - {route: /admin, url: %q}
  - {route: /a/b, url: %q, allow_in_path: ["%%2f"]}
`, up.url, up.url, up.url)})
	for path, want := range map[string]int{
		"/admin%2fx": 400, "/%2fadmin/x": 400, "/admin%5cx": 400, `/admin\x`: 400, "/%5cadmin": 400, "/admin%252fx": 400, "/%2561dmin": 400,
		"/%252561dmin": 400, "/x;%2fadmin": 200, "/;%2fadmin": 400, "/admin%253bx": 400, "/%2f%5c//admin%255cx": 400, "/a%2fb": 400, "/a%5cb/c": 400,
		"/x%2fadmin": 200, "/x//y": 200, "/x%5cy": 200, "/%2562oo": 200, "/administer%2fx": 200, "/x%252fy": 200, "/a/b/x%2fc": 200, "/a/b%2fc": 400, "//x": 200,
	} {
		if status, body := f.get(t, path); status != want {
			t.Errorf("%s: status %d %s, want %d", path, status, body, want)
		}
	}
}

func TestPlainPathsAreMatchedWithoutAllocations(t *testing.T) {
	f := newFront(t, frontConfig{policy: upstream("/", "static://200")})
	p := f.gateway.table.Load().policy
	if n := testing.AllocsPerRun(100, func() { f.gateway.Match(p, "app.test", "/a/b/c.html") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestQueriesAreForwardedByteForByte(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	for _, target := range []string{"/?", "/?a=1;b=2", "/?%zz&x=%2", "/?a=%2F&a=+&=&&", "/?x=/public", "/?a=\"<>^`{|}"} {
		f.raw(t, "GET "+target+" HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		if head := up.head(t); !strings.HasPrefix(head, "GET "+target+" HTTP/1.1\r\n") {
			t.Errorf("%s: forwarded as %q", target, head)
		}
	}
}

func TestBasePathAndStripPrefix(t *testing.T) {
	for _, c := range []struct{ route, base, more, path, want string }{
		{"/", "", "", "/a/b", "/a/b"},
		{"/", "/base", "", "/a/b", "/base/a/b"},
		{"/", "/base/", "", "/", "/base/"},
		{"/", "/b%20c", "", "/%61", "/b%20c/%61"},
		{"/api", "", "strip_prefix: true", "/api", "/"},
		{"/api", "", "strip_prefix: true", "/api/", "/"},
		{"/api", "", "strip_prefix: true", "/api/x?y=1", "/x?y=1"},
		{"/api", "/v2", "strip_prefix: true", "/api/x", "/v2/x"},
		{"/api", "/v2", "strip_prefix: true", "/api", "/v2/"},
		{"/api", "", "strip_prefix: true", "/%61pi/%78%2fy", "/%78%2fy"},
		{"/api", "", "strip_prefix: true", "/api//evil.example/x", "//evil.example/x"},
		{"/api", "", "strip_prefix: true", "//api/x", "/x"},
		{"/api", "", "", "/api/x", "/api/x"},
		{"/", "", "strip_prefix: true", "/x", "/x"},
	} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: upstream(c.route, up.url+c.base, `allow_in_path: ["%2f", "//"]`, c.more)})
		if status, body := f.get(t, c.path); status != 200 {
			t.Errorf("%+v: status %d %s", c, status, body)
			continue
		}
		head := up.head(t)
		if line, _, _ := strings.Cut(head, "\r\n"); line != "GET "+c.want+" HTTP/1.1" {
			t.Errorf("%+v: forwarded as %q", c, line)
		}
		if strip := c.more != "" && c.route != "/"; strings.Contains(head, "X-Forwarded-Prefix: "+c.route+"\r\n") != strip {
			t.Errorf("%+v: X-Forwarded-Prefix:\n%s", c, head)
		}
	}
}

func TestHostHeaderOfTheUpstream(t *testing.T) {
	for _, pass := range []bool{true, false} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: route(up.url, fmt.Sprintf("pass_host: %v", pass))})
		f.raw(t, "GET / HTTP/1.1\r\nHost: App.Test:99\r\nConnection: close\r\n\r\n")
		want := strings.TrimPrefix(up.url, "http://")
		if pass {
			want = "App.Test:99"
		}
		if head := up.head(t); !strings.Contains(head, "\r\nHost: "+want+"\r\n") || !strings.Contains(head, "\r\nX-Forwarded-Host: App.Test:99\r\n") {
			t.Errorf("pass_host %v:\n%s", pass, head)
		}
	}
}

func TestNothingIsAddedThatTheClientDidNotSend(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n")
	want := "GET / HTTP/1.1\r\nHost: app.test\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 127.0.0.1\r\n\r\n"
	if got := up.head(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestResponseHeadersAreChangedAsTheRouteSays(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "secretd/1.0")
		w.Header().Add("X-Frame-Options", "ALLOW")
		w.Header().Add("X-Frame-Options", "ALLOW2")
	})
	f := newFront(t, frontConfig{policy: route(up.URL, "response_headers: {set: {X-Frame-Options: DENY}, remove: [server]}")})
	resp, _ := f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	if got := resp.Header["X-Frame-Options"]; len(got) != 1 || got[0] != "DENY" || resp.Header["Server"] != nil {
		t.Errorf("got %v", resp.Header)
	}
}

func TestTraceAndConnectAreRefused(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	resp, _ := f.raw(t, "TRACE / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	if resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
		t.Errorf("TRACE: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := f.raw(t, "CONNECT app.test:80 HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"); resp.StatusCode < 400 {
		t.Errorf("CONNECT: %d", resp.StatusCode)
	}
}

// deadAddress returns an address on which nothing listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestUpstreamFaultsAre502And504WithoutTheUpstreamsAddress(t *testing.T) {
	hang := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	garbage, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	go func() {
		for {
			c, err := garbage.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
			c.Close()
		}
	}()
	plain := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		name, target, more string
		status             int
		code               string
	}{
		{"refused", "http://" + deadAddress(t), "", 502, "bad_gateway"},
		{"no such name", "http://nothing.invalid:80", "", 502, "bad_gateway"},
		{"not HTTP", "http://" + garbage.Addr().String(), "", 502, "bad_gateway"},
		{"not TLS", "https://" + strings.TrimPrefix(plain.URL, "http://"), "", 502, "bad_gateway"},
		{"too slow", hang.URL, "timeout: 20ms", 504, "gateway_timeout"},
	} {
		f := newFront(t, frontConfig{policy: upstream("/app", c.target, c.more)})
		status, body := f.get(t, "/app")
		host, _, _ := strings.Cut(strings.SplitN(c.target, "//", 2)[1], ":")
		if status != c.status || !strings.Contains(body, `"`+c.code+`"`) || strings.Contains(body, host) || !strings.Contains(body, "/app") {
			t.Errorf("%s: got %d %s", c.name, status, body)
		}
		if e := fault.From(f.lastErr(t)); e.Cause == nil {
			t.Errorf("%s: the log would not know the cause: %v", c.name, e)
		}
	}
}

func TestClientAbortsReachTheUpstream(t *testing.T) {
	arrived, gone := make(chan bool, 1), make(chan bool, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
		gone <- true
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	c, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	waitFor(t, arrived)
	c.Close()
	waitFor(t, gone)
	if e := fault.From(f.lastErr(t)); e.Status != StatusClientGone {
		t.Errorf("got %v", e)
	}
}

func TestRequestsEndWithTheirCredential(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	arrived := make(chan bool, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
	})
	f := newFront(t, frontConfig{policy: route(up.URL), who: func(*http.Request) *identity.Principal {
		return &identity.Principal{Method: identity.MethodAccessKey, Subject: "K", Ended: ended}
	}})
	go func() {
		<-arrived
		end()
	}()
	if status, body := f.get(t, "/"); status != 401 || !strings.Contains(body, "expired_token") {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := f.get(t, "/"); status != 401 {
		t.Errorf("after the end: %d", status)
	}
}

func TestAnswersThatBreakOffAreAborted(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	resp, err := http.Get(f.URL)
	if err != nil {
		return // the head was not out yet
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("got %q as if it were whole", body)
	}
}

func TestLoadNamesEveryProblemAndKeepsTheOldRoutes(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	bad := mustPolicy(t, `upstreams:
  - route: /a
    url: file:///nonexistent/folder
  - route: /b
    url: https://127.0.0.1:1
    tls: {ca_file: /nonexistent/ca.pem, cert_file: /nonexistent/c.pem, key_file: /nonexistent/k.pem}
`)
	err := f.gateway.Load(bad)
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{"policy.yaml:2: folder to serve", "policy.yaml:4: ca_file", "cert_file", "key_file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if status, _ := f.get(t, "/"); status != 200 {
		t.Errorf("old route: %d", status)
	}
}

func TestConnectionsSurviveAReload(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	f := newFront(t, frontConfig{policy: route(up.URL)})
	_, before := f.get(t, "/")
	old := f.gateway.table.Load().policy.Match("", "/")
	f.load(t, route(up.URL, "strip_prefix: true"))
	if _, after := f.get(t, "/"); after != before {
		t.Errorf("connection %s became %s", before, after)
	}
	if f.gateway.handlerOf(old) == nil {
		t.Error("a request that was matched before the reload finds no handler")
	}
}

func TestServeWithoutIdentityOpensNothing(t *testing.T) {
	up := newRawUpstream(t)
	g := New(Config{})
	defer g.Close()
	p := mustPolicy(t, route(up.url))
	if err := g.Load(p); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Serve(nil, r, p.Routes()[0]); fault.From(err).Status != 500 {
		t.Errorf("got %v", err)
	}
	r = r.WithContext(identity.NewContext(t.Context(), &identity.Request{}))
	for _, stranger := range []*policy.Route{nil, {Path: "/"}} {
		if err := g.Serve(nil, r, stranger); fault.From(err).Status != 404 {
			t.Errorf("got %v", err)
		}
	}
}

func TestFaultOfLocalExhaustionIs503(t *testing.T) {
	p := &proxy{route: &policy.Route{Name: "/x"}}
	for _, err := range exhaustion() {
		e := fault.From(p.faultOf(&exchange{Context: t.Context()}, &net.OpError{Op: "dial", Err: err}))
		if e.Status != 503 || e.Header.Get("Retry-After") == "" || isUnreachable(&net.OpError{Op: "dial", Err: err}) {
			t.Errorf("%v: got %v", err, e)
		}
	}
	if !errors.Is(p.faultOf(&exchange{Context: t.Context()}, io.ErrUnexpectedEOF), io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}
