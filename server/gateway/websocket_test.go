package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"wavegate/server/identity"
)

// echo answers a WebSocket with its own messages.
func echo(t testing.TB, w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gateway checks
	if err != nil {
		t.Errorf("accept: %v", err)
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// newEcho starts an upstream of echoing WebSockets; what is sent on the channel
// is the end of one.
func newEcho(t testing.TB) (url string, ended <-chan bool) {
	t.Helper()
	ends := make(chan bool, 16)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		echo(t, w, r)
		ends <- true
	})
	return up.URL, ends
}

// dial opens a WebSocket to a front, with an Origin unless it is "".
func dial(t testing.TB, f *front, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	c, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(f.URL, "http")+"/live", &websocket.DialOptions{HTTPHeader: h})
	if err == nil {
		t.Cleanup(func() { c.CloseNow() })
	}
	return c, resp, err
}

// say sends a message and returns the answer.
func say(t testing.TB, c *websocket.Conn, message string) string {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, got, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestWebSocketsPassThrough(t *testing.T) {
	url, ended := newEcho(t)
	f := newFront(t, frontConfig{policy: route(url)})
	c, _, err := dial(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"hello", "", strings.Repeat("x", 30000)} {
		if got := say(t, c, message); got != message {
			t.Errorf("got %.20q, want %.20q", got, message)
		}
	}
	c.Close(websocket.StatusNormalClosure, "")
	waitFor(t, ended)
	if err := f.lastErr(t); err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestWebSocketOriginsAreChecked(t *testing.T) {
	url, _ := newEcho(t)
	for _, c := range []struct {
		name    string
		allowed []string
		origin  string // OWN is replaced by the front's address
		ok      bool
	}{
		{"none", nil, "", true},
		{"own host", nil, "http://OWN", true},
		{"own host over TLS that ends before us", nil, "https://OWN", true},
		{"other host", nil, "https://evil.example", false},
		{"null", nil, "null", false},
		{"own host as a prefix", nil, "http://OWN.evil.example", false},
		{"own host as userinfo", nil, "http://OWN@evil.example", false},
		{"own host in a path", nil, "http://evil.example/OWN", false},
		{"other port", nil, "http://127.0.0.1:1", false},
		{"other scheme", nil, "chrome-extension://OWN", false},
		{"not a URL", nil, "http://[", false},
		{"listed", []string{"https://App.example/"}, "https://app.example", true},
		{"not the listed scheme", []string{"https://app.example"}, "http://app.example", false},
		{"not the listed port", []string{"https://app.example"}, "https://app.example:8443", false},
		{"any", []string{"*"}, "https://evil.example", true},
	} {
		f := newFront(t, frontConfig{Config: Config{AllowedOrigins: c.allowed}, policy: route(url)})
		conn, resp, err := dial(t, f, strings.ReplaceAll(c.origin, "OWN", f.addr()))
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
		if err != nil && resp.StatusCode != 403 {
			t.Errorf("%s: status %d, want 403", c.name, resp.StatusCode)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
}

func TestAPlainPageOfAnHTTPSSiteIsNotItsOrigin(t *testing.T) {
	id := &identity.Request{Scheme: "https", HostPort: "app.test"}
	for origin, want := range map[string]bool{"https://app.test": true, "https://APP.test": true, "http://app.test": false, "https://app.test/": false} {
		if got := sameHost(origin, id); got != want {
			t.Errorf("%s: got %v", origin, got)
		}
	}
}

func TestTwoOriginLinesAreRefused(t *testing.T) {
	url, _ := newEcho(t)
	f := newFront(t, frontConfig{policy: route(url)})
	resp, _ := f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://app.test\r\nOrigin: http://evil.test\r\n\r\n")
	if resp.StatusCode != 403 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestSocketsEndWithTheirCredential(t *testing.T) {
	url, ended := newEcho(t)
	credential, end := context.WithCancel(t.Context())
	f := newFront(t, frontConfig{policy: route(url), who: func(*http.Request) *identity.Principal {
		return &identity.Principal{Method: identity.MethodSession, Subject: "u", Ended: credential}
	}})
	c, _, err := dial(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "hello")
	end()
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the socket is still open")
	}
	waitFor(t, ended)
}

// TestMessagesOnASocketShowThatSomebodyIsThere: each message that comes at least a
// second after the last sign is one more.
func TestMessagesOnASocketShowThatSomebodyIsThere(t *testing.T) {
	for _, more := range [][]string{nil, {"idle_timeout: 1m"}} {
		url, _ := newEcho(t)
		active := make(chan bool, 1024)
		who := alice()
		who.Active = func() { active <- true }
		f := newFront(t, frontConfig{policy: route(url, more...), who: func(*http.Request) *identity.Principal { return who }})
		c, _, err := dial(t, f, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(active) != 0 {
			t.Error("a handshake counts as a sign on its socket")
		}
		for range 50 {
			say(t, c, "hello")
		}
		waitFor(t, active)
		if n := len(active); n > 10 {
			t.Errorf("%d more signs within a moment", n)
		}
	}
}

func TestSignsOfLifeAreASecondApartAndAllocateNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signs int
		upstream := struct {
			io.ReadCloser
			io.Writer
		}{io.NopCloser(strings.NewReader("from the upstream")), io.Discard}
		tunnel := attend(upstream, &identity.Principal{Active: func() { signs++ }}).(io.ReadWriteCloser)
		message := frame(1, 5)
		for _, c := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {999 * time.Millisecond, 2}, {time.Hour, 3}} {
			time.Sleep(c.wait)
			if _, err := tunnel.Write(message); err != nil || signs != c.want {
				t.Errorf("after %v more: %d signs, want %d (%v)", c.wait, signs, c.want, err)
			}
		}
		time.Sleep(time.Hour)
		if _, err := tunnel.Write(frame(10, 5)); err != nil || signs != 3 {
			t.Errorf("a pong counts: %d signs (%v)", signs, err)
		}
		if _, err := tunnel.Read(make([]byte, 8)); err != nil || signs != 3 {
			t.Errorf("what the upstream sends counts: %d signs (%v)", signs, err)
		}
		if n := testing.AllocsPerRun(100, func() { tunnel.Write(message) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestSocketsEndAlthoughTheirUpstreamLeftFirst: an upstream that closes its half
// must not leave a socket that nothing can end.
func TestSocketsEndAlthoughTheirUpstreamLeftFirst(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, rw) // and goes on reading
	})
	credential, end := context.WithCancel(t.Context())
	f := newFront(t, frontConfig{policy: route(up.URL), who: func(*http.Request) *identity.Principal {
		return &identity.Principal{Method: identity.MethodSession, Subject: "u", Ended: credential}
	}})
	c, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil { // up to the end that the upstream sent
		t.Fatal(err)
	}
	end()
	f.lastErr(t) // the exchange is over
}

func TestSocketsEndWhenTheyStandStill(t *testing.T) {
	url, ended := newEcho(t)
	f := newFront(t, frontConfig{policy: route(url, "idle_timeout: 1s")})
	c, _, err := dial(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "hello")
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the socket is still open")
	}
	waitFor(t, ended)
}

func TestCloseEndsTheOpenSocketsAndWaitsForThem(t *testing.T) {
	url, ended := newEcho(t)
	f := newFront(t, frontConfig{policy: route(url)})
	c, _, err := dial(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "hello")
	f.gateway.Close()
	if n := len(f.gateway.sockets.open); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the socket is still open")
	}
	waitFor(t, ended)
	if _, resp, err := dial(t, f, ""); err == nil || resp.StatusCode != 503 {
		t.Errorf("after Close: got %v %v", resp, err)
	}
}

func TestUpstreamsThatRefuseAnUpgradeAnswerThemselves(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no sockets", http.StatusTeapot) })
	f := newFront(t, frontConfig{policy: route(up.URL)})
	_, resp, err := dial(t, f, "")
	if err == nil || resp.StatusCode != http.StatusTeapot {
		t.Errorf("got %v %v", resp, err)
	}
}

func TestUpstreamsCannotSwitchToAnotherProtocol(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		rw.Flush()
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	for _, upgrade := range []string{"", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
		resp, _ := f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\n"+upgrade+"\r\n")
		if resp.StatusCode != 502 {
			t.Errorf("%q: got %d, want 502", upgrade, resp.StatusCode)
		}
	}
}

// hijackHeaders sets a header when the connection is taken over, as the
// server's own writer does.
type hijackHeaders struct{ http.ResponseWriter }

func (w hijackHeaders) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.Header()["X-Request-Id"] = []string{"ours"}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w hijackHeaders) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestHandshakesCarryOurHeadersOnce(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Request-Id"] = []string{"theirs", "theirs again"}
		w.Header().Set("X-App", "kept")
		echo(t, w, r)
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	ours := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { f.ServeHTTP(hijackHeaders{w}, r) })
	c, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(ours.URL, "http")+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if got := say(t, c, "hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
	if got := resp.Header["X-Request-Id"]; !slices.Equal(got, []string{"ours"}) || resp.Header.Get("X-App") != "kept" {
		t.Errorf("got %q and %v", got, resp.Header)
	}
}
