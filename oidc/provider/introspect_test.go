package provider

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *tokenBench) asks(t testing.TB, c *Client, token string) map[string]any {
	t.Helper()
	facts, err := b.Introspect(t.Context(), c, form("token", token))
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// silent checks that nothing but active: false is said.
func silent(t testing.TB, name string, facts map[string]any) {
	t.Helper()
	if diff := cmp.Diff(map[string]any{"active": false}, facts); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestIntrospectionSaysWhatATokenIs(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	now := b.clock().Unix()
	access := claimsOf[accessClaims](t, a.AccessToken)
	want := map[string]any{
		"active": true, "iss": tokenIssuer, "sub": "local|ann", "aud": audience{tokenIssuer}, "client_id": "client_app", "username": "ann",
		"scope": a.Scope, "iat": now, "exp": now + 600, "jti": access.ID, "token_type": "Bearer",
	}
	if diff := cmp.Diff(want, b.asks(t, c, a.AccessToken)); diff != "" {
		t.Errorf("access token (-want +got):\n%s", diff)
	}
	delete(want, "jti")
	delete(want, "token_type")
	want["exp"] = b.clock().Add(30 * 24 * time.Hour).Unix()
	if diff := cmp.Diff(want, b.asks(t, c, a.RefreshToken)); diff != "" {
		t.Errorf("refresh token (-want +got):\n%s", diff)
	}
	own := b.must(t, c, ownForm("resource", tokenService, "resource", tokenArea))
	want = map[string]any{
		"active": true, "iss": tokenIssuer, "sub": "client_app", "aud": audience{tokenService, tokenArea}, "client_id": "client_app",
		"scope": own.Scope, "iat": now, "exp": now + 600, "jti": claimsOf[accessClaims](t, own.AccessToken).ID, "token_type": "Bearer",
	}
	if diff := cmp.Diff(want, b.asks(t, c, own.AccessToken)); diff != "" {
		t.Errorf("own token (-want +got):\n%s", diff)
	}
}

func TestIntrospectionOfWhatTheCallerMayNotKnowSaysNothing(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	other := b.other(nil)
	silent(t, "access token of another client", b.asks(t, other, a.AccessToken))
	silent(t, "refresh token of another client", b.asks(t, other, a.RefreshToken))
	for name, token := range map[string]string{
		"ID token":              a.IDToken,
		"code":                  b.agree(t, nil),
		"device code":           b.device(t, DeviceApproved),
		"session token":         "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"unsigned":              "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.",
		"unknown refresh token": newSecret(refreshPrefix),
		"short refresh token":   a.RefreshToken[:20],
		"broken":                a.AccessToken + "A",
		"nonsense":              "nonsense",
	} {
		silent(t, name, b.asks(t, c, token))
	}
	all := b.other(func(c *Client) { c.Introspect = true })
	for _, token := range []string{a.AccessToken, a.RefreshToken} {
		if facts := b.asks(t, all, token); facts["active"] != true || facts["client_id"] != "client_app" {
			t.Errorf("with Introspect: %v", facts)
		}
	}
}

func TestIntrospectionOfWhatHasEndedSaysNothing(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *tokenBench, *TokenAnswer){
		"revoked":         func(t *testing.T, b *tokenBench, a *TokenAnswer) { b.revoke(t, a.RefreshToken) },
		"expired":         func(_ *testing.T, b *tokenBench, _ *TokenAnswer) { b.pass(30 * 24 * time.Hour) },
		"person disabled": func(_ *testing.T, b *tokenBench, _ *TokenAnswer) { b.knowing = ErrNoPerson },
		"consent withdrawn": func(_ *testing.T, b *tokenBench, _ *TokenAnswer) {
			b.store.disconnect("usr_ann", "client_app", b.clock())
		},
		"client disabled": func(_ *testing.T, b *tokenBench, _ *TokenAnswer) {
			b.client(func(c *Client) { c.DisabledAt = b.clock() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			all := b.other(func(c *Client) { c.Introspect = true })
			a := b.tokens(t, nil)
			b.lives(t, a)
			end(t, b, a)
			silent(t, "access token", b.asks(t, all, a.AccessToken))
			silent(t, "refresh token", b.asks(t, all, a.RefreshToken))
		})
	}
}

func (b *tokenBench) revoke(t testing.TB, token string) {
	t.Helper()
	if err := b.Revoke(t.Context(), b.app(t), form("token", token)); err != nil {
		t.Fatal(err)
	}
}

func TestIntrospectionOfARefreshTokenThatWasUsedSaysNothing(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	next := b.must(t, c, refreshForm(a.RefreshToken))
	silent(t, "used", b.asks(t, c, a.RefreshToken))
	if facts := b.asks(t, c, next.RefreshToken); facts["active"] != true {
		t.Errorf("its successor: %v", facts)
	}
}

func TestIntrospectionNeedsAClientThatProvesItself(t *testing.T) {
	b := newTokenBench(t)
	public := b.other(func(c *Client) { c.Type = Public })
	facts, err := b.Introspect(t.Context(), public, form("token", "x"))
	wantError(t, err, InvalidClient)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusUnauthorized || facts != nil {
		t.Errorf("got %v %v", facts, err)
	}
	_, err = b.Introspect(t.Context(), b.app(t), form())
	wantError(t, err, InvalidRequest)
}

func TestIntrospectionThatFailsNeverSaysInactive(t *testing.T) {
	for method, token := range map[string]func(*TokenAnswer) string{
		"TokenState": func(a *TokenAnswer) string { return a.AccessToken },
		"Refresh":    func(a *TokenAnswer) string { return a.RefreshToken },
		"Client":     func(a *TokenAnswer) string { return a.RefreshToken },
	} {
		t.Run(method, func(t *testing.T) {
			b := newTokenBench(t)
			c, a := b.app(t), b.tokens(t, nil)
			b.store.fail = failing(method)
			facts, err := b.Introspect(t.Context(), c, form("token", token(a)))
			wantUnavailable(t, err)
			if facts != nil {
				t.Errorf("got %v", facts)
			}
		})
	}
}
