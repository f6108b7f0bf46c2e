package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config is what a Provider needs to know.
type Config struct {
	Issuer    string    // absolute URL without query and fragment, "iss" of every token
	Endpoints Endpoints // absolute URLs

	// Seal and Open keep signing keys at rest. The name is the key's ID.
	Seal func(name string, plain []byte) ([]byte, error)
	Open func(name string, sealed []byte) ([]byte, error)

	// RefreshKeys derive the refresh token that replaces another one, so that a lost
	// answer can be given once more. The first is the current one; 32 bytes each.
	RefreshKeys [][]byte

	// Rules are the settings of this moment. What it returns is not changed.
	Rules func() *Rules

	// Person returns a person as they are known now. Errors: ErrNoPerson where they may
	// have no tokens (any more); any other one means that it cannot be known now.
	Person func(ctx context.Context, userID string) (*Person, error)

	// Suspicious is told that a code or a refresh token came a second time, after its
	// grant was ended. Nil: nobody.
	Suspicious func(ctx context.Context, g Grant, what string)

	Log *slog.Logger     // nil is silence
	Now func() time.Time // nil is time.Now
}

// Endpoints are where the server answers, as absolute URLs.
type Endpoints struct {
	Authorize, Token, Revoke, Introspect, UserInfo, Device, PAR, Logout, JWKS, Register string
}

// Rules are the settings that the policy may change while the server runs.
type Rules struct {
	SignIn       bool // people can sign in: codes and devices are possible
	Registration bool // clients may register themselves (RFC 7591)

	AccessLifetime  time.Duration // of access and ID tokens
	RefreshLifetime time.Duration // of a refresh token that is not used
	GrantLifetime   time.Duration // of all tokens that come of one consent
	KeyLifetime     time.Duration // after which a signing key is replaced

	Resources []string          // audiences that may be asked for beside the issuer and what lies below it
	Known     func(string) bool // whether a scope can be given (OpenID's own aside)
	Scopes    []string          // of the catalogue, for the metadata
}

// ErrNoPerson is the error of Config.Person for somebody who may have no tokens.
var ErrNoPerson = errors.New("there is no such person, or they are disabled")

// A Person is somebody as they are known now.
type Person struct {
	UserID, Subject string
	Username        string
	Email           string // verified, or ""
	Groups          []string
	May             func(scope string) bool // whether they hold a scope, which they then can give to a client
}

// A Provider is the authorization server. Its methods may be called by any number
// of goroutines.
type Provider struct {
	cfg    Config
	store  Store
	log    *slog.Logger
	now    func() time.Time
	keys   *keyring
	tokens *memory
	apps   *clients
}

// New returns a Provider.
func New(cfg Config, store Store) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Provider{cfg: cfg, store: store, log: cfg.Log, now: cfg.Now}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.keys, p.tokens, p.apps = newKeyring(p), newMemory(), newClients()
	return p, nil
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var problems []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("authorization server: "+format, args...))
		}
	}
	add(!isServerURL(c.Issuer) || strings.ContainsAny(c.Issuer, "?#"), "issuer %q: want an absolute URL without query and fragment, such as https://id.example.com", c.Issuer)
	e := c.Endpoints
	for _, endpoint := range []struct{ name, url string }{
		{"authorization", e.Authorize},
		{"token", e.Token},
		{"revocation", e.Revoke},
		{"introspection", e.Introspect},
		{"userinfo", e.UserInfo},
		{"device", e.Device},
		{"pushed request", e.PAR},
		{"logout", e.Logout},
		{"keys", e.JWKS},
		{"registration", e.Register},
	} {
		add(!isServerURL(endpoint.url), "%s endpoint %q: want an absolute URL", endpoint.name, endpoint.url)
	}
	add(c.Seal == nil || c.Open == nil, "Seal and Open are needed: signing keys are not kept in the clear")
	add(len(c.RefreshKeys) == 0, "a key for refresh tokens is needed")
	for i, key := range c.RefreshKeys {
		add(len(key) != refreshKeySize, "key %d for refresh tokens has %d bytes, want %d", i+1, len(key), refreshKeySize)
	}
	add(c.Rules == nil, "Rules are needed")
	add(c.Person == nil, "Person is needed")
	return errors.Join(problems...)
}

const refreshKeySize = 32 // bytes

// isServerURL reports whether s can be where this server answers.
func isServerURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && !strings.Contains(s, "#")
}

// Run makes and replaces signing keys and forgets tokens that expired, until ctx
// ends. It is called once, and its ctx should end after the last request.
func (p *Provider) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { p.keys.run(ctx) })
	wg.Go(func() { every(ctx, watchEvery, p.watch) })
	wg.Wait()
	p.keys.tasks.Close()
	p.tokens.tasks.Close()
	return nil
}

// Apply takes changes over that some process made in the store. When it returns,
// nothing that changed is believed any more.
func (p *Provider) Apply(changes []Change) {
	for _, c := range changes {
		switch c.Kind {
		case ChangedClient:
			p.apps.changed(c.Key)
		case ChangedKeys:
			p.keys.stale.Store(true)
		}
	}
	p.apply(newsOf(changes))
}

// Alive says that the store was followed at a time; Lost, that changes may have
// been missed: nothing that is remembered is believed before the store was asked.
func (p *Provider) Alive(at time.Time) { raise(&p.tokens.alive, at.UnixMilli()) }

// Lost is the counterpart of Alive.
func (p *Provider) Lost() {
	p.apps.forget()
	p.keys.stale.Store(true)
	p.lost()
}

const watchEvery = time.Second

// every calls f again and again until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}
