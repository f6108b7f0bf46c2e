package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of the listeners.
const (
	defaultShutdownTimeout = 25 * time.Second // below the 30 s that container platforms wait
	readHeaderTimeout      = 10 * time.Second
	idleTimeout            = 2 * time.Minute
	maxHeaderBytes         = 64 << 10           // of names and values; see tooLargeHeader
	mostHeaderBytes        = 4 * maxHeaderBytes // beyond it net/http gives up without a word of ours
)

// listeners are the sockets of a running server; nil where there is none.
type listeners struct{ main, redirect, metrics net.Listener }

// Run listens, serves until ctx ends, then drains: it stops accepting, waits
// for requests and sockets up to Config.ShutdownTimeout, and closes what is
// left. It returns nil after a stop that was asked for.
func (s *Server) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("server: Run was called twice")
	}
	defer s.close()
	if err := s.Listen(); err != nil {
		return err
	}
	ls := s.sockets
	base, kill := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: requests drain
	defer kill()
	servers := s.httpServers(base, ls)
	failed := make(chan error, len(servers))
	var work sync.WaitGroup
	for _, srv := range servers {
		work.Go(func() { failed <- srv.serve() })
	}
	helpers, stopHelpers := context.WithCancel(ctx)
	work.Go(func() { s.watch(helpers) })
	work.Go(func() { s.rereads(helpers) })
	work.Go(func() { s.notify.watchdog(helpers, os.Getenv, s.log) })
	work.Go(func() {
		if err := s.runStorage(helpers); err != nil {
			s.log.Warn("the last uses could not be written down", "error", err)
		}
	})
	s.announce(ls)
	s.tell(s.notify.send("READY=1"))

	var runErr error
	select {
	case <-ctx.Done():
	case runErr = <-failed:
	}
	s.tell(s.notify.send("STOPPING=1"))
	s.drain(servers, kill)
	stopHelpers()
	work.Wait()
	if errClosed(runErr) {
		runErr = nil
	}
	return runErr
}

// Listen opens the sockets. Run does it too; whoever wants to know the address
// first calls Listen and Addr before Run.
func (s *Server) Listen() error {
	if s.sockets.main != nil {
		return nil
	}
	ls, err := s.listen()
	s.sockets = ls
	return err
}

// Addr returns the address of the main listener. Call it after Listen.
func (s *Server) Addr() net.Addr { return s.sockets.main.Addr() }

// MetricsAddr returns the address of the metrics listener, which must be
// configured. Call it after Listen.
func (s *Server) MetricsAddr() net.Addr { return s.sockets.metrics.Addr() }

// RedirectAddr returns the address of the redirecting listener, which must be
// configured. Call it after Listen.
func (s *Server) RedirectAddr() net.Addr { return s.sockets.redirect.Addr() }

// tell logs that the service manager could not be told something.
func (s *Server) tell(err error) {
	if err != nil {
		s.log.Warn("service manager", "error", err)
	}
}

// A boundServer is an http.Server with its socket.
type boundServer struct {
	*http.Server
	ln net.Listener
}

func (b boundServer) serve() error { return b.Serve(b.ln) }

func (s *Server) httpServers(base context.Context, ls listeners) []boundServer {
	servers := []boundServer{{s.httpServer(base, s), ls.main}}
	if ls.redirect != nil {
		servers = append(servers, boundServer{short(s.httpServer(base, s.redirectHandler())), ls.redirect})
	}
	if ls.metrics != nil {
		servers = append(servers, boundServer{short(s.httpServer(base, s.metrics.handler())), ls.metrics})
	}
	return servers
}

// short makes a server for requests without bodies and answers of one piece.
func short(srv *http.Server) *http.Server {
	srv.ReadTimeout, srv.WriteTimeout = readHeaderTimeout, stallTimeout
	return srv
}

// httpServer sets every timeout and limit of a listener.
func (s *Server) httpServer(base context.Context, h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      h,
		ConnContext:                  withConn,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               mostHeaderBytes,
		Protocols:                    &protocols,
		HTTP2:                        &http.HTTP2Config{WriteByteTimeout: stallTimeout, SendPingTimeout: idleTimeout, MaxConcurrentStreams: 250},
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// drain stops the servers. Requests and sockets have ShutdownTimeout, then
// their contexts end, and then their connections are closed.
func (s *Server) drain(servers []boundServer, kill func()) {
	s.draining.Store(true)
	s.log.Info("stopping", "timeout", s.cfg.ShutdownTimeout.String())
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	var work sync.WaitGroup
	for _, srv := range servers {
		work.Go(func() { _ = srv.Shutdown(ctx) })
	}
	work.Go(func() { s.upgraded.wait(ctx) })
	work.Wait()
	kill()
	for _, srv := range servers {
		_ = srv.Close()
	}
	last, cancelLast := context.WithTimeout(context.Background(), time.Second)
	defer cancelLast()
	s.upgraded.wait(last)
	s.log.Info("stopped")
}

// listen opens every socket, or none: the first failure closes the others.
func (s *Server) listen() (ls listeners, err error) {
	defer func() {
		if err != nil {
			ls.close()
			ls = listeners{}
		}
	}()
	given, err := activatedListeners(os.Getenv)
	if err != nil {
		return ls, err
	}
	open := func(name, flag, addr string) (net.Listener, error) {
		if ln := given[name]; ln != nil {
			return ln, nil
		}
		if addr == "" {
			return nil, nil
		}
		return listenOn(addr, flag)
	}
	if ls.main, err = open("http", "-listen", s.cfg.Listen); err != nil {
		return ls, err
	}
	if ls.main == nil {
		return ls, errors.New("nothing to listen on: give -listen, or start with socket activation")
	}
	ls.main = s.guardWire(ls.main)
	if ls.redirect, err = open("redirect", "--http-redirect-listen", s.cfg.RedirectListen); err != nil {
		return ls, err
	}
	ls.metrics, err = open("metrics", "--metrics-listen", s.cfg.MetricsListen)
	return ls, err
}

// guardWire puts TLS, where it is configured, and the strict reading of HTTP/1
// before net/http.
func (s *Server) guardWire(ln net.Listener) net.Listener {
	if s.tls != nil {
		return newTLSListener(ln, s.tls.TLSConfig(), s.log)
	}
	return strictListener{ln, s.log}
}

func (ls listeners) close() {
	for _, ln := range []net.Listener{ls.main, ls.redirect, ls.metrics} {
		if ln != nil {
			ln.Close()
		}
	}
}

// listenOn opens one socket and says what to do when it cannot.
func listenOn(addr, flag string) (net.Listener, error) {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
		removeStaleSocket(path)
	}
	ln, err := net.Listen(network, address)
	switch {
	case err == nil:
		return ln, nil
	case network == "unix":
		return nil, fmt.Errorf("cannot listen on %s: %w; the folder must exist and be writable, and no other program may serve there: see %s", addr, reason(err), flag)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another program holds it (see it with: ss -ltnp); stop it or choose another address with %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: not permitted; choose a port above 1023 with %s, or grant CAP_NET_BIND_SERVICE", addr, flag)
	}
	return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with %s", addr, reason(err), flag)
}

// reason is the part of a network error that does not repeat the address.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// removeStaleSocket deletes a socket file that nobody answers on any more.
func removeStaleSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil { //nolint:gosec // the operator names the path
		conn.Close()
		return
	}
	os.Remove(path)
}

// announce writes the first log lines: where the server listens, and what the
// operator should know about how safe it is.
func (s *Server) announce(ls listeners) {
	s.log.Info("listening", "address", ls.main.Addr().String(), "tls", s.tls != nil, "version", s.cfg.Version,
		"routes", len(s.state.Load().policy.Routes()), "access_keys", s.keychain.Len())
	if ls.metrics != nil {
		s.log.Info("metrics", "address", ls.metrics.Addr().String())
	}
	if ls.redirect != nil {
		s.log.Info("redirecting to https", "address", ls.redirect.Addr().String())
	}
	for _, w := range s.warnings() {
		s.log.Warn(w)
	}
	if s.demo != nil {
		s.demo.print(s.localURL(ls.main.Addr()))
	}
}

// localURL is where this machine's browser finds the server.
func (s *Server) localURL(addr net.Addr) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + addr.String()
}

// warnings are the start-up remarks that are no errors.
func (s *Server) warnings() []string {
	var ws []string
	if s.keychain.Published() {
		ws = append(ws, "the published default access key works, from this machine only: make a key of your own with -create-access-key")
	}
	if s.tls != nil {
		ws = append(ws, s.tls.Warnings()...)
	}
	return ws
}

// monotonicMicroseconds reads CLOCK_MONOTONIC, the clock of sd_notify(3).
func monotonicMicroseconds() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano() / 1000
}
