package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
)

// refresh renews a login.
func (p pair) refresh(t testing.TB, l *oidc.Login) (*oidc.Login, error) {
	t.Helper()
	return p.rp.Refresh(t.Context(), l.RefreshToken, l.IDToken, l.Subject)
}

func (p pair) mustRefresh(t testing.TB, l *oidc.Login) *oidc.Login {
	t.Helper()
	next, err := p.refresh(t, l)
	must(t, err)
	return next
}

// withoutIDToken makes refreshes bring no ID token.
func withoutIDToken(grant string, answer oidctest.Claims) {
	if grant == "refresh_token" {
		delete(answer, "id_token")
	}
}

func TestRefreshReadsGroupsAgain(t *testing.T) {
	p := start(t, nil)
	first := p.mustSignIn(t, "alice")
	p.idp.SetUser("alice", oidctest.Claims{"preferred_username": "alice.b", "groups": []string{"finance"}})
	p.clk.pass(time.Minute)
	second := p.mustRefresh(t, first)
	want := &oidc.Login{
		Issuer: p.idp.URL, Subject: "alice", SID: first.SID, Username: "alice.b", Email: "alice@example.com", Groups: []string{"finance"},
		IDToken: second.IDToken, AccessToken: second.AccessToken, RefreshToken: second.RefreshToken,
		Expiry: p.clk.Now().Add(5 * time.Minute), AuthTime: first.AuthTime,
	}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
	if second.RefreshToken == first.RefreshToken || second.IDToken == first.IDToken {
		t.Error("the tokens are the old ones")
	}
}

func TestRefreshKeepsWhatTheProviderLeavesOut(t *testing.T) {
	p := start(t, nil)
	p.idp.KeepRefreshTokens()
	p.idp.AlterTokenAnswer(withoutIDToken)
	first := p.mustSignIn(t, "alice")
	second := p.mustRefresh(t, first)
	if second.RefreshToken != first.RefreshToken || second.IDToken != first.IDToken || second.SID != first.SID || !second.AuthTime.Equal(first.AuthTime) {
		t.Errorf("login %+v, want what it had before", second)
	}
	if n := p.idp.Count("/userinfo"); n != 1 || second.Warnings != nil {
		t.Errorf("%d requests to userinfo, warnings %q", n, second.Warnings)
	}
}

func TestRefreshWithoutIDTokenAsksUserInfo(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterTokenAnswer(withoutIDToken)
	first := p.mustSignIn(t, "alice")
	p.idp.SetUser("alice", oidctest.Claims{"groups": []string{"finance"}})
	second := p.mustRefresh(t, first)
	if !cmp.Equal(second.Groups, []string{"finance"}) || second.Username != "alice.a" || second.Email != "alice@example.com" {
		t.Errorf("login %+v", second)
	}
	p.idp.SetUser("alice", oidctest.Claims{"email": "new@example.com"})
	third := p.mustRefresh(t, second)
	if third.Email != "" || third.Groups != nil {
		t.Errorf("e-mail %q, groups %q; the provider takes them back", third.Email, third.Groups)
	}
	wantWarning(t, third, "no groups any more")
}

func TestRefreshWithoutAnyClaimsKeepsTheOldOnes(t *testing.T) {
	p := start(t, nil)
	first := p.mustSignIn(t, "alice")
	p.idp.AlterTokenAnswer(withoutIDToken)
	p.idp.Break("/userinfo", oidctest.Status(503))
	second := p.mustRefresh(t, first)
	if !cmp.Equal(second.Groups, first.Groups) || second.Username != first.Username || second.Email != first.Email {
		t.Errorf("login %+v, want the claims of %+v", second, first)
	}
	wantWarning(t, second, "those of before")
}

func TestRefusedRefreshSaysSo(t *testing.T) {
	for name, fault := range map[string]func(pair){
		"revoked":      func(p pair) { p.idp.Revoke("alice") },
		"user removed": func(p pair) { p.idp.RemoveUser("alice") },
		"gone from userinfo": func(p pair) {
			p.idp.AlterTokenAnswer(withoutIDToken)
			p.idp.Break("/userinfo", oidctest.Status(401))
		},
		"another subject": func(p pair) { p.idp.AlterIDToken(func(c oidctest.Claims) { c["sub"] = "bob" }) },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil)
			login := p.mustSignIn(t, "alice")
			fault(p)
			next, err := p.refresh(t, login)
			if !errors.Is(err, oidc.ErrRefused) || next != nil {
				t.Errorf("%+v, error %v; want ErrRefused", next, err)
			}
			if err != nil && strings.Contains(err.Error(), login.RefreshToken) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

func TestFailedRefreshIsNoRefusal(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(pair)
		kind  oidc.Kind
	}{
		"down":        {func(p pair) { p.idp.Break("*", oidctest.Cut) }, oidc.Unreachable},
		"500":         {func(p pair) { p.idp.Break("/token", oidctest.Status(500)) }, oidc.Unreachable},
		"429":         {func(p pair) { p.idp.Break("/token", oidctest.Status(429)) }, oidc.Unreachable},
		"400":         {func(p pair) { p.idp.Break("/token", oidctest.Status(400)) }, oidc.Misconfigured},
		"hangs":       {func(p pair) { p.idp.Break("/token", p.idp.Hang) }, oidc.Unreachable},
		"new secret":  {func(p pair) { c := client(); c.Secret = "new"; p.idp.AddClient(c) }, oidc.Misconfigured},
		"wrong token": {func(p pair) { p.idp.SignWith("none") }, oidc.Untrusted},
		"a 500 that says invalid_grant": {func(p pair) {
			p.idp.Break("/token", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusInternalServerError)
				w.Write([]byte(`{"error":"invalid_grant"}`))
			})
		}, oidc.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, func(c *oidc.Config) { c.Timeout = 500 * time.Millisecond })
			login := p.mustSignIn(t, "alice")
			test.fault(p)
			_, err := p.refresh(t, login)
			wantError(t, err, test.kind)
			if errors.Is(err, oidc.ErrRefused) {
				t.Errorf("error %v would end the session", err)
			}
		})
	}
}

func TestRefreshTokenIsNeverSentTwiceByItself(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	p.mustRefresh(t, login)
	if _, err := p.refresh(t, login); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("a spent token: %v", err)
	}
	if n := len(p.idp.TokenRequests()); n != 3 {
		t.Errorf("%d token requests, want 3", n)
	}
}

func TestRefreshThatWasSentIsWaitedFor(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	var sent *http.Request
	p.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		cancel() // the one who asked has gone
		sent = r
		p.idp.Serve(w, r)
	})
	next, err := p.rp.Refresh(ctx, login.RefreshToken, login.IDToken, login.Subject)
	must(t, err)
	if next.RefreshToken == login.RefreshToken || sent == nil {
		t.Error("the new refresh token is lost")
	}
	_, err = p.rp.Refresh(ctx, next.RefreshToken, next.IDToken, next.Subject)
	wantError(t, err, oidc.Unreachable) // what was not sent is not sent now
}

func TestRefreshedIDTokenOfAnotherSignInIsRefused(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	p.idp.AlterIDToken(func(c oidctest.Claims) { c["nonce"] = "another" })
	_, err := p.refresh(t, login)
	wantError(t, err, oidc.Untrusted, "nonce")
}
