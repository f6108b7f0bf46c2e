package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// maxUnread is how much of a body that nobody wants is read so that the
// connection can go on, in bytes. net/http takes as much.
const maxUnread = 256 << 10

// A requestBody is the body of a request, whose bytes are counted. That of an
// HTTP/1 request has to be read to its end before the connection can carry the
// next one.
type requestBody struct {
	io.ReadCloser
	ex    *exchange
	begun atomic.Bool // somebody tried to read
	ended atomic.Bool // there is no more: its end, or an error
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.ex.bytesIn.Add(int64(n))
	if !b.ex.pay(n) && err == nil {
		err = errSpent
	}
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// takeBody puts r's body under watch. net/http would read what is left of it
// before it sends the answer, and a client that sends slowly would not hear
// that it is refused; so it is told not to, and settle does what is left.
func (ex *exchange) takeBody(r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	body := &requestBody{ReadCloser: r.Body, ex: ex}
	r.Body = body
	if ex.conn == nil || r.ProtoMajor != 1 {
		return
	}
	ex.body = body
	ex.conn.begin()
	_ = http.NewResponseController(ex.w).EnableFullDuplex()
}

// settle sends the answer and then reads what is left of the body, if it comes
// soon and is not much. It must happen before the handler returns: net/http
// panics when it meets the end of a full-duplex body later.
func (ex *exchange) settle(r *http.Request) {
	if ex.body == nil || ex.hijacked || ex.body.ended.Load() {
		return
	}
	_ = http.NewResponseController(ex.w).Flush()
	ex.conn.finish()
	if r.Header.Get("Expect") != "" && !ex.body.begun.Load() {
		ex.conn.giveUp() // the client waits to be asked for the body, and never is
		return
	}
	if _, err := io.CopyN(io.Discard, ex.body, maxUnread); !errors.Is(err, io.EOF) {
		ex.conn.giveUp()
	}
}
