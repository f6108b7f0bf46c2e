package oidctest_test

import (
	"net/http"
	"net/url"
	"testing"

	"wavegate/oidc/oidctest"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const callback = "http://app.example/callback"

func start(t *testing.T) (*oidctest.Provider, oidctest.Client) {
	t.Helper()
	c := oidctest.Client{ID: "gate", Secret: "secret", RedirectURLs: []string{callback}}
	return oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{c}, Users: map[string]oidctest.Claims{"alice": {"name": "Alice"}}}), c
}

// TestAnotherClient: the fake provider does what a client that others wrote
// expects of a provider, so that wavegate's own is not tested against itself.
func TestAnotherClient(t *testing.T) {
	idp, c := start(t)
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, idp.URL)
	must(t, err)
	config := oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: []string{"openid"}}
	verifier := oauth2.GenerateVerifier()
	idp.Login("alice")
	back, err := oidctest.NewBrowser(t).Visit(ctx, config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("n")), callback, "")
	must(t, err)
	token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: c.ID}).Verify(ctx, raw)
	must(t, err)
	must(t, id.VerifyAccessToken(token.AccessToken))
	if id.Subject != "alice" || id.Nonce != "n" {
		t.Errorf("subject %q, nonce %q", id.Subject, id.Nonce)
	}
	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, token))
	must(t, err)
	if info.Subject != "alice" {
		t.Errorf("userinfo of %q", info.Subject)
	}
	logout, err := provider.Verifier(&oidc.Config{ClientID: c.ID}).VerifyLogout(ctx, idp.LogoutToken(c.ID, "alice", "s1", nil))
	must(t, err)
	if logout.Subject != "alice" || logout.SessionID != "s1" {
		t.Errorf("logout of %+v", logout)
	}
}

func TestProviderRefuses(t *testing.T) {
	idp, c := start(t)
	get := func(change func(url.Values)) int {
		query := url.Values{
			"client_id": {c.ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "login_hint": {"alice"},
			"code_challenge_method": {"S256"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())},
		}
		change(query)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Get(idp.URL + "/authorize?" + query.Encode())
		must(t, err)
		resp.Body.Close()
		to, err := url.Parse(resp.Header.Get("Location"))
		must(t, err)
		if resp.StatusCode == http.StatusSeeOther && to.Query().Has("error") {
			return http.StatusTeapot // an error that the client is told
		}
		return resp.StatusCode
	}
	for name, test := range map[string]struct {
		change func(url.Values)
		want   int
	}{
		"nothing":          {func(url.Values) {}, http.StatusSeeOther},
		"another client":   {func(q url.Values) { q.Set("client_id", "x") }, http.StatusBadRequest},
		"another address":  {func(q url.Values) { q.Set("redirect_uri", callback+"/") }, http.StatusBadRequest},
		"no challenge":     {func(q url.Values) { q.Del("code_challenge") }, http.StatusTeapot},
		"another response": {func(q url.Values) { q.Set("response_type", "token") }, http.StatusTeapot},
		"no openid":        {func(q url.Values) { q.Set("scope", "profile") }, http.StatusTeapot},
	} {
		if got := get(test.change); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
