package oidc_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
)

// A realPair is a relying party and the real provider.
type realPair struct {
	idp          *oidctest.NodeProvider
	rp           *oidc.Provider
	logoutTokens chan string // what it delivered over the back channel
}

func startReal(t *testing.T, claimsInIDToken bool) realPair {
	t.Helper()
	tokens := make(chan string, 16)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens <- r.PostFormValue("logout_token") }))
	t.Cleanup(endpoint.Close)
	c := client()
	c.BackchannelURI = endpoint.URL
	idp := oidctest.StartNode(t, oidctest.NodeConfig{Clients: []oidctest.Client{c}, Users: users(), ClaimsInIDToken: claimsInIDToken})
	rp, err := oidc.New(oidc.Config{
		Name: "node", Issuer: idp.URL, ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"profile", "email"},
	})
	must(t, err)
	t.Cleanup(rp.Close)
	return realPair{idp, rp, tokens}
}

func (p realPair) signIn(t *testing.T, username string) *oidc.Login {
	t.Helper()
	login, err := p.rp.Exchange(t.Context(), authorize(t, p.rp, username))
	must(t, err)
	return login
}

func (p realPair) refresh(t *testing.T, l *oidc.Login) (*oidc.Login, error) {
	t.Helper()
	return p.rp.Refresh(t.Context(), l.RefreshToken, l.IDToken, l.Subject)
}

// TestRealProvider runs against the npm package oidc-provider.
func TestRealProvider(t *testing.T) {
	p := startReal(t, false)
	t.Run("sign in", p.testSignIn)
	t.Run("wrong secret", p.testWrongSecret)
	t.Run("spent refresh token", p.testSpentRefreshToken)
	t.Run("logout", p.testLogout)
	t.Run("refresh", p.testRefresh)
	t.Run("new keys", p.testNewKeys)
	t.Run("access tokens", p.testAccessTokens)
}

func TestRealProviderWithClaimsInTheIDToken(t *testing.T) {
	startReal(t, true).testSignIn(t)
}

func (p realPair) testSignIn(t *testing.T) {
	cb := authorize(t, p.rp, "alice")
	login, err := p.rp.Exchange(t.Context(), cb)
	must(t, err)
	want := &oidc.Login{
		Issuer: p.rp.Issuer(), Subject: "alice", Username: "alice.a", Email: "alice@example.com", Groups: []string{"eng", "ops"},
		SID: login.SID, IDToken: login.IDToken, AccessToken: login.AccessToken, RefreshToken: login.RefreshToken,
		Expiry: login.Expiry, AuthTime: login.AuthTime,
	}
	if diff := cmp.Diff(want, login); diff != "" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
	if login.RefreshToken == "" || login.SID == "" || time.Until(login.Expiry) < time.Minute {
		t.Errorf("refresh token %t, session %q, expiry %s", login.RefreshToken != "", login.SID, login.Expiry)
	}
	_, err = p.rp.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Stale, "invalid_grant")
	if bob := p.signIn(t, "bob"); bob.Username != "bob" || bob.Email != "" {
		t.Errorf("bob is %q, e-mail %q; his address is not verified", bob.Username, bob.Email)
	}
}

func (p realPair) testWrongSecret(t *testing.T) {
	cb := authorize(t, p.rp, "alice")
	wrong := relyingParty(t, p.idp.URL, newClock(), func(c *oidc.Config) { c.ClientSecret = "wrong-secret" })
	_, err := wrong.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Misconfigured, "invalid_client")
	if strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("the secret is in the error: %v", err)
	}
}

func (p realPair) testSpentRefreshToken(t *testing.T) {
	first := p.signIn(t, "alice")
	second, err := p.refresh(t, first)
	must(t, err)
	for _, login := range []*oidc.Login{first, second} { // the second goes with the family
		if _, err := p.refresh(t, login); !errors.Is(err, oidc.ErrRefused) {
			t.Errorf("error %v, want ErrRefused", err)
		}
	}
}

func (p realPair) testLogout(t *testing.T) {
	browser := oidctest.NewBrowser(t)
	cb, err := visit(t.Context(), browser, p.rp, "alice")
	must(t, err)
	login, err := p.rp.Exchange(t.Context(), cb)
	must(t, err)
	address, ok := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{IDToken: login.IDToken, RedirectURL: signedOutURL, State: "bye"})
	if !ok {
		t.Fatal("the provider has no logout")
	}
	back, err := browser.Visit(t.Context(), address, signedOutURL, "")
	must(t, err)
	if back.Query().Get("state") != "bye" {
		t.Errorf("back at %s without the state", back)
	}
	var raw string
	select {
	case raw = <-p.logoutTokens:
	case <-time.After(10 * time.Second):
		t.Fatal("no logout token came")
	}
	logout, err := p.rp.LogoutToken(t.Context(), raw)
	must(t, err)
	if logout.SID != login.SID || logout.Subject != "alice" {
		t.Errorf("logout of %+v, want session %s of alice", logout, login.SID)
	}
	_, err = p.rp.LogoutToken(t.Context(), raw)
	wantError(t, err, oidc.Stale)
	_, err = p.rp.LogoutToken(t.Context(), login.IDToken)
	wantError(t, err, oidc.Untrusted)
}

func (p realPair) testRefresh(t *testing.T) {
	first := p.signIn(t, "alice")
	changed := users()
	changed["alice"]["groups"] = []string{"finance"}
	p.idp.SetUsers(changed)
	second, err := p.refresh(t, first)
	must(t, err)
	if diff := cmp.Diff([]string{"finance"}, second.Groups); diff != "" {
		t.Errorf("groups after the refresh (-want +got):\n%s", diff)
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Error("the tokens did not change")
	}
	delete(changed, "alice")
	p.idp.SetUsers(changed)
	if _, err = p.refresh(t, second); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("a removed user: %v, want ErrRefused", err)
	}
	p.idp.SetUsers(users())
}

func (p realPair) testNewKeys(t *testing.T) {
	before := p.signIn(t, "alice")
	p.idp.Restart()
	p.signIn(t, "alice")
	if _, err := p.refresh(t, before); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("a refresh token from before: %v, want ErrRefused", err)
	}
}

// testAccessTokens has the provider issue a JWT for this server's own API.
func (p realPair) testAccessTokens(t *testing.T) {
	rp := relyingParty(t, p.idp.URL, newClock(), func(c *oidc.Config) {
		c.Scopes = []string{"api:read"}
		c.AuthURLParams = []oidc.Param{{Key: "resource", Value: audience}}
	})
	login, err := rp.Exchange(t.Context(), authorize(t, rp, "alice"))
	must(t, err)
	is := issuer(t, p.idp.URL, newClock(), nil)
	got, err := is.Verify(t.Context(), login.AccessToken)
	must(t, err)
	want := oidc.IssuerClaims{
		Subject: "alice", Username: "alice", Scopes: []string{"api:read"}, IssuedAt: got.IssuedAt, Expiry: got.Expiry, ID: got.ID,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Expiry.Sub(got.IssuedAt) != 5*time.Minute || got.ID == "" {
		t.Errorf("access token: %+v (-want +got):\n%s", got, diff)
	}
	other := issuer(t, p.idp.URL, newClock(), func(c *oidc.IssuerConfig) { c.Audience = clientID })
	for what, raw := range map[string]string{"another audience": login.AccessToken, "an ID token": login.IDToken} {
		_, err := other.Verify(t.Context(), raw)
		wantIs(t, what, err, oidc.ErrIssuerToken)
	}
}
