package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/identity"
)

// stallTimeout is how long a client may take to send or to accept the next
// bytes of a body before its connection is given up.
const stallTimeout = 60 * time.Second

// deadlineSlack is how old a deadline may grow before it is set anew: a stream
// of small writes then costs no timer each.
const deadlineSlack = 10 * time.Second

// An exchange is one request and its answer: the ResponseWriter that handlers
// write to, and everything that the log line will say. The goroutine that
// serves the request owns it.
type exchange struct {
	identity.Request

	w          http.ResponseWriter
	ctx        context.Context // of the request
	server     *Server
	statusOnly bool // answer errors without a body (nginx auth_request)

	start     time.Time
	idValue   [1]string // backs the X-Request-Id header
	status    int       // 0 until the header was written
	bytesOut  int64
	fault     *fault.Error // what refused the request, or nil
	hijacked  bool
	trace     string // W3C trace-id of the caller, or empty
	userAgent string
}

// Header implements http.ResponseWriter.
func (ex *exchange) Header() http.Header { return ex.w.Header() }

// started reports whether the answer is already on its way.
func (ex *exchange) started() bool { return ex.status != 0 || ex.hijacked }

// WriteHeader implements http.ResponseWriter. The server's own headers are put
// over whatever an upstream answered: they are on every answer.
func (ex *exchange) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		ex.w.WriteHeader(status)
		return
	}
	if ex.status != 0 {
		return
	}
	ex.status = status
	ex.ownHeaders()
	ex.w.WriteHeader(status)
}

// ownHeaders sets the request id and the operator's extra headers.
func (ex *exchange) ownHeaders() {
	h := ex.w.Header()
	h["X-Request-Id"] = ex.idValue[:]
	for name, values := range *ex.server.headers.Load() {
		if name == "Set-Cookie" {
			h[name] = append(h[name], values...)
			continue
		}
		h[name] = values
	}
}

// Write implements http.ResponseWriter.
func (ex *exchange) Write(p []byte) (int, error) {
	if ex.status == 0 {
		ex.WriteHeader(http.StatusOK)
	}
	n, err := ex.w.Write(p)
	ex.bytesOut += int64(n)
	return n, err
}

// ReadFrom lets a body that comes from a file or a socket take the kernel's
// short way. It writes in pieces so that each piece has its own deadline (see
// strictConn.ReadFrom).
func (ex *exchange) ReadFrom(src io.Reader) (int64, error) {
	if ex.status == 0 {
		ex.WriteHeader(http.StatusOK)
	}
	rf, ok := ex.w.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{ex}, src)
	}
	const piece = 4 << 20
	var total int64
	for {
		n, err := rf.ReadFrom(io.LimitReader(src, piece))
		total += n
		ex.bytesOut += n
		if err != nil || n < piece {
			return total, err
		}
	}
}

// FlushError implements what http.ResponseController looks for.
func (ex *exchange) FlushError() error {
	if ex.status == 0 {
		ex.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(ex.w).Flush()
}

// Flush implements http.Flusher.
func (ex *exchange) Flush() { _ = ex.FlushError() }

// Hijack hands the connection to the caller, who serves a WebSocket on it. The
// server keeps count of those: http.Server.Shutdown forgets them.
func (ex *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	ex.ownHeaders()
	conn, rw, err := http.NewResponseController(ex.w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	switch c := conn.(type) {
	case *strictConn:
		c.relax()
	case *strictTLSConn:
		c.relax()
	}
	ex.hijacked = true
	ex.status = http.StatusSwitchingProtocols
	ex.server.upgraded.add()
	return conn, rw, nil
}

// Unwrap lets http.ResponseController reach the real ResponseWriter.
func (ex *exchange) Unwrap() http.ResponseWriter { return ex.w }

// A stallGuard is a request body whose every Read has its own deadline, so that
// a client which stops sending does not hold a connection for ever.
type stallGuard struct {
	io.ReadCloser
	w   http.ResponseWriter
	set time.Time
}

// Read implements io.Reader. The deadline is lifted at the end of the body:
// left behind it would fail the read that watches for the client's abort.
func (b *stallGuard) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.set) > deadlineSlack {
		b.set = now
		http.NewResponseController(b.w).SetReadDeadline(now.Add(stallTimeout + deadlineSlack))
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		http.NewResponseController(b.w).SetReadDeadline(time.Time{})
	}
	return n, err
}

// traceID returns the trace-id of a traceparent header, or "" when the header
// is not well formed (W3C Trace Context, section 3.2).
func traceID(traceparent string) string {
	if traceparent == "" {
		return ""
	}
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 {
		return ""
	}
	for _, p := range parts[:4] {
		if strings.Trim(p, "0123456789abcdef") != "" {
			return ""
		}
	}
	if parts[0] == "ff" || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ""
	}
	return parts[1]
}
