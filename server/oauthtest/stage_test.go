package oauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"wavegate/oidc/oidctest"
)

// An app is what a client is registered as, and what it asks for.
type app struct {
	auth     string // token_endpoint_auth_method; "none" is a public client, "" registers itself
	grants   []string
	scope    string
	redirect string // redirect URI; "" for none
	bye      string // where the browser goes after signing out; "" for none
	resource bool   // asks for tokens for the API
}

// grantsOfWeb and deviceGrant are grant types that apps have.
var grantsOfWeb = []string{"authorization_code", "refresh_token"}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// A stage is an authorization server at which apps are registered, and ada is known.
type stage struct {
	issuer   string
	metadata string // "oidc", or "oauth2" where RFC 8414 is served
	apps     map[string]app
	clients  map[string]credentials // by the names of apps
	key      jose.JSONWebKey        // of the clients that sign
	password string                 // ada's
	gateway  bool                   // it is wavegate: asks for consent, and lets tokens in to the API
}

// credentials are those of a client; the secret is "" where it has none.
type credentials struct{ id, secret string }

// resource is the API that tokens are for.
func (s *stage) resource() string { return s.issuer + "/api" }

// ada opens a browser.
func (s *stage) ada(t *testing.T) *person {
	t.Helper()
	return newPerson(t, "ada", s.password)
}

func newStage(t *testing.T, apps map[string]app) *stage {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &stage{apps: apps, clients: map[string]credentials{}, key: jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: "ES256", Use: "sig"}}
}

// servers are those at which clients must work: the first shows that the tests are
// right, the second is what they are about.
var servers = map[string]func(*testing.T, map[string]app) *stage{"oidc-provider": onProvider, "wavegate": onWavegate}

// known are the apps that somebody registers.
func known(apps map[string]app) map[string]app {
	apps = maps.Clone(apps)
	maps.DeleteFunc(apps, func(_ string, a app) bool { return a.auth == "" })
	return apps
}

// onProvider registers apps at the npm package oidc-provider.
func onProvider(t *testing.T, apps map[string]app) *stage {
	t.Helper()
	s := newStage(t, apps)
	s.metadata, s.password = "oidc", "any"
	var clients []oidctest.Client
	for name, a := range known(apps) {
		c := oidctest.Client{ID: name, Secret: name + "-secret-of-this-test", RedirectURLs: []string{}, Metadata: oidctest.Claims{
			"grant_types": a.grants, "token_endpoint_auth_method": a.auth, "response_types": []string{},
		}}
		if a.redirect != "" {
			c.RedirectURLs, c.Metadata["response_types"] = []string{a.redirect}, []string{"code"}
		}
		if a.bye != "" {
			c.PostLogoutRedirectURLs = []string{a.bye}
		}
		switch a.auth {
		case "private_key_jwt":
			c.Metadata["jwks"], c.Secret = s.keySet(t), ""
		case "none":
			c.Secret = ""
		}
		clients = append(clients, c)
		s.clients[name] = credentials{c.ID, c.Secret}
	}
	s.issuer = oidctest.StartNode(t, oidctest.NodeConfig{Clients: clients, Users: map[string]oidctest.Claims{"ada": {"preferred_username": "ada"}}}).URL
	return s
}

// onWavegate registers apps at a wavegate.
func onWavegate(t *testing.T, apps map[string]app) *stage {
	t.Helper()
	g := startGate(t, "127.0.0.1", nil)
	s := newStage(t, apps)
	s.issuer, s.metadata, s.password = g.url, "oauth2", g.adaPassword
	s.gateway = true
	for name, a := range known(apps) {
		registration := map[string]any{"name": name, "type": "confidential", "scopes": strings.Fields(a.scope), "grant_types": a.grants}
		if a.redirect != "" {
			registration["redirect_uris"] = []string{a.redirect}
		}
		if a.bye != "" {
			registration["post_logout_redirect_uris"] = []string{a.bye}
		}
		switch a.auth {
		case "private_key_jwt":
			registration["jwks"] = s.keySet(t)
		case "none":
			registration["type"] = "public"
		}
		s.clients[name] = g.newClient(t, registration)
	}
	return s
}

// keySet is what a client that signs registers.
func (s *stage) keySet(t *testing.T) map[string]any {
	t.Helper()
	return map[string]any{"keys": []any{asMap(t, s.key.Public())}}
}

func asMap(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	var m map[string]any
	must(t, json.Unmarshal(text, &m))
	return m
}
