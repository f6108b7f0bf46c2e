// Package server is the daemon: it puts the outer chain around every request,
// decides who asks (authenticate.go) and lets the policy decide what they may
// do (guard.go), and serves its own few endpoints. Start reading at routes.go.
//
// It owns configuration, listeners, reload, the request log, metrics and the
// one error renderer. It does not parse keychains or policies, terminate TLS or
// proxy: the packages below it do.
package server

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wavegate/keychain"
	"wavegate/keychain/apikey"
	"wavegate/keychain/filewatch"
	"wavegate/server/audit"
	"wavegate/server/gateway"
	"wavegate/server/limit"
	desk "wavegate/server/manage"
	"wavegate/server/policy"
	"wavegate/server/portal"
	"wavegate/server/session"
	"wavegate/tlsconf"
)

// A Server is one wavegate daemon. Make it with New; Run it once.
type Server struct {
	cfg           Config
	log           *slog.Logger
	requests      *requestLog // nil: log writes the lines of requests too
	keychain      *keychain.Keychain
	tls           *tlsconf.Source // nil: plain HTTP
	forwarding    gateway.Forwarding
	gateway       *gateway.Gateway
	signer        *gateway.Signer
	secret        masterSecret
	hasher        *apikey.Hasher
	auditChain    *audit.Chain
	issuers       atomic.Pointer[issuerSet] // swapped by Reload
	suspicions    suspicions
	keyRefusals   keyRefusals
	keysMade      hourly // by owner, in the short way
	registrations hourly // of clients, by source
	trials        trials
	prefixGate    chan struct{} // prefixLookups at the same time
	admins        policy.Admins
	storage
	signIn   *signIn    // nil where nobody could sign in
	portal   *desk.Desk // nil where signIn is
	oauth    *oauth     // nil where there is no authorization server
	lockouts *limit.Lockouts
	metrics  *metrics
	upgraded openSockets // hijacked connections
	sockets  listeners
	demo     *demoApp // nil without --demo
	table    []route  // routes(), made once

	watcher *filewatch.Watcher
	notify  notifier // the service manager, or nobody

	started    time.Time
	badReloads badReloads // which parts Reload found bad the last time

	reloading sync.Mutex                   // held by Reload; guards keysEndIn
	keysEndIn time.Duration                // what Reload found: keys of a missing file end; 0: no file is missing
	again     chan time.Duration           // from Reload to rereads; it holds one
	keys      sync.Map                     // *keychain.Key → true: keys in use, until they end
	state     atomic.Pointer[state]        // policy and its principals; swapped by Reload
	headers   atomic.Pointer[http.Header]  // extra headers of every answer; swapped by Reload
	pages     atomic.Pointer[portal.Pages] // swapped by Reload: the policy says how they look

	warnedPlain atomic.Bool // said once that browsers come by plain http

	draining atomic.Bool
	running  atomic.Bool
}

// New makes a Server: it validates cfg, reads every file that cfg names and
// opens no port. Log lines go to log.
func New(cfg Config, log io.Writer) (*Server, error) {
	return build(cfg, log, false)
}

// build is New; a dry one, which is for checks, makes no file.
func build(cfg Config, log io.Writer, dry bool) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, SettingsError{err}
	}
	out := &lockedWriter{w: log}
	s := &Server{
		cfg: cfg, log: newLogger(out, cfg.LogFormat, cfg.LogLevel), lockouts: limit.NewLockouts(limit.LockoutConfig{}), again: make(chan time.Duration, 1),
		prefixGate: make(chan struct{}, prefixLookups), started: time.Now(),
	}
	if cfg.LogFormat != "text" {
		s.requests = &requestLog{w: out}
	}
	s.table = s.routes()
	s.notify = notifier{os.Getenv("NOTIFY_SOCKET")}
	if s.cfg.Demo {
		demo, err := newDemo(&s.cfg, dry, func() []byte { return s.signer.JWKS() })
		if err != nil {
			return nil, err
		}
		s.demo = demo
	}
	watcher, err := filewatch.New(s.cfg.watched()) // before they are read: no change is missed
	if err != nil {
		s.close()
		return nil, err
	}
	s.watcher = watcher
	err = errors.Join(s.openKeychain(), s.openTLS(), s.openGateway(dry), s.loadHeaders())
	if err == nil {
		err = s.openStorage(dry)
	}
	if err == nil {
		err = s.openSignIn(dry)
	}
	if err == nil {
		err = s.openOAuth()
	}
	if err == nil {
		err = s.openPortal()
	}
	if err == nil {
		err = s.loadPolicy()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.metrics = newMetrics(cfg.Version, s.upgraded.count, s.certificateEnd)
	return s, nil
}

// Check validates cfg and every file that it names, and starts nothing. It
// returns the routes as they would be served.
func Check(cfg Config) ([]*policy.Route, error) {
	s, err := build(cfg, io.Discard, true)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.state.Load().policy.Routes(), nil
}

func (s *Server) openKeychain() error {
	cfg := s.cfg.Keychain
	cfg.AllowPublished = !cfg.Required && cfg.ID == ""
	kc, err := keychain.Open(cfg)
	if err != nil {
		return err
	}
	s.keychain = kc
	return nil
}

func (s *Server) openTLS() error {
	if !s.cfg.TLS.Enabled() {
		return nil
	}
	source, err := tlsconf.New(s.cfg.TLS)
	if err != nil {
		return err
	}
	s.tls = source
	return nil
}

// openGateway makes the proxying half: the keys that sign Wave-Assertion come
// from the master secret.
func (s *Server) openGateway(dry bool) error {
	load := loadSecret
	if dry {
		load = checkSecret
	}
	var err error
	if s.secret, err = load(s.cfg.SecretFile); err != nil {
		return err
	}
	keys, err := s.secret.signingKeys("assertion")
	if err != nil {
		return err
	}
	if s.signer, err = gateway.NewSigner(s.issuer(), keys...); err != nil {
		return err
	}
	s.forwarding = gateway.Forwarding{Trusted: s.cfg.TrustedProxies}
	s.gateway = gateway.New(gateway.Config{
		AllowedOrigins: s.cfg.AllowedOrigins,
		ForwardHeaders: s.cfg.ForwardHeaders,
		CookieNames:    append(session.CookieNames(), desk.DraftCookie, desk.ActCookie),
		SessionHandle:  s.sessionHandle,
		Signer:         s.signer,
		MaxRequestSize: s.cfg.MaxRequestSize,
		KeepAppLive:    s.cfg.KeepAppLive,
		Log:            s.log,
	})
	return nil
}

// issuer is the name of this server in what it signs.
func (s *Server) issuer() string { return cmp.Or(s.cfg.PublicURL, "wavegate") }

// sessionHandle is what an app reads in Wave-Session-ID.
func (s *Server) sessionHandle(session, app string) string {
	if s.signIn == nil {
		return ""
	}
	return s.signIn.handles.make(session, app)
}

// close frees what New opened.
func (s *Server) close() {
	if s.gateway != nil {
		s.gateway.Close()
	}
	if s.demo != nil {
		s.demo.close()
	}
	if s.signIn != nil {
		s.signIn.close()
	}
	s.issuers.Swap(nil).closeBut(nil)
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("store", "error", err)
		}
	}
}

// withDefaults returns c with its zero values resolved.
func (c Config) withDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = "/"
	}
	if c.SecretFile == "" {
		c.SecretFile = filepath.Join(c.DataDir, "secret")
	}
	c.KeyBrand = cmp.Or(c.KeyBrand, "wave")
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = defaultShutdownTimeout
	}
	if c.TLS.DataDir == "" {
		c.TLS.DataDir = c.DataDir
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		c.TLS.Names = append(slices.Clone(c.TLS.Names), u.Hostname())
	}
	return c
}
