package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/identity"
)

// ServeHTTP serves the main listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.chain(w, r, s.dispatch) }

// chain is the outer chain, the same for all requests: request id, one log
// event, recovery, client address by trusted proxies, extra headers. Timeouts
// are the http.Server's and the connection's.
func (s *Server) chain(w http.ResponseWriter, r *http.Request, serve func(*exchange, *http.Request) error) {
	ex := s.newExchange(w, r)
	ex.ctx = identity.NewContext(r.Context(), &ex.Request) // net/http ends it with the request
	r = r.WithContext(ex.ctx)
	ex.takeBody(r)
	defer s.finish(ex, r)
	err := s.resolve(ex, r)
	if err == nil {
		err = serve(ex, r)
	}
	if err != nil {
		s.fail(ex, r, err)
	}
}

func (s *Server) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	ex := &exchange{
		w: w, server: s, start: time.Now(), http10: !r.ProtoAtLeast(1, 1), conn: connOf(r.Context()),
		method: r.Method, userAgent: r.Header.Get("User-Agent"), trace: traceID(r.Header.Get("Traceparent")),
	}
	ex.ID = requestID()
	ex.idValue[0] = ex.ID
	s.metrics.inFlight.Inc()
	return ex
}

// requestID returns 128 random bits in hexadecimal.
func requestID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// finish runs when the request is done, also after a panic: it answers what
// nobody answered, counts, and writes the one log line.
func (s *Server) finish(ex *exchange, r *http.Request) {
	p := recover()
	broken := p != nil && ex.started()         // the answer cannot be made whole any more
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares this sentinel by identity too
		cause := fmt.Errorf("panic: %v", p)
		s.log.Error("panic", "request_id", ex.ID, "error", cause, "stack", string(debug.Stack()))
		s.fail(ex, r, cause)
	}
	if ex.hijacked {
		s.upgraded.done()
	}
	s.metrics.inFlight.Dec()
	ex.release()
	s.record(ex, r)
	gone := ex.fault != nil && ex.fault.Status == gateway.StatusClientGone
	if gone || broken || p == http.ErrAbortHandler { //nolint:errorlint // as above
		panic(http.ErrAbortHandler) // closes the connection
	}
	ex.settle(r)
}

// dispatch hands a request to one of this server's own endpoints or to the
// gateway.
func (s *Server) dispatch(ex *exchange, r *http.Request) error {
	path, found, err := gateway.CleanPath(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	ex.Path = path
	if own, ok := s.ownPath(path); ok {
		if found != 0 {
			return errAmbiguousPath(found)
		}
		return s.serveOwn(ex, r, own)
	}
	if err := s.requireHTTPS(ex.Scheme); err != nil {
		return err
	}
	if s.isRegistration(r, path) {
		handled, err := s.serveRegistration(ex, r)
		if handled || err != nil {
			return err
		}
	}
	return s.serveRoute(ex, r, found)
}

// resolve fills in the client's address, scheme and host.
func (s *Server) resolve(ex *exchange, r *http.Request) error {
	if r.Method == http.MethodConnect || r.URL.Path == "*" {
		return fault.New(http.StatusBadRequest, "invalid_request", "This server is not a forward proxy: ask for a path.")
	}
	if tooLargeHeader(r.Header) {
		return errHeaderTooLarge
	}
	ip, scheme, hostPort, trusted, err := s.forwarding.Resolve(r.RemoteAddr, r.TLS != nil, r.Host, r.Header)
	if err != nil {
		return err
	}
	host, err := gateway.CleanHost(hostPort)
	if err != nil {
		return err
	}
	ex.ClientIP, ex.Scheme, ex.HostPort, ex.Host, ex.Forwarded = ip, scheme, hostPort, host, trusted
	return nil
}

var errHeaderTooLarge = fault.New(http.StatusRequestHeaderFieldsTooLarge, "header_too_large",
	"The request's headers are larger than 64 KB. In a browser, delete the cookies of this site and try again.")

// tooLargeHeader reports whether headers are larger than anybody needs: mostly
// cookies that something keeps adding.
func tooLargeHeader(h http.Header) bool {
	size := 0
	for name, values := range h {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return size > maxHeaderBytes
}

var errHTTPSRequired = fault.New(http.StatusForbidden, "https_required", "This server answers over https only. Use an https:// address.")

func (s *Server) requireHTTPS(scheme string) error {
	if s.cfg.RequireHTTPS && scheme != "https" {
		return errHTTPSRequired
	}
	return nil
}

// errClosed reports whether err means that the server was asked to stop.
func errClosed(err error) bool { return errors.Is(err, http.ErrServerClosed) }
