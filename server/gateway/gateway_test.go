package gateway

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// front is a small server around a Gateway: what package server does, without
// authentication and limits.
type front struct {
	*httptest.Server
	gateway    *Gateway
	forwarding Forwarding
	who        func(r *http.Request) *identity.Principal // nil: nobody

	mu     sync.Mutex // guards errs
	errs   []error    // what Serve returned, nil included
	served chan struct{}
}

// frontConfig says how a front differs from the plainest one.
type frontConfig struct {
	Config
	policy  string // YAML
	trusted string // CIDR of trusted proxies
	who     func(r *http.Request) *identity.Principal
	tls     *tls.Config // serve HTTPS
}

// newFront starts a front; everything ends with the test.
func newFront(t testing.TB, c frontConfig) *front {
	t.Helper()
	if c.ForwardHeaders == nil {
		c.ForwardHeaders = []string{"*"}
	}
	f := &front{gateway: New(c.Config), who: c.who, served: make(chan struct{}, 1024)}
	if c.trusted != "" {
		f.forwarding.Trusted = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
	}
	f.load(t, c.policy)
	f.Server = httptest.NewUnstartedServer(f)
	if c.tls != nil {
		f.TLS = c.tls
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(func() {
		f.gateway.Close()
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// load replaces the policy.
func (f *front) load(t testing.TB, yaml string) {
	t.Helper()
	if err := f.gateway.Load(mustPolicy(t, yaml)); err != nil {
		t.Fatal(err)
	}
}

// mustPolicy compiles a policy.
func mustPolicy(t testing.TB, yaml string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ServeHTTP is the chain in small.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := f.serve(w, r)
	f.mu.Lock()
	f.errs = append(f.errs, err)
	f.mu.Unlock()
	select {
	case f.served <- struct{}{}:
	default:
	}
	if err == nil {
		return
	}
	e := fault.From(err)
	if e.Status == StatusClientGone {
		return
	}
	maps.Copy(w.Header(), e.Header)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(map[string]string{"code": e.Code, "message": e.Message})
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) error {
	path, found, err := CleanPath(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	ip, scheme, hostport, trusted, err := f.forwarding.Resolve(r.RemoteAddr, r.TLS != nil, r.Host, r.Header)
	if err != nil {
		return err
	}
	host, err := CleanHost(hostport)
	if err != nil {
		return err
	}
	route, err := f.gateway.Match(f.gateway.table.Load().policy, host, path)
	if err != nil {
		return err
	}
	if route == nil {
		return fault.NotFound()
	}
	if bad := found &^ route.AllowInPath; bad != 0 {
		return fault.New(400, "invalid_request", "not allowed in the path: "+bad.String())
	}
	id := &identity.Request{ClientIP: ip, Scheme: scheme, Host: host, HostPort: hostport, Forwarded: trusted, Path: path, Route: route.Name}
	if f.who != nil {
		id.Principal = f.who(r)
	}
	r = r.WithContext(identity.NewContext(r.Context(), id))
	if f.gateway.Preflight(w, r, route) {
		return nil
	}
	return f.gateway.Serve(w, r, route)
}

// lastErr waits for the next request to be done and returns what Serve said.
func (f *front) lastErr(t testing.TB) error {
	t.Helper()
	waitFor(t, f.served)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errs[len(f.errs)-1]
}

// addr is the front's TCP address.
func (f *front) addr() string { return f.Listener.Addr().String() }

// raw sends bytes over a connection of its own and returns the answer with its
// body.
func (f *front) raw(t testing.TB, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// get sends a GET and returns status and body.
func (f *front) get(t testing.TB, path string) (int, string) {
	t.Helper()
	resp, body := f.raw(t, "GET "+path+" HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	return resp.StatusCode, body
}

// rawUpstream is an upstream that keeps the literal bytes of the requests that
// reach it, and answers each with 200.
type rawUpstream struct {
	url  string
	seen chan string // head of each request
}

func newRawUpstream(t testing.TB) *rawUpstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{url: "http://" + l.Addr().String(), seen: make(chan string, 64)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { u.answer(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return u
}

func (u *rawUpstream) answer(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		u.seen <- head.String()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// head returns the next request's head.
func (u *rawUpstream) head(t testing.TB) string {
	t.Helper()
	select {
	case h := <-u.seen:
		return h
	case <-time.After(10 * time.Second):
		t.Fatal("no request reached the upstream")
		return ""
	}
}

// newUpstream starts an upstream with a handler.
func newUpstream(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// route is a policy of one public route to a target, with more lines of YAML.
func route(target string, more ...string) string {
	return upstream("/", target, more...)
}

// upstream is route at a place.
func upstream(place, target string, more ...string) string {
	var s strings.Builder
	s.WriteString(fmt.Sprintf("upstreams:\n  - route: %s\n    url: %s\n    access: public\n", place, target))
	for _, line := range more {
		s.WriteString("    " + line + "\n")
	}
	return s.String()
}

// waitFor waits until a channel says something or is closed.
func waitFor[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("waited too long")
		panic("unreachable")
	}
}
