// Package oidctest has OpenID Connect providers for tests: New is a small one in
// the process of the test, made to go wrong in every way that a test asks for;
// StartNode is a real one, the npm package oidc-provider, in a process of its
// own. Only tests may import it; it is not part of the program.
package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Claims are what a token or userinfo says about a user.
type Claims = map[string]any

// A Client is registered at a provider.
type Client struct {
	ID, Secret             string
	RedirectURLs           []string
	PostLogoutRedirectURLs []string
	BackchannelURI         string // where logout tokens are sent; "" for nowhere
	Metadata               Claims // of its registration, over the rest; for StartNode alone
}

// Config describes an in-process provider.
type Config struct {
	Clients   []Client
	Users     map[string]Claims // by subject, which is also the name to sign in with
	TokenLife time.Duration     // of access tokens; 0 is 5 minutes
	Now       func() time.Time  // nil is time.Now
	TLS       bool              // on https, with a certificate that nobody trusts
}

// A Provider is an OpenID Connect provider in the process of the test. It signs
// with ES256 and rotates refresh tokens; a second use of one revokes the family.
// Its methods may be called while requests run.
type Provider struct {
	URL string // the issuer

	t       testing.TB
	cfg     Config
	mux     *http.ServeMux
	server  *httptest.Server
	closing chan struct{} // closed before the server waits for its requests

	mu       sync.Mutex // guards what follows
	keys     keyring
	clients  map[string]Client
	users    map[string]Claims
	next     string // who signs in without being asked; "" shows the form
	denial   [2]string
	codes    map[string]*signIn // each until its first use
	access   map[string]*signIn
	refresh  map[string]*refreshToken
	counts   map[string]int
	broken   map[string]http.HandlerFunc // by path; "*" is all
	faults   faults
	requests []string // bodies of token requests
}

// A signIn is one session of one user with one client.
type signIn struct {
	client, subject, sid string
	nonce, challenge     string
	redirectURL          string
	at                   time.Time
	ended                bool
}

type refreshToken struct {
	signIn *signIn
	used   bool
}

// New starts a provider. It ends with the test.
func New(t testing.TB, cfg Config) *Provider {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TokenLife == 0 {
		cfg.TokenLife = 5 * time.Minute
	}
	p := &Provider{
		t: t, cfg: cfg, closing: make(chan struct{}),
		clients: map[string]Client{}, users: map[string]Claims{},
		codes: map[string]*signIn{}, access: map[string]*signIn{}, refresh: map[string]*refreshToken{},
		counts: map[string]int{}, broken: map[string]http.HandlerFunc{},
		keys: newKeyring(), faults: faults{alg: "ES256"},
	}
	p.mux = p.routes()
	for _, c := range cfg.Clients {
		p.clients[c.ID] = c
	}
	for subject, claims := range cfg.Users {
		p.users[subject] = maps.Clone(claims)
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.count))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are the test
	if cfg.TLS {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	p.URL = p.server.URL
	t.Cleanup(func() {
		close(p.closing)
		p.server.Close()
	})
	return p
}

// Serve answers a request as it should be, whatever Break says about its path.
func (p *Provider) Serve(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveMetadata)
	mux.HandleFunc("GET /jwks", p.serveKeys)
	mux.HandleFunc("/authorize", p.serveAuthorize)
	mux.HandleFunc("POST /token", p.serveToken)
	mux.HandleFunc("GET /userinfo", p.serveUserInfo)
	mux.HandleFunc("GET /end_session", p.serveEndSession)
	return mux
}

// count counts a request and answers it, in the way that Break has set.
func (p *Provider) count(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.counts[r.URL.Path]++
	h := p.broken[r.URL.Path]
	if h == nil {
		h = p.broken["*"]
	}
	p.mu.Unlock()
	if h == nil {
		h = p.Serve
	}
	h(w, r)
}

// AddClient registers a client, or replaces the one with its ID. A server under
// test often knows its own address only after the provider has started.
func (p *Provider) AddClient(c Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.ID] = c
}

// SetUser adds a user or changes what is said about them.
func (p *Provider) SetUser(subject string, claims Claims) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[subject] = maps.Clone(claims)
}

// RemoveUser makes the provider forget a user: refreshing is refused, userinfo
// answers 401.
func (p *Provider) RemoveUser(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.users, subject)
}

// Login sets who signs in from now on without being asked; "" brings the form
// back. A login_hint that names a user comes first.
func (p *Provider) Login(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = subject
}

// Deny answers every authorization request with an error; "" ends that.
func (p *Provider) Deny(code, description string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denial = [2]string{code, description}
}

// Revoke ends all sign-ins of a user, as an administrator would: their refresh
// and access tokens are worth nothing.
func (p *Provider) Revoke(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(func(s *signIn) bool { return s.subject == subject })
}

// end ends the sign-ins that match. It is called with p.mu held.
func (p *Provider) end(match func(*signIn) bool) {
	for _, s := range p.access {
		s.ended = s.ended || match(s)
	}
	for _, r := range p.refresh {
		r.signIn.ended = r.signIn.ended || match(r.signIn)
	}
}

// Count returns how many requests the path has had, answered rightly or not.
func (p *Provider) Count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[path]
}

// TokenRequests returns the form bodies that the token endpoint was sent.
func (p *Provider) TokenRequests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// refuse answers as RFC 6749 §5.2.
func refuse(w http.ResponseWriter, status int, code, format string, args ...any) {
	writeJSON(w, status, Claims{"error": code, "error_description": fmt.Sprintf(format, args...)})
}

func random() string { return rand.Text() }
