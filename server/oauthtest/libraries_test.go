package oauthtest

import (
	"cmp"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// appURL is where the apps of the libraries would be: nothing listens there, since
// they are told where the browser was sent.
const appURL = "http://127.0.0.1:9/"

// libraryApps are the clients of the flows, which have their names.
var libraryApps = map[string]app{
	"web":      {auth: "client_secret_basic", grants: grantsOfWeb, scope: "openid profile email offline_access", redirect: appURL + "callback", bye: appURL + "bye"},
	"pushed":   {auth: "client_secret_post", grants: grantsOfWeb, scope: "openid offline_access api:read", redirect: appURL + "callback", resource: true},
	"native":   {auth: "none", grants: grantsOfWeb, scope: "openid profile offline_access", redirect: appURL + "callback"},
	"newcomer": {scope: "openid profile offline_access", redirect: appURL + "callback"},
	"service":  {auth: "client_secret_basic", grants: []string{"client_credentials"}, scope: "api:read api:write", resource: true},
	"signer":   {auth: "private_key_jwt", grants: []string{"client_credentials"}, scope: "api:read", resource: true},
	"device":   {auth: "none", grants: []string{deviceGrant}, scope: "openid profile"},
}

// TestLibrariesWork has every flow of the libraries at both servers.
func TestLibrariesWork(t *testing.T) {
	t.Parallel()
	dir := scripts(t)
	for name, open := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, libraryApps)
			for _, library := range []string{"openid-client", "oauth4webapi"} {
				for _, flow := range slices.Sorted(maps.Keys(libraryApps)) {
					t.Run(library+" "+flow, func(t *testing.T) {
						t.Parallel()
						s.check(t, flow, runScript(t, filepath.Join(dir, library+".mjs"), s.config(t, flow), s.ada(t)))
					})
				}
			}
			for flow, run := range goFlows {
				t.Run("golang.org "+flow, func(t *testing.T) {
					t.Parallel()
					run(t, newGoApp(t, s, flow))
				})
			}
		})
	}
}

// config is what a script is told.
func (s *stage) config(t *testing.T, flow string) map[string]any {
	t.Helper()
	a, client := s.apps[flow], s.clients[flow]
	config := map[string]any{
		"flow": flow, "issuer": s.issuer, "metadata": s.metadata, "client_id": client.id, "scope": a.scope,
		"redirect_uri": a.redirect, "post_logout_redirect_uri": a.bye,
	}
	if client.secret != "" {
		config["client_secret"] = client.secret
	}
	if a.auth == "private_key_jwt" {
		config["private_jwk"] = asMap(t, s.key)
	}
	if a.resource {
		config["resource"] = s.resource()
	}
	return config
}

// check looks at what the libraries leave to the app.
func (s *stage) check(t *testing.T, flow string, got *outcome) {
	t.Helper()
	a, id := s.apps[flow], cmp.Or(s.clients[flow].id, got.ClientID)
	if got.Tokens.AccessToken == "" || got.Tokens.TokenType != "bearer" || got.Tokens.ExpiresIn < 60 {
		t.Errorf("the tokens are of the type %q, for %d s", got.Tokens.TokenType, got.Tokens.ExpiresIn)
	}
	if scope := got.Tokens.Scope; !a.resource && !sameScope(scope, a.scope) {
		t.Errorf("the scope is %q, want %q", scope, a.scope)
	}
	if strings.HasPrefix(a.scope, "openid") {
		want(t, "ID token", got.Claims, map[string]any{"iss": s.issuer, "aud": id})
	}
	if got.UserInfo != nil {
		want(t, "userinfo", got.UserInfo, map[string]any{"sub": got.Claims["sub"], "preferred_username": "ada"})
	}
	if got.Introspection != nil {
		want(t, "introspection", got.Introspection, map[string]any{"active": true, "client_id": id, "sub": got.Claims["sub"]})
	}
	if got.Access != nil {
		want(t, "access token", got.Access, map[string]any{"client_id": id, "aud": s.resource()})
		if scope, _ := got.Access["scope"].(string); !sameScope(scope, a.scope) && !sameScope("openid "+scope, a.scope) { // openid is no scope of the API
			t.Errorf("the access token is for %q, want %q", scope, a.scope)
		}
	}
	if s.gateway {
		s.checkAPI(t, flow, got.Tokens.AccessToken)
	}
}

// apiAnswers is what GET and POST at the API are answered behind wavegate, with the
// token of a flow after its end.
var apiAnswers = map[string][2]int{
	"web":      {401, 401}, // revoked
	"pushed":   {401, 401}, // its code was redeemed twice
	"native":   {403, 403}, // says who somebody is, and opens nothing
	"newcomer": {403, 403},
	"service":  {200, 200},
	"signer":   {200, 403}, // may read
	"device":   {403, 403},
}

// checkAPI uses a token where the gateway lets tokens in.
func (s *stage) checkAPI(t *testing.T, flow, token string) {
	t.Helper()
	for i, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(t.Context(), method, s.resource()+"/measurements", http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if status := fetch(t, req, nil); status != apiAnswers[flow][i] {
			t.Errorf("%s with the token is answered %d, want %d", method, status, apiAnswers[flow][i])
		}
	}
}

// want compares some claims.
func want(t *testing.T, what string, got, claims map[string]any) {
	t.Helper()
	for name, value := range claims {
		if got[name] != value {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], value)
		}
	}
}

// sameScope compares two scopes, offline_access aside: not every server says that
// it was given.
func sameScope(a, b string) bool {
	list := func(scope string) []string {
		return slices.DeleteFunc(slices.Sorted(strings.FieldsSeq(scope)), func(s string) bool { return s == "offline_access" })
	}
	return slices.Equal(list(a), list(b))
}
