package server

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// How long clients may take.
const (
	// stallTimeout is how long a client may take to send or to accept the next
	// bytes of a body before its connection is given up.
	stallTimeout = 60 * time.Second

	// deadlineSlack is how old a deadline may grow before it is set anew: a
	// stream of small reads and writes then costs no timer each.
	deadlineSlack = 10 * time.Second

	// unreadTimeout is how long the rest of a body may take that nobody wants
	// any more, because the answer is out.
	unreadTimeout = 5 * time.Second
)

// A strictConn is a connection whose HTTP/1 requests are held to the letter of
// RFC 9112 before net/http parses them. net/http takes some shapes that other
// servers read differently, and from the difference requests are smuggled: a
// body with both Content-Length and Transfer-Encoding (section 6.3), folded
// header lines (section 5.2), lines that end in a bare LF (section 2.2), a
// doubled Content-Length. What breaks the letter is cut off, so that net/http
// answers 400 and closes.
//
// It also keeps the deadlines that net/http has no setting for: those of bodies
// and answers that move, but stall. HTTP/2 and upgraded connections pass
// through untouched.
type strictConn struct {
	net.Conn
	log  *slog.Logger
	scan wireScan
	rest []byte // what Read still has to say after a violation
	bad  bool   // nothing more is read from the client

	born     time.Time    // what the two below count from
	written  atomic.Int64 // when the write deadline was last set; 0 never
	read     atomic.Int64 // when the read deadline of a body was last set; 0 is not set
	answered atomic.Bool  // the request's answer is out, its body is not wanted any more
	over     atomic.Bool  // the rest of the body is not waited for
	relaxed  atomic.Bool  // the connection was hijacked
}

func newStrictConn(c net.Conn, log *slog.Logger) *strictConn {
	return &strictConn{Conn: c, log: log, born: time.Now()}
}

// poison ends whatever line it is put into in a way that net/http refuses.
const poison = "\x00\r\n\r\n"

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.over.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	if c.bad {
		if len(c.rest) == 0 {
			return 0, io.EOF
		}
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	inBody := c.scan.inBody()
	if inBody {
		c.extendReadDeadline()
	}
	n, err := c.Conn.Read(p)
	good := c.scan.feed(p[:n])
	if inBody {
		c.afterBody(err)
	}
	if good == n {
		return n, err
	}
	c.log.Info("malformed request refused", "client", c.RemoteAddr().String())
	c.bad, c.rest = true, []byte(poison)
	if good > 0 {
		return good, nil
	}
	return c.Read(p)
}

// afterBody takes the deadline off a body that is whole: left behind it would
// fail the read that watches for the client's abort. A body that failed is
// over: net/http must not wait for the rest of it once more.
func (c *strictConn) afterBody(err error) {
	switch {
	case err != nil:
		c.bad = true
	case !c.scan.inBody():
		c.answered.Store(false)
		_ = c.SetReadDeadline(time.Time{})
	}
}

// extendReadDeadline gives the client stallTimeout for the next bytes of a
// body, and unreadTimeout for all that is left of one that nobody wants.
func (c *strictConn) extendReadDeadline() {
	now, last := c.age(), c.read.Load()
	timeout := stallTimeout + deadlineSlack
	if c.answered.Load() {
		timeout = unreadTimeout
	}
	if last != 0 && (c.answered.Load() || now-last < int64(deadlineSlack)) {
		return
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(timeout))
	c.read.Store(now)
}

// finish says that the answer to the current request is out.
func (c *strictConn) finish() {
	if c.relaxed.Load() {
		return
	}
	c.read.Store(0)
	c.answered.Store(true)
}

// giveUp says that the rest of the body is not waited for: net/http closes the
// connection.
func (c *strictConn) giveUp() { c.over.Store(true) }

// begin says that a request is being served, whose body is wanted.
func (c *strictConn) begin() { c.answered.Store(false) }

// SetReadDeadline implements net.Conn.
func (c *strictConn) SetReadDeadline(t time.Time) error {
	c.read.Store(0) // whatever was set for the body is gone
	return c.Conn.SetReadDeadline(t)
}

// age is the time since the connection was made, in nanoseconds and never 0.
func (c *strictConn) age() int64 { return max(1, int64(time.Since(c.born))) }

// relax stops the checks: the connection was hijacked and speaks something
// else from here on.
func (c *strictConn) relax() {
	c.scan.state = wireOff
	c.relaxed.Store(true)
}

// Write implements net.Conn.
func (c *strictConn) Write(p []byte) (int, error) {
	c.extendWriteDeadline()
	return c.Conn.Write(p)
}

// ReadFrom lets net/http hand files and sockets to the kernel.
func (c *strictConn) ReadFrom(r io.Reader) (int64, error) {
	c.extendWriteDeadline()
	return io.Copy(c.Conn, r)
}

// SetWriteDeadline implements net.Conn. After each answer net/http takes the
// deadline away; here it stays, because every write renews one that is old.
func (c *strictConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && !c.relaxed.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// extendWriteDeadline gives the client stallTimeout to accept what is written
// next, whatever writes it: answers, 1xx, net/http's own refusals. A deadline
// that is young enough stays, because setting one costs as much as a small
// answer.
func (c *strictConn) extendWriteDeadline() {
	now, last := c.age(), c.written.Load()
	if c.relaxed.Load() || last != 0 && now-last < int64(deadlineSlack) {
		return
	}
	c.written.Store(now)
	_ = c.Conn.SetWriteDeadline(time.Now().Add(stallTimeout + deadlineSlack))
}

// CloseWrite lets net/http end an answer before it closes the connection.
func (c *strictConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return c.Close()
}

// A strictTLSConn is a strictConn that lets net/http fill in Request.TLS.
type strictTLSConn struct {
	strictConn
	tls *tls.Conn
}

func newStrictTLSConn(c *tls.Conn, log *slog.Logger) *strictTLSConn {
	tc := &strictTLSConn{strictConn: strictConn{Conn: c, log: log, born: time.Now()}, tls: c}
	tc.scan.noHTTP2 = true // it would have been chosen in the handshake
	return tc
}

// ConnectionState implements what net/http looks for.
func (c *strictTLSConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// strictOf returns the strictConn below a connection, or nil.
func strictOf(c net.Conn) *strictConn {
	switch c := c.(type) {
	case *strictConn:
		return c
	case *strictTLSConn:
		return &c.strictConn
	}
	return nil
}

type connKey struct{}

// withConn is an http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if sc := strictOf(c); sc != nil {
		return context.WithValue(ctx, connKey{}, sc)
	}
	return ctx
}

// connOf returns the connection that a request came over, or nil where it is
// HTTP/2 over TLS or not ours.
func connOf(ctx context.Context) *strictConn {
	c, _ := ctx.Value(connKey{}).(*strictConn)
	return c
}
