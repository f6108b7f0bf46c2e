package store

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// errRefused is the error of a decision.
var errRefused = errors.New("refused")

// newToken is the hash of a new secret.
func newToken() provider.Hash { return provider.HashOf(rand.Text()) }

func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// newClient is a client of an owner, made at a time, in which everything is filled
// in.
func newClient(owner string, at time.Time) provider.Client {
	return provider.Client{
		ID: newID("client_"), Name: "Über App", Type: provider.Confidential, Owner: owner, UserID: "usr_1",
		RedirectURIs: []string{"https://app.example.com/cb?a=1", "http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{"https://app.example.com/"},
		Scopes: []string{"streams:read", `odd "scope"`}, GrantTypes: []string{provider.GrantCode, provider.GrantRefresh},
		PKCEOptional: true, FirstParty: true, Introspect: true, Dynamic: true, JWKS: []byte(`{"keys": []}`), IDTokenAlg: "ES256",
		URI: "https://app.example.com", Tier: "pro",
		Secrets: []provider.Secret{
			{ID: "sec_1", Hash: newToken(), Hint: "abcd", CreatedAt: at, ExpiresAt: at.Add(time.Hour)},
			{ID: "sec_2", Hash: newToken(), Hint: "efgh", CreatedAt: at},
		},
		CreatedAt: at, DisabledAt: at.Add(time.Millisecond), Version: 1,
	}
}

// liveClient is a client that may do something.
func liveClient(t testing.TB, s *Store) provider.Client {
	t.Helper()
	c := newClient("sub:ann", start)
	c.DisabledAt, c.Dynamic = time.Time{}, false
	return addClient(t, s, c)
}

func addClient(t testing.TB, s *Store, c provider.Client) provider.Client {
	t.Helper()
	added, err := s.AddClient(t.Context(), c, 1_000_000, Journal{})
	must(t, err)
	return added
}

// A bench of a client and a person, for grants between them.
type pair struct {
	client provider.Client
	userID string
}

func newPair(t testing.TB, s *Store) pair {
	t.Helper()
	return pair{liveClient(t, s), signIn(t, s, newRecord(rand.Text(), start)).UserID}
}

// grant is a grant of the person to the client, in which everything is filled in.
func (p pair) grant(at time.Time) provider.Grant {
	return provider.Grant{
		ID: newID("grt_"), ClientID: p.client.ID, UserID: p.userID, Subject: "sub-" + p.userID,
		Scopes: []string{"openid", "streams:read"}, Resources: []string{"https://api.example.com/"}, Nonce: "n-ü", SID: "sid",
		AuthTime: at.Add(-time.Minute), CreatedAt: at, ExpiresAt: at.Add(time.Minute),
	}
}

// code is a code of a grant.
func (p pair) code(g provider.Grant) provider.Code {
	return provider.Code{
		Hash: newToken(), GrantID: g.ID, ClientID: g.ClientID, RedirectURI: "https://app.example.com/cb", RedirectGiven: true,
		Challenge: "challenge", ExpiresAt: g.CreatedAt.Add(time.Minute),
	}
}

// authorize stores a grant and its code.
func (p pair) authorize(t testing.TB, s *Store, at time.Time) (provider.Grant, provider.Code) {
	t.Helper()
	g := p.grant(at)
	code := p.code(g)
	must(t, s.Authorize(t.Context(), provider.Authorization{Grant: g, Code: code}, at))
	return g, code
}

// newRefresh is a refresh token made at a time, of no grant yet.
func newRefresh(at time.Time) provider.Refresh {
	return provider.Refresh{Hash: newToken(), CreatedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour)}
}

// give decides for a refresh token, and a grant that ends with it.
func give(first provider.Refresh) func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error) {
	return func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error) {
		return first, first.ExpiresAt, nil
	}
}

func refuse(provider.Code, provider.Grant) (provider.Refresh, time.Time, error) {
	return provider.Refresh{}, time.Time{}, errRefused
}

// redeemed stores a grant with a refresh token.
func (p pair) redeemed(t testing.TB, s *Store, at time.Time) (provider.Grant, provider.Refresh) {
	t.Helper()
	_, code := p.authorize(t, s, at)
	first := newRefresh(at)
	g, err := s.RedeemCode(t.Context(), code.Hash, at, 100, give(first))
	must(t, err)
	first.GrantID = g.ID
	return g, first
}

// wantGrant compares when a grant was ended with a time, zero for never.
func wantGrant(t testing.TB, s *Store, id string, revoked time.Time) {
	t.Helper()
	var g provider.Grant
	must(t, s.read(t.Context(), "test", func(ctx context.Context, c conn) (err error) {
		g, err = scanGrant(c.row(ctx, "SELECT "+grantColumns+" FROM oauth_grants g WHERE g.id = ?", id))
		return err
	}))
	wantSame(t, "when the grant was ended", g.RevokedAt, revoked)
}

// forget empties the change table.
func forget(t testing.TB, s *Store) {
	t.Helper()
	run(t, s, "DELETE FROM changes")
}

func ofGrant(id string) session.Change {
	return session.Change{Kind: provider.ChangedGrant, Key: id}
}

func ofClient(id string) session.Change {
	return session.Change{Kind: provider.ChangedClient, Key: id}
}

// TestErrorsOfOAuthAreNamed: the provider compares them, so nothing is wrapped
// around them; any other means that nothing can be concluded.
func TestErrorsOfOAuthAreNamed(t *testing.T) {
	for _, err := range []error{
		provider.ErrNotFound, provider.ErrUsed, provider.ErrReplayed, provider.ErrEnded, provider.ErrTooMany, provider.ErrConflict,
	} {
		wantSame(t, "named", fault("test", err) == err, true)
	}
	for _, err := range []error{errOAuthText, context.DeadlineExceeded} {
		wantErr(t, "others", fault("test", err), session.ErrUnavailable)
	}
}
