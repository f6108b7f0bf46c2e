package webhook

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"wavegate/server/seal"
)

// Config says what is delivered, and by what rules. New copies and validates it.
type Config struct {
	Store Store
	Seal  seal.Keys    // opens the secrets of endpoints
	Rules func() Rules // asked at each attempt; nil is the zero Rules

	Workers     int // attempts at once; 0 is 8
	PerEndpoint int // of them to one endpoint; 0 is 2

	RootCAs  *x509.CertPool // authorities of receivers' certificates; nil is the system's
	Resolver *net.Resolver  // for receivers' names; nil is the system's

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is silence
}

// Validate lists every problem of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("webhooks: no store of deliveries"))
	}
	if c.Workers < 0 {
		errs = append(errs, fmt.Errorf("webhooks: %d workers: it cannot be negative", c.Workers))
	}
	if c.PerEndpoint < 0 {
		errs = append(errs, fmt.Errorf("webhooks: %d attempts at once to one endpoint: it cannot be negative", c.PerEndpoint))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Workers = cmp.Or(c.Workers, 8)
	c.PerEndpoint = min(cmp.Or(c.PerEndpoint, 2), c.Workers)
	if c.Rules == nil {
		c.Rules = func() Rules { return Rules{} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Manager sends the deliveries of one process. Several processes may share a
// store.
type Manager struct {
	cfg    Config
	client http.RoundTripper
	wake   chan struct{} // holds one
}

// New returns a Manager. It starts nothing: Run does the work and has to be
// called.
func New(cfg Config) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg.withDefaults(), wake: make(chan struct{}, 1)}
	m.client = m.transport()
	return m, nil
}

// transport makes one request on one connection, so that each goes to an address
// that the guard has looked at by the rules of now. It knows no proxy, follows no
// redirect, keeps no cookie and unpacks nothing.
func (m *Manager) transport() http.RoundTripper {
	return &http.Transport{
		DialContext:            m.dialer().DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: m.cfg.RootCAs},
		TLSHandshakeTimeout:    attemptFor,
		MaxResponseHeaderBytes: maxHeaders,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}
}

// Wake tells Run that there is something to deliver. It never waits.
func (m *Manager) Wake() {
	select {
	case m.wake <- struct{}{}:
	default: // it will look anyway
	}
}
