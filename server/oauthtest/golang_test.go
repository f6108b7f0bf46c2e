package oauthtest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// goFlows are those of golang.org/x/oauth2 and go-oidc, with the clients of libraryApps.
var goFlows = map[string]func(*testing.T, *goApp){"web": goWeb, "service": goService, "device": goDevice}

// A goApp is an app that is written in Go.
type goApp struct {
	*stage
	ctx    context.Context // with the HTTP client
	oidc   *oidc.Provider
	config oauth2.Config
	flow   string
}

func newGoApp(t *testing.T, s *stage, flow string) *goApp {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: transport, Timeout: patience})
	provider, err := oidc.NewProvider(ctx, s.issuer)
	must(t, err)
	config := oauth2.Config{
		ClientID: s.clients[flow].id, ClientSecret: s.clients[flow].secret, Endpoint: provider.Endpoint(),
		RedirectURL: s.apps[flow].redirect, Scopes: strings.Fields(s.apps[flow].scope),
	}
	return &goApp{stage: s, ctx: ctx, oidc: provider, config: config, flow: flow}
}

// goWeb goes through the code flow with PKCE, and renews the tokens.
func goWeb(t *testing.T, a *goApp) {
	verifier, state, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	start := a.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	at, _, err := a.ada(t).browse(a.ctx, start, appURL, "")
	must(t, err)
	if got := at.Query(); got.Get("state") != state || got.Get("iss") != a.issuer {
		t.Fatalf("the callback has %v", got)
	}
	token, err := a.config.Exchange(a.ctx, at.Query().Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	id := a.verify(t, token)
	if id.Nonce != nonce {
		t.Errorf("the nonce is %q, want %q", id.Nonce, nonce)
	}
	if id.AccessTokenHash != "" {
		must(t, id.VerifyAccessToken(token.AccessToken))
	}
	a.userInfo(t, token, id.Subject)

	token.Expiry = time.Now().Add(-time.Minute)
	renewed, err := a.config.TokenSource(a.ctx, token).Token()
	must(t, err)
	if renewed.AccessToken == token.AccessToken || renewed.RefreshToken == token.RefreshToken || renewed.RefreshToken == "" {
		t.Error("nothing was renewed")
	}
	a.userInfo(t, renewed, id.Subject)
}

// verify checks the ID token of an answer.
func (a *goApp) verify(t *testing.T, token *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := a.oidc.VerifierContext(a.ctx, &oidc.Config{ClientID: a.config.ClientID}).Verify(a.ctx, raw)
	must(t, err)
	return id
}

func (a *goApp) userInfo(t *testing.T, token *oauth2.Token, subject string) {
	t.Helper()
	info, err := a.oidc.UserInfo(a.ctx, oauth2.StaticTokenSource(token))
	must(t, err)
	var claims struct {
		Name string `json:"preferred_username"`
	}
	must(t, info.Claims(&claims))
	if info.Subject != subject || claims.Name != "ada" {
		t.Errorf("userinfo is about %q, %q; want %q, ada", info.Subject, claims.Name, subject)
	}
}

// goService gets a token of its own.
func goService(t *testing.T, a *goApp) {
	config := clientcredentials.Config{
		ClientID: a.config.ClientID, ClientSecret: a.config.ClientSecret, TokenURL: a.config.Endpoint.TokenURL,
		Scopes: a.config.Scopes, EndpointParams: map[string][]string{"resource": {a.resource()}},
	}
	token, err := config.Token(a.ctx)
	must(t, err)
	scope, _ := token.Extra("scope").(string)
	if !sameScope(scope, a.apps[a.flow].scope) || token.Type() != "Bearer" || !token.Valid() {
		t.Errorf("got a %s token for %q", token.Type(), scope)
	}
}

// goDevice lets a device in, and a person types the code meanwhile.
func goDevice(t *testing.T, a *goApp) {
	device, err := a.config.DeviceAuth(a.ctx)
	must(t, err)
	_, _, err = a.ada(t).browse(a.ctx, device.VerificationURI, appURL, strings.ToLower(device.UserCode))
	must(t, err)
	token, err := a.config.DeviceAccessToken(a.ctx, device)
	must(t, err)
	id := a.verify(t, token)
	if !slices.Contains(id.Audience, a.config.ClientID) {
		t.Errorf("the ID token is for %q", id.Audience)
	}
	a.userInfo(t, token, id.Subject)
}
