package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLogoutURL(t *testing.T) {
	p := start(t, nil)
	address, ok := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{IDToken: "a.b.c", RedirectURL: signedOutURL, State: "s"})
	if !ok || !strings.HasPrefix(address, p.idp.URL+"/end_session?") {
		t.Fatalf("address %q, %v", address, ok)
	}
	want := url.Values{"client_id": {clientID}, "id_token_hint": {"a.b.c"}, "post_logout_redirect_uri": {signedOutURL}, "state": {"s"}}
	if diff := cmp.Diff(want, query(t, address)); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	address, _ = p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{IDToken: strings.Repeat("x", 5000)})
	if diff := cmp.Diff(url.Values{"client_id": {clientID}}, query(t, address)); diff != "" {
		t.Errorf("query with a token that is too long (-want +got):\n%s", diff)
	}
}

func TestLogoutURLOfTheConfigurationNeedsNoDiscovery(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.EndSessionURL = "https://id.example.com/logout?tenant=7" })
	p.idp.Break("*", p.idp.Hang)
	address, ok := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{})
	if !ok || query(t, address).Get("tenant") != "7" || query(t, address).Get("client_id") != clientID {
		t.Errorf("address %q, %v", address, ok)
	}
	if p.idp.Count(discovery) != 0 {
		t.Error("discovery was tried")
	}
}

func TestLogoutNeverWaitsForAProviderThatIsDown(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.Timeout = 100 * time.Millisecond })
	p.idp.Break("*", p.idp.Hang)
	for range 3 {
		if address, ok := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{}); ok {
			t.Errorf("address %q of a provider that was never reached", address)
		}
	}
	if n := p.idp.Count(discovery); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	p = start(t, nil)
	p.idp.AlterMetadata(func(m oidctest.Claims) { delete(m, "end_session_endpoint") })
	if address, ok := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{}); ok {
		t.Errorf("address %q of a provider without logout", address)
	}
}

func TestLogoutAtTheProviderEndsTheSignIn(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	address, _ := p.rp.LogoutURL(t.Context(), oidc.LogoutRequest{IDToken: login.IDToken, RedirectURL: signedOutURL, State: "bye"})
	back, err := oidctest.NewBrowser(t).Visit(t.Context(), address, signedOutURL, "")
	must(t, err)
	if back.Query().Get("state") != "bye" {
		t.Errorf("back at %s", back)
	}
	if _, err := p.refresh(t, login); err == nil {
		t.Error("the refresh token lives on")
	}
}

func TestLogoutToken(t *testing.T) {
	p := start(t, nil)
	for name, test := range map[string]struct {
		subject, sid string
		alter        func(h, c oidctest.Claims)
	}{
		"subject":         {"alice", "", nil},
		"session":         {"", "s1", nil},
		"both":            {"alice", "s1", nil},
		"typ JWT":         {"alice", "", func(h, _ oidctest.Claims) { h["typ"] = "JWT" }},
		"no typ":          {"alice", "", func(h, _ oidctest.Claims) { delete(h, "typ") }},
		"typ with prefix": {"alice", "", func(h, _ oidctest.Claims) { h["typ"] = "application/logout+JWT" }},
		"old but alive":   {"alice", "", func(_, c oidctest.Claims) { c["iat"] = p.clk.Now().Add(-9 * time.Minute).Unix() }},
	} {
		got, err := p.rp.LogoutToken(t.Context(), p.idp.LogoutToken(clientID, test.subject, test.sid, test.alter))
		want := oidc.Logout{Subject: test.subject, SID: test.sid}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(oidc.Logout{})); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestLogoutTokenIsRefused has one line for each thing that may be wrong with a
// logout token while everything else is right.
func TestLogoutTokenIsRefused(t *testing.T) {
	p := start(t, nil)
	set := func(name string, value any) func(h, c oidctest.Claims) {
		return func(_, c oidctest.Claims) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	ago := func(name string, d time.Duration) func(h, c oidctest.Claims) {
		return set(name, p.clk.Now().Add(-d).Unix())
	}
	event := "http://schemas.openid.net/event/backchannel-logout"
	for name, test := range map[string]struct {
		alter func(h, c oidctest.Claims)
		kind  oidc.Kind
	}{
		"another issuer":          {set("iss", "https://other.example"), oidc.Untrusted},
		"another client":          {set("aud", "other"), oidc.Untrusted},
		"no audience":             {set("aud", nil), oidc.Untrusted},
		"no iat":                  {set("iat", nil), oidc.Untrusted},
		"no exp":                  {set("exp", nil), oidc.Untrusted},
		"expired":                 {ago("exp", 3*time.Minute), oidc.Untrusted},
		"from the future":         {ago("iat", -3*time.Minute), oidc.Untrusted},
		"old":                     {ago("iat", 13*time.Minute), oidc.Stale},
		"no jti":                  {set("jti", nil), oidc.Untrusted},
		"neither sub nor sid":     {set("sub", nil), oidc.Untrusted},
		"no events":               {set("events", nil), oidc.Untrusted},
		"another event":           {set("events", oidctest.Claims{"urn:other": oidctest.Claims{}}), oidc.Untrusted},
		"event that is no object": {set("events", oidctest.Claims{event: true}), oidc.Untrusted},
		"events that are a list":  {set("events", []string{event}), oidc.Untrusted},
		"a nonce":                 {set("nonce", "n"), oidc.Untrusted},
		"an empty nonce":          {set("nonce", ""), oidc.Untrusted},
		"typ of access tokens":    {func(h, _ oidctest.Claims) { h["typ"] = "at+jwt" }, oidc.Untrusted},
		"too large":               {set("padding", strings.Repeat("x", 17<<10)), oidc.Untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.rp.LogoutToken(t.Context(), p.idp.LogoutToken(clientID, "alice", "", test.alter))
			if got != (oidc.Logout{}) {
				t.Errorf("logout %+v", got)
			}
			wantError(t, err, test.kind)
		})
	}
	for _, alg := range []string{"none", "HS256"} {
		p.idp.SignWith(alg)
		_, err := p.rp.LogoutToken(t.Context(), p.idp.LogoutToken(clientID, "alice", "", nil))
		wantError(t, err, oidc.Untrusted, alg)
	}
}

func TestLogoutTokenIsTakenOnce(t *testing.T) {
	p := start(t, nil)
	raw := p.idp.LogoutToken(clientID, "alice", "", nil)
	logout, err := p.rp.LogoutToken(t.Context(), raw)
	must(t, err)
	_, err = p.rp.LogoutToken(t.Context(), raw)
	wantError(t, err, oidc.Stale, "before")
	p.rp.Release(logout) // its sessions could not be ended
	_, err = p.rp.LogoutToken(t.Context(), raw)
	must(t, err)
}

func TestTokenKindsDoNotMix(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	_, err := p.rp.LogoutToken(t.Context(), login.IDToken)
	wantError(t, err, oidc.Untrusted)
	_, err = p.rp.LogoutToken(t.Context(), login.AccessToken)
	wantError(t, err, oidc.Untrusted)
	logout := p.idp.LogoutToken(clientID, "alice", "", func(h, c oidctest.Claims) {
		c["nonce"] = "nonce-alice"
		h["typ"] = "JWT"
	})
	p.idp.ReplaceIDToken(func(string) string { return logout })
	_, err = p.signIn(t, "alice")
	wantError(t, err, oidc.Untrusted, "another kind")
}

func TestBackchannelDelivery(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	var got oidc.Logout
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if got, err = p.rp.LogoutToken(r.Context(), r.PostFormValue("logout_token")); err != nil {
			t.Error(err)
		}
	}))
	defer endpoint.Close()
	c := client()
	c.BackchannelURI = endpoint.URL
	p.idp.AddClient(c)
	status, err := p.idp.SendLogout(t.Context(), clientID, "", login.SID)
	must(t, err)
	if status != http.StatusOK || got.SID != login.SID {
		t.Errorf("status %d, logout %+v; want session %s", status, got, login.SID)
	}
	if _, err := p.refresh(t, login); err == nil {
		t.Error("the refresh token lives on")
	}
}

// FuzzLogoutToken: what anybody may post is refused without a panic unless the
// provider signed it.
func FuzzLogoutToken(f *testing.F) {
	p := start(f, nil)
	good := p.idp.LogoutToken(clientID, "alice", "s1", nil)
	f.Add(good)
	f.Add(good + ".")
	f.Add(oidctest.SignJWT(oidctest.Claims{"alg": "none"}, oidctest.ReadClaims(good), nil))
	f.Add("eyJhbGciOiJkaXIiLCJ6aXAiOiJERUYifQ..AAAA.AAAA.AAAA")
	f.Add(`{"payload":"e30","signatures":[]}`)
	signing := good[:strings.LastIndex(good, ".")]
	f.Fuzz(func(t *testing.T, raw string) {
		logout, err := p.rp.LogoutToken(t.Context(), raw)
		if err == nil && !strings.HasPrefix(raw, signing) {
			t.Errorf("%q is taken for %+v", raw, logout)
		}
		if len(raw) > 32 && err != nil && strings.Contains(err.Error(), raw) {
			t.Errorf("the token is in the error %v", err)
		}
	})
}
