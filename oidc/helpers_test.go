package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"
)

const (
	callbackURL  = "http://app.example/_auth/callback" // never fetched: the browser stops there
	signedOutURL = "http://app.example/_auth/signed-out"
	clientID     = "gate"
	clientSecret = "s3cret/with+signs&such=:"
)

// A clock is the time of both sides of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A pair is a relying party and its provider.
type pair struct {
	idp *oidctest.Provider
	rp  *oidc.Provider
	clk *clock // of both, until a test gives the provider its own
}

// users are the ones that every in-process provider of these tests knows.
func users() map[string]oidctest.Claims {
	return map[string]oidctest.Claims{
		"alice": {
			"preferred_username": "alice.a", "name": "Alice A.",
			"email": "alice@example.com", "email_verified": true, "groups": []string{"eng", "ops"},
		},
		"bob": {"preferred_username": "bob", "email": "bob@example.com", "email_verified": false, "groups": []string{"sales"}},
	}
}

// client is what the relying party is at the provider.
func client() oidctest.Client {
	return oidctest.Client{ID: clientID, Secret: clientSecret, RedirectURLs: []string{callbackURL}, PostLogoutRedirectURLs: []string{signedOutURL}}
}

// start starts a provider and a relying party for it, which change may alter.
func start(t testing.TB, change func(*oidc.Config)) pair {
	t.Helper()
	clk := newClock()
	idp := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{client()}, Users: users(), Now: clk.Now})
	return pair{idp, relyingParty(t, idp.URL, clk, change), clk}
}

func relyingParty(t testing.TB, issuer string, clk *clock, change func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{Name: "main", Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret, Now: clk.Now}
	if change != nil {
		change(&cfg)
	}
	rp, err := oidc.New(cfg)
	must(t, err)
	t.Cleanup(rp.Close)
	return rp
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authorize signs a user in at the provider and returns what comes back.
func authorize(t testing.TB, rp *oidc.Provider, username string) oidc.Callback {
	t.Helper()
	cb, err := visit(t.Context(), oidctest.NewBrowser(t), rp, username)
	must(t, err)
	return cb
}

func visit(ctx context.Context, browser *oidctest.Browser, rp *oidc.Provider, username string) (oidc.Callback, error) {
	r := oidc.AuthRequest{State: "state-" + username, Nonce: "nonce-" + username, Verifier: oauth2.GenerateVerifier(), RedirectURL: callbackURL}
	address, err := rp.AuthURL(ctx, r)
	if err != nil {
		return oidc.Callback{}, err
	}
	back, err := browser.Visit(ctx, address, callbackURL, username)
	if err != nil {
		return oidc.Callback{}, err
	}
	query := back.Query()
	if query.Get("state") != r.State {
		return oidc.Callback{}, fmt.Errorf("state %q came back, want %q", query.Get("state"), r.State)
	}
	return oidc.Callback{
		Code: query.Get("code"), Issuer: query.Get("iss"), Error: query.Get("error"), ErrorDescription: query.Get("error_description"),
		Nonce: r.Nonce, Verifier: r.Verifier, RedirectURL: r.RedirectURL,
	}, nil
}

// signIn signs a user in at the provider and exchanges what comes back.
func (p pair) signIn(t testing.TB, username string) (*oidc.Login, error) {
	t.Helper()
	return p.rp.Exchange(t.Context(), authorize(t, p.rp, username))
}

// mustSignIn is signIn where it must succeed.
func (p pair) mustSignIn(t testing.TB, username string) *oidc.Login {
	t.Helper()
	login, err := p.signIn(t, username)
	must(t, err)
	return login
}

// request is an AuthRequest that is as it should be.
func request() oidc.AuthRequest {
	return oidc.AuthRequest{State: "state", Nonce: "nonce", Verifier: oauth2.GenerateVerifier(), RedirectURL: callbackURL}
}

// wantError checks the kind of an error and what its text contains.
func wantError(t testing.TB, err error, kind oidc.Kind, contains ...string) {
	t.Helper()
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		t.Fatalf("error %v, want an oidc.Error", err)
	}
	if e.Kind != kind {
		t.Errorf("error of kind %s, want %s: %v", e.Kind, kind, err)
	}
	for _, part := range contains {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q, want %q in it", err, part)
		}
	}
}

// eventually waits until a condition holds, and fails the test after a while.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}

func query(t testing.TB, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	return u.Query()
}
