package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"wavegate/server/identity"
)

// An exchange is one request on its way through a proxy. It is the context of
// the outgoing request, so that the hooks of httputil.ReverseProxy find it.
// The goroutine that serves the request owns it; only the body's failure is
// seen by others.
type exchange struct {
	context.Context
	id     *identity.Request
	writer http.ResponseWriter
	origin []string     // the client's Origin lines
	fields []field      // identity headers for the upstream
	tokens []field      // the session's tokens, where the upstream gets them
	body   *requestBody // nil where the request has none
	cancel context.CancelCauseFunc
	idle   *time.Timer // ends a stream that stands still; nil for none
	answer http.Header // of the upstream's 101; nil before and for every other
	unhook func() bool // stops closing the client's connection with the exchange; nil before a 101
	err    error       // the fault to answer with; nil where an answer has begun
}

// Why a request that still runs is ended from here.
var (
	errEnded   = errors.New("the credential has ended")
	errIdle    = errors.New("nothing was sent for the route's idle_timeout")
	errClosing = errors.New("the server is stopping")
)

type exchangeKey struct{}

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// exchangeOf returns the exchange of an outgoing request.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// endWith makes the exchange end when a credential does. The caller calls stop
// when the exchange is over.
func (x *exchange) endWith(ended context.Context) (stop func() bool) {
	return context.AfterFunc(ended, func() { x.cancel(errEnded) })
}

// watch wraps the body of an answer so that the exchange ends when nothing
// moves for d, in a tunnel in both directions.
func (x *exchange) watch(body io.ReadCloser, d time.Duration) io.ReadCloser {
	x.idle = time.AfterFunc(d, func() { x.cancel(errIdle) })
	watched := &watchedBody{body, x.idle, d}
	if tunnel, ok := body.(io.ReadWriteCloser); ok {
		return &watchedTunnel{watched, tunnel}
	}
	return watched
}

// finish releases what the exchange holds.
func (x *exchange) finish() {
	if x.idle != nil {
		x.idle.Stop()
	}
	if x.unhook != nil {
		x.unhook()
	}
	if x.cancel != nil {
		x.cancel(nil)
	}
}

// watchedBody winds its timer up again with each read.
type watchedBody struct {
	io.ReadCloser
	idle *time.Timer
	d    time.Duration
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.idle.Reset(b.d)
	return n, err
}

// watchedTunnel is watchedBody for the connection of a WebSocket.
type watchedTunnel struct {
	*watchedBody
	w io.Writer
}

func (t *watchedTunnel) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.idle.Reset(t.d)
	return n, err
}

// requestBody is the client's body. It remembers why it could not be read, so
// that the client's fault is told from the upstream's, and hands the trailers
// on once they have come.
type requestBody struct {
	io.ReadCloser
	chunked bool                  // in HTTP/1, so that it can be malformed
	failed  atomic.Pointer[error] // why it could not be read, at first
	ended   bool                  // EOF was seen; only the reading goroutine looks
	arrived http.Header           // trailers, filled in by the server at the end of the body
	passed  http.Header           // trailers of the outgoing request
}

// Read implements io.Reader. The transport's goroutine calls it. The end is
// remembered: the transport looks for it twice, and the server may have closed
// the body by then, because the answer has come.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.ended = true
		for name := range b.passed {
			b.passed[name] = b.arrived[name]
		}
	case err != nil && err != http.ErrBodyReadAfterClose: //nolint:errorlint // net/http returns it bare; closing is our doing
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failure returns why the body could not be read, or nil.
func (b *requestBody) failure() error {
	if b == nil {
		return nil
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// passTrailers announces to the upstream the trailers that the client
// announced, without those that only we may set.
func (b *requestBody) passTrailers(announced http.Header) http.Header {
	if b == nil || len(announced) == 0 {
		return nil
	}
	out := http.Header{}
	for name := range announced {
		if !isReserved(name) {
			out[name] = nil
		}
	}
	b.arrived, b.passed = announced, out
	return out
}
