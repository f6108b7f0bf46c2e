// Package tlsconf turns certificates (files, a self-signed pair, or ACME) into
// one *tls.Config that follows reloads, and reads the file of extra headers.
// The protocol rules are in policy.go, alone. The package opens no listener,
// watches no file, writes no log and serves no request but ACME's challenges:
// callers do, with Files, Reload, Warnings and ChallengeHandler.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Source gives out certificates. Its methods may be called at once by many.
type Source struct {
	cfg  Config
	acme *acmeSource // nil unless the certificates come from ACME

	mu      sync.Mutex                // held by whoever replaces current
	current atomic.Pointer[materials] // what handshakes use: replaced whole, never edited
}

// materials is everything that was read in one go, so that a handshake never
// sees the certificate of one reload and the client CAs of another.
type materials struct {
	config   *tls.Config       // of ordinary handshakes
	leaf     *x509.Certificate // nil with ACME
	renewAt  time.Time         // when a self-signed pair is to be made anew; zero for never
	warnings []string          // about the files as they were read
}

// New reads the files that cfg names. The error has one line for each file
// that cannot be used, which says what to do. A certificate that has expired is
// a warning and not an error: it is better renewed under a running server.
func New(cfg Config) (*Source, error) {
	if !cfg.Enabled() {
		return nil, errors.New("TLS needs a source of certificates: set --tls-cert-file and --tls-key-file, --tls-self-signed or --tls-acme-domains")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg}
	if len(cfg.ACMEDomains) > 0 {
		a, err := newACME(cfg)
		if err != nil {
			return nil, err
		}
		s.acme = a
	}
	m, err := s.load()
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	return s, nil
}

// TLSConfig returns a new configuration for a listener. It follows reloads.
func (s *Source) TLSConfig() *tls.Config {
	c := policy()
	if s.acme != nil {
		c.NextProtos = append(c.NextProtos, s.acme.challenge.NextProtos...)
	}
	c.GetConfigForClient = s.configFor
	return c
}

// configFor picks the configuration of one handshake. The CA that validates a
// domain has no client certificate to show, so its handshakes have their own.
func (s *Source) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if s.acme != nil && wantsChallenge(hello) {
		return s.acme.challenge, nil
	}
	s.renewIfDue()
	return s.current.Load().config, nil
}

// Reload reads the files again. On an error everything stays as it was: also
// when a certificate that is out of date would replace one that is not.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.load()
	if err == nil {
		err = s.checkReplacement(next)
	}
	if err != nil {
		return fmt.Errorf("TLS files not reloaded, the old ones stay in use: %w", err)
	}
	s.current.Store(next)
	return nil
}

func (s *Source) checkReplacement(next *materials) error {
	old := s.current.Load()
	if next.leaf == nil || validNow(next.leaf, time.Now()) || !validNow(old.leaf, time.Now()) {
		return nil
	}
	return fmt.Errorf("--tls-cert-file %s: %s", s.cfg.CertFile, ageWarning(next.leaf, time.Now()))
}

// renewIfDue makes the next self-signed pair while the server runs. One
// handshake does the work, the others go on with the old pair.
func (s *Source) renewIfDue() {
	due := func() bool {
		at := s.current.Load().renewAt
		return !at.IsZero() && time.Now().After(at)
	}
	if !due() || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if !due() {
		return
	}
	next, err := s.load()
	if err != nil {
		m := *s.current.Load()
		m.renewAt = time.Now().Add(time.Hour)
		m.warnings = []string{"the self-signed certificate could not be renewed: " + err.Error()}
		next = &m
	}
	s.current.Store(next)
}

// load reads everything that a reload may change.
func (s *Source) load() (*materials, error) {
	m := &materials{config: policy()}
	err := errors.Join(s.loadCertificate(m), s.loadClientCAs(m))
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (s *Source) loadCertificate(m *materials) error {
	if s.acme != nil {
		m.config.GetCertificate = s.acme.certificate
		return nil
	}
	read := s.loadFiles
	if s.cfg.SelfSigned {
		read = s.loadSelfSigned
	}
	pair, err := read(m)
	if err != nil {
		return err
	}
	m.config.Certificates = []tls.Certificate{pair}
	m.leaf = pair.Leaf
	return nil
}

func (s *Source) loadFiles(m *materials) (tls.Certificate, error) {
	pair, err := loadPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err == nil {
		m.warnings = pairWarnings(s.cfg, pair.Leaf)
	}
	return pair, err
}

func (s *Source) loadSelfSigned(m *materials) (tls.Certificate, error) {
	pair, err := selfSignedPair(s.cfg.DataDir, machineNames(s.cfg.Names), time.Now())
	if err == nil {
		m.renewAt = pair.Leaf.NotAfter.Add(-selfSignedRenew)
	}
	return pair, err
}

// loadClientCAs demands client certificates where a CA file is set. Go checks
// resumed sessions against the CAs of the day, so those that a reload drops
// are out at their next connection.
func (s *Source) loadClientCAs(m *materials) error {
	if s.cfg.ClientCAFile == "" {
		return nil
	}
	pool, err := loadCAs("--tls-client-ca-file", s.cfg.ClientCAFile, x509.NewCertPool())
	if err != nil {
		return err
	}
	m.config.ClientCAs = pool
	m.config.ClientAuth = tls.RequireAndVerifyClientCert
	return nil
}

// Warnings returns what is wrong with the certificate in use, though not so
// wrong that nothing can be served, one sentence each; nil when all is well.
func (s *Source) Warnings() []string {
	if s.acme != nil {
		return s.acme.warnings()
	}
	m := s.current.Load()
	out := append([]string(nil), m.warnings...)
	if w := ageWarning(m.leaf, time.Now()); w != "" && !s.cfg.SelfSigned {
		out = append(out, fmt.Sprintf("--tls-cert-file %s: %s", s.cfg.CertFile, w))
	}
	return out
}

// NotAfter returns when the certificate in use ends; with ACME, the first of
// those known. It is zero while none is known.
func (s *Source) NotAfter() time.Time {
	if s.acme != nil {
		return s.acme.notAfter()
	}
	return s.current.Load().leaf.NotAfter
}

// ChallengeHandler returns a handler for the plain HTTP listener that answers
// ACME's http-01 challenges and leaves every other request to next. With ACME
// it also makes http-01 the second choice after tls-alpn-01, so call it only
// where that listener is reachable on port 80.
func (s *Source) ChallengeHandler(next http.Handler) http.Handler {
	if s.acme == nil {
		return next
	}
	return s.acme.manager.HTTPHandler(next)
}
