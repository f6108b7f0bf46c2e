package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"wavegate/keychain/apikey"
	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
)

// An exchange is one request and its answer: the ResponseWriter that handlers
// write to, and everything that the log line will say. The goroutine that
// serves the request owns it.
type exchange struct {
	identity.Request

	w          http.ResponseWriter
	http10     bool            // the client does not know informational answers
	conn       *strictConn     // nil for HTTP/2 over TLS
	body       *requestBody    // nil for HTTP/2, and where there is none
	ctx        context.Context // of the request
	server     *Server
	wanted     string // address that the browser asked another proxy for; "" is the request's own
	statusOnly bool   // answer errors without a body (nginx auth_request)

	key       *apikey.Key        // that the request came with, held; nil for none
	token     *authz.AccessToken // the same of an access token
	letGo     func()             // ends what watches over the end of a token; nil for none
	accounts  []*limit.Account   // who pays for it, since they were charged; nil for nobody
	verdict   limit.Verdict      // what they have left
	owed      atomic.Int64       // bytes that flowed and are not counted yet
	bytesIn   atomic.Int64       // of the request's body, or of the socket
	socketOut atomic.Int64       // bytes that the socket sent
	args      [2]string          // what the path says for the {…} of its line of the route table
	start     time.Time
	idValue   [1]string // backs the X-Request-Id header
	label     string    // of the route in metrics; "" is Request.Route
	status    int       // 0 until the header was written
	bytesOut  int64
	fault     *fault.Error // what refused the request, or nil
	hijacked  bool
	trace     string // W3C trace-id of the caller, or empty
	userAgent string
	method    string
	offered   bool // a credential was read
	// unattended: a page asks by itself, so that a session does not count as used.
	unattended bool
	client     string // OAuth client that asks, as far as it says; "" for none that there is
}

// Header implements http.ResponseWriter.
func (ex *exchange) Header() http.Header { return ex.w.Header() }

// started reports whether the answer is already on its way.
func (ex *exchange) started() bool { return ex.status != 0 || ex.hijacked }

// WriteHeader implements http.ResponseWriter. The server's own headers are put
// over whatever an upstream answered: they are on every answer.
func (ex *exchange) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if !ex.http10 { // RFC 9110, section 15.2
			ex.w.WriteHeader(status)
		}
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
	ex.limitHeaders(h)
	for name, values := range *ex.server.headers.Load() {
		switch {
		case name == "Set-Cookie", name == "Vary":
			h[name] = append(h[name], values...) // theirs and ours
		case name == "Cache-Control" && ex.fault != nil:
			// an error is never kept, whatever pages may be
		default:
			h[name] = slices.Clip(values) // shared: whoever appends makes a copy
		}
	}
}

// Write implements http.ResponseWriter.
func (ex *exchange) Write(p []byte) (int, error) {
	if ex.status == 0 {
		ex.WriteHeader(http.StatusOK)
	}
	n, err := ex.w.Write(p)
	ex.bytesOut += int64(n)
	if !ex.pay(n) && err == nil {
		err = errSpent
	}
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
		if !ex.pay(int(n)) && err == nil {
			err = errSpent
		}
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
	if c := strictOf(conn); c != nil {
		c.relax()
	}
	ex.hijacked = true
	ex.status = http.StatusSwitchingProtocols
	ex.server.upgraded.add()
	return &paidConn{conn, ex}, rw, nil
}

// Unwrap lets http.ResponseController reach the real ResponseWriter.
func (ex *exchange) Unwrap() http.ResponseWriter { return ex.w }

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
