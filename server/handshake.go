package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// handshakeTimeout is how long a client may take for the TLS handshake.
const handshakeTimeout = 10 * time.Second

// strictListener hands out strictConns.
type strictListener struct {
	net.Listener
	log *slog.Logger
}

// Accept implements net.Listener.
func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newStrictConn(c, l.log), nil
}

// A tlsListener does the TLS handshake before it hands a connection out, each
// in a goroutine of its own: only then is it known whether the connection
// speaks HTTP/2, which net/http wants as a *tls.Conn, or HTTP/1, which goes
// through a strictConn.
type tlsListener struct {
	net.Listener
	config *tls.Config
	log    *slog.Logger
	ready  chan net.Conn
	closed context.Context
	close  context.CancelFunc
	work   sync.WaitGroup
	failed error // why accepting ended; written before closed is done
}

func newTLSListener(ln net.Listener, config *tls.Config, log *slog.Logger) *tlsListener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &tlsListener{
		Listener: ln, config: config, log: log, ready: make(chan net.Conn),
		closed: ctx, close: cancel,
	}
	l.work.Go(l.acceptAll)
	return l
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.closed.Done():
		return nil, l.failed
	}
}

// Close implements net.Listener. It waits for the handshakes under way, whose
// connections it closes.
func (l *tlsListener) Close() error {
	err := l.Listener.Close()
	l.work.Wait()
	return err
}

func (l *tlsListener) acceptAll() {
	for {
		c, err := l.Listener.Accept()
		if isTemporary(err) {
			time.Sleep(5 * time.Millisecond) // out of descriptors, as net/http does
			continue
		}
		if err != nil {
			l.failed = err
			l.close()
			return
		}
		l.work.Go(func() { l.handshake(c) }) // as net/http: silent ones hold up nobody
	}
}

// isTemporary reports whether accepting will work again later: the connection
// was gone before it was accepted, or descriptors have run out.
func isTemporary(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (l *tlsListener) handshake(raw net.Conn) {
	ctx, cancel := context.WithTimeout(l.closed, handshakeTimeout)
	defer cancel()
	tc := tls.Server(raw, l.config)
	if err := tc.HandshakeContext(ctx); err != nil {
		l.explain(err)
		l.log.Debug("TLS handshake", "client", raw.RemoteAddr().String(), "error", err)
		raw.Close()
		return
	}
	var c net.Conn = tc
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		c = newStrictTLSConn(tc, l.log)
	}
	select {
	case l.ready <- c:
	case <-l.closed.Done():
		c.Close()
	}
}

// explain answers a client that speaks plain HTTP to the TLS port.
func (l *tlsListener) explain(err error) {
	re, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || re.Conn == nil || !looksLikeHTTP(string(re.RecordHeader[:])) {
		return
	}
	_ = re.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(re.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks https: use an https:// address.\n")
}

func looksLikeHTTP(start string) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH"} {
		if strings.HasPrefix(start, method) {
			return true
		}
	}
	return false
}
