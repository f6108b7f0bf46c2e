// Package oidc is the OpenID Connect relying party: it sends people to a
// provider, turns what the provider says about them into a Login, renews it,
// and understands the provider's notices that somebody has signed out. An Issuer
// checks access tokens that somebody else's authorization server made for this
// one. The package owns discovery documents, the keys of others and every check
// of their tokens. It writes no HTTP answers, keeps no sessions and does not
// decide what a person may do.
//
// Nothing is fetched before it is needed. A provider that is down delays those
// who sign in and nobody else, and start-up not at all.
package oidc

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Bounds of what a provider may send and of how long it is believed.
const (
	maxAnswer      = 1 << 20 // bytes of one answer
	maxToken       = 64 << 10
	maxLogoutToken = 16 << 10
	maxCode        = 8 << 10

	defaultTimeout = 10 * time.Second
	clockSkew      = 2 * time.Minute // that the clocks may differ, either way
	freshFor       = time.Hour       // then metadata and keys are fetched again
)

// A Provider is one OpenID Connect provider as this client of it sees it. It is
// safe for concurrent use.
type Provider struct {
	source
	cfg      Config
	life     *lifetime
	metadata *document[*metadata]
	keys     *document[keySet]
	spent    *replays // IDs of logout tokens

	tokenBrake brake // of the token endpoint
}

// New returns the provider that cfg describes, or every problem of cfg. It
// makes no request. Close it when it is not needed any more.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	p := &Provider{source: source{newClient(cfg)}, cfg: cfg, life: newLifetime(), spent: newReplays(maxReplays)}
	p.metadata = newDocument(p.life, cfg, p.discover)
	p.keys = newDocument(p.life, cfg, p.fetchKeys)
	return p, nil
}

// Name returns the name that the configuration gives the provider.
func (p *Provider) Name() string { return p.cfg.Name }

// Issuer returns the issuer that the configuration names. With the subject of a
// Login it identifies an account.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// Status returns why the last attempt at discovery failed. It is nil when it
// did not fail and when nobody has needed it yet; it makes no request.
func (p *Provider) Status() error { return p.named(p.metadata.status()) }

// Close ends what runs in the background and waits for it. Calls after it fail.
func (p *Provider) Close() {
	p.life.end()
	p.http.CloseIdleConnections()
}

// filled is c with its defaults, in memory of its own.
func (c Config) filled() Config {
	scopes := slices.Clone(c.Scopes)
	if !slices.Contains(scopes, "openid") {
		scopes = slices.Insert(scopes, 0, "openid")
	}
	c.Scopes, c.AuthURLParams = scopes, slices.Clone(c.AuthURLParams)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

// A lifetime owns the goroutines of a Provider.
type lifetime struct {
	ctx    context.Context // ends with the Provider
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards ended, and that nothing starts after it
	ended  bool
}

func newLifetime() *lifetime {
	ctx, cancel := context.WithCancel(context.Background())
	return &lifetime{ctx: ctx, cancel: cancel}
}

// start runs f in a goroutine of its own and reports whether it could.
func (l *lifetime) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.wg.Go(f)
	return true
}

func (l *lifetime) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
}
