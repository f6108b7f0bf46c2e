package provider

import (
	"errors"
	"testing"
)

func TestRevokingARefreshTokenEndsTheFamily(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	b.lives(t, a)
	if err := b.Revoke(t.Context(), c, form("token", a.RefreshToken)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lookup(t.Context(), a.AccessToken); !errors.Is(err, ErrInvalid) {
		t.Errorf("the access token: %v", err)
	}
	b.refuses(t, c, refreshForm(a.RefreshToken), InvalidGrant)
}

// Also the token that was replaced: whoever lost the answer can still end it all.
func TestRevokingARefreshTokenThatWasReplacedEndsTheFamily(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	next := b.must(t, c, refreshForm(a.RefreshToken))
	if err := b.Revoke(t.Context(), c, form("token", a.RefreshToken)); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, c, refreshForm(next.RefreshToken), InvalidGrant)
}

// The store tells this process nothing: what it revoked itself it knows at once.
func TestRevokingAnAccessTokenEndsItAloneAndAtOnce(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	own := b.must(t, c, ownForm())
	b.lives(t, a)
	b.lives(t, own)
	b.store.follow = nil
	for _, token := range []string{a.AccessToken, own.AccessToken} {
		if err := b.Revoke(t.Context(), c, form("token", token)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Lookup(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("the access token: %v", err)
		}
	}
	next := b.must(t, c, refreshForm(a.RefreshToken))
	b.lives(t, next)
}

func (b *tokenBench) lives(t testing.TB, a *TokenAnswer) {
	t.Helper()
	if _, err := b.Lookup(t.Context(), a.AccessToken); err != nil {
		t.Errorf("an access token: %v", err)
	}
}

// RFC 7009, section 2.2: what is no token of the client is no error, and nothing
// happens to it.
func TestRevokingWhatIsNoTokenOfTheClientIsNoError(t *testing.T) {
	b := newTokenBench(t)
	other := b.other(nil)
	c, a := b.app(t), b.tokens(t, nil)
	for name, token := range map[string]string{
		"refresh token of another client": a.RefreshToken,
		"access token of another client":  a.AccessToken,
		"ID token":                        a.IDToken,
		"unknown refresh token":           newSecret(refreshPrefix),
		"code":                            b.agree(t, nil),
		"broken":                          a.AccessToken[:len(a.AccessToken)-1],
		"beginning of a refresh token":    refreshPrefix,
		"nonsense":                        "x.y.z",
	} {
		if err := b.Revoke(t.Context(), other, form("token", token)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.lives(t, a)
	b.must(t, c, refreshForm(a.RefreshToken))
	b.pass(b.rules.AccessLifetime)
	if err := b.Revoke(t.Context(), c, form("token", a.AccessToken)); err != nil {
		t.Errorf("an expired token: %v", err)
	}
}

func TestRevokingLooksAtEveryKindWhateverTheHint(t *testing.T) {
	for _, hint := range []string{"", "access_token", "refresh_token", "something_else"} {
		b := newTokenBench(t)
		public := b.client(func(c *Client) { c.Type = Public })
		a := b.tokens(t, nil)
		for _, token := range []string{a.AccessToken, a.RefreshToken} {
			if err := b.Revoke(t.Context(), public, form("token", token, "token_type_hint", hint)); err != nil {
				t.Errorf("hint %q: %v", hint, err)
			}
		}
		if len(b.store.revoked) != 1 || b.grant(t, a).RevokedAt.IsZero() {
			t.Errorf("hint %q: something lives", hint)
		}
	}
}

func TestRevokingNothingIsAnError(t *testing.T) {
	b := newTokenBench(t)
	wantError(t, b.Revoke(t.Context(), b.app(t), form("token_type_hint", "access_token")), InvalidRequest)
}
