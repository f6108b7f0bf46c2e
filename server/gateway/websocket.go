package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"wavegate/server/fault"
	"wavegate/server/identity"
)

// IsWebSocket reports whether r is a handshake that Serve passes on as one: a
// GET over HTTP/1.1 that asks for an upgrade to websocket and nothing else
// (RFC 6455 §4.1). Decisions must use it, so that what was decided is what is
// passed on.
func IsWebSocket(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1 &&
		hasToken(r.Header["Connection"], "upgrade")
}

// hasToken reports whether a comma-separated list holds a token.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// checkOrigin lets a WebSocket be opened by the pages of the request's own
// host and of the allowed origins. Browsers apply no same-origin rule to
// WebSockets and send cookies along, so nobody else may check in their stead.
// A request without Origin comes from no browser and passes.
func checkOrigin(r *http.Request, id *identity.Request, allowed []string) error {
	lines := r.Header["Origin"]
	if len(lines) == 0 || slices.Contains(allowed, "*") {
		return nil
	}
	if len(lines) == 1 {
		origin := lines[0]
		if slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, origin) }) || sameHost(origin, id) {
			return nil
		}
	}
	return fault.New(http.StatusForbidden, "origin_not_allowed",
		"This origin may not open a WebSocket here. The operator can allow it with -allowed-origins.")
}

// sameHost reports whether an Origin is that of the page the request's own
// host would serve. A page that came over plain HTTP is not the https site.
func sameHost(origin string, id *identity.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	if u.Scheme != "https" && (u.Scheme != "http" || id.Scheme == "https") {
		return false
	}
	return strings.EqualFold(u.Host, id.HostPort)
}

// withoutUpgrade returns r without the offer to switch to another protocol. A
// server may ignore such an offer (RFC 9110 §7.8); passing on one to h2c would
// open a tunnel that nobody looks into.
func withoutUpgrade(r *http.Request) *http.Request {
	clone := *r
	clone.Header = r.Header.Clone()
	clone.Header.Del("Upgrade")
	clone.Header.Del("Http2-Settings")
	return &clone
}

// A socketWriter is the writer of a handshake. Whoever wrote it may set headers
// of its own while the connection is hijacked; httputil.ReverseProxy adds the
// upstream's only then, and each name must be there once.
//
// A socket that is ended from here is cut off as by a broken connection, which a
// browser tells its page as close code 1006: between two peers that may be in
// the middle of a message, there is no place for a close frame of our own.
type socketWriter struct {
	http.ResponseWriter
	x *exchange
}

// Hijack implements http.Hijacker.
func (w *socketWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		// The reverse proxy closes the upstream's side alone. Where the upstream
		// ended its half before, the client's would stay open.
		w.x.unhook = context.AfterFunc(w.x.Context, func() { _ = conn.Close() })
	}
	for name := range w.Header() {
		if name != "Set-Cookie" && name != "Vary" { // theirs and ours
			delete(w.x.answer, name)
		}
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController reach the real ResponseWriter.
func (w *socketWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// activityPause is how often, at most, a message from a client counts as a sign
// that somebody is there.
const activityPause = time.Second

// attend wraps the upstream's side of a tunnel so that who.Active is called when
// messages come from the client: an upgraded connection shows no requests, and a
// person who works through it must not be taken for idle. The browser's own
// answers to pings are no messages, so a tab that was left open goes idle.
func attend(body io.ReadCloser, who *identity.Principal) io.ReadCloser {
	upstream, ok := body.(io.ReadWriteCloser)
	if !ok || who == nil || who.Active == nil {
		return body
	}
	return &attendedTunnel{ReadWriteCloser: upstream, active: who.Active}
}

// attendedTunnel is the upstream's side of a tunnel. Whatever the client sends
// is written to it, by one goroutine.
type attendedTunnel struct {
	io.ReadWriteCloser
	active func()
	frames frames
	last   time.Time // when active was called
}

// Write implements io.Writer.
func (t *attendedTunnel) Write(p []byte) (int, error) {
	if t.frames.message(p) {
		if now := time.Now(); now.Sub(t.last) >= activityPause {
			t.last = now
			t.active()
		}
	}
	return t.ReadWriteCloser.Write(p)
}

// sockets are the WebSockets that are open, so that Close can end them:
// http.Server forgets connections that were hijacked.
type sockets struct {
	mu     sync.Mutex // guards what follows
	closed bool
	open   map[*context.CancelFunc]struct{}
	empty  sync.WaitGroup // one for each member of open
}

// add enters a socket that cancel ends. It returns what to call when the
// socket is done; ok is false after closeAll.
func (s *sockets) add(cancel context.CancelFunc) (done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	if s.open == nil {
		s.open = map[*context.CancelFunc]struct{}{}
	}
	s.open[&cancel] = struct{}{}
	s.empty.Add(1)
	return func() {
		s.mu.Lock()
		delete(s.open, &cancel)
		s.mu.Unlock()
		s.empty.Done()
	}, true
}

// closeAll ends every socket, waits for the last, and lets no more be added.
func (s *sockets) closeAll() {
	s.mu.Lock()
	s.closed = true
	for cancel := range s.open {
		(*cancel)()
	}
	s.mu.Unlock()
	s.empty.Wait()
}
