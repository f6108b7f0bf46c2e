package provider

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// advertised returns the metadata.
func (d *desk) advertised(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(d.Metadata(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func list(values ...any) []any { return values }

func TestMetadataIsWhole(t *testing.T) {
	at := func(path string) string { return deskIssuer + "/oauth/" + path }
	proofs, algs := list("client_secret_basic", "client_secret_post", "private_key_jwt"), list("ES256", "ES384", "PS256", "RS256", "EdDSA")
	clients := append(slices.Clone(proofs), "none")
	want := map[string]any{
		"issuer": deskIssuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"), "userinfo_endpoint": at("userinfo"),
		"jwks_uri": at("jwks"), "registration_endpoint": at("register"), "revocation_endpoint": at("revoke"), "introspection_endpoint": at("introspect"),
		"device_authorization_endpoint": at("device"), "pushed_authorization_request_endpoint": at("par"), "end_session_endpoint": at("logout"),
		"scopes_supported":         list("openid", "profile", "email", "offline_access", "streams:read", "streams:write", "billing:write"),
		"response_types_supported": list("code"), "response_modes_supported": list("query"),
		"grant_types_supported":            list("authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"),
		"code_challenge_methods_supported": list("S256"), "prompt_values_supported": list("none", "login", "consent", "select_account"),
		"subject_types_supported": list("public"), "id_token_signing_alg_values_supported": list("RS256", "ES256"),
		"claims_supported": list("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid",
			"preferred_username", "name", "groups", "email", "email_verified"),
		"token_endpoint_auth_methods_supported": clients, "token_endpoint_auth_signing_alg_values_supported": algs,
		"revocation_endpoint_auth_methods_supported": clients, "revocation_endpoint_auth_signing_alg_values_supported": algs,
		"introspection_endpoint_auth_methods_supported": proofs, "introspection_endpoint_auth_signing_alg_values_supported": algs,
		"authorization_response_iss_parameter_supported": true, "claims_parameter_supported": false,
		"request_parameter_supported": false, "request_uri_parameter_supported": false,
	}
	if diff := cmp.Diff(want, newDesk(t).advertised(t)); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataLeavesOutWhatDoesNotWork(t *testing.T) {
	d := newDesk(t)
	d.rules.SignIn, d.rules.Registration = false, false
	m := d.advertised(t)
	for _, name := range []string{
		"authorization_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint", "end_session_endpoint",
		"userinfo_endpoint", "registration_endpoint",
	} {
		if m[name] != nil {
			t.Errorf("%s is there", name)
		}
	}
	for name, want := range map[string][]any{
		"grant_types_supported": list("client_credentials"), "response_types_supported": {}, "response_modes_supported": {}, "prompt_values_supported": {},
		"scopes_supported": list("streams:read", "streams:write", "billing:write"), "claims_supported": {},
	} {
		if diff := cmp.Diff(want, m[name].([]any)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMetadataHasEachScopeOnce(t *testing.T) {
	d := newDesk(t)
	d.rules.Scopes = []string{"email", "streams:read"}
	if diff := cmp.Diff(list("openid", "profile", "email", "offline_access", "streams:read"), d.advertised(t)["scopes_supported"].([]any)); diff != "" {
		t.Error(diff)
	}
}

// The server publishes what it can do, PKCE above all, and does just that: what is
// said to be there is taken, and what is said not to be there is refused.
func TestRFC9700_2_6_MetadataIsTrueOfAuthorizationRequests(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.Scopes = d.rules.Scopes })
	m := d.advertised(t)
	for name, param := range map[string]string{
		"response_types_supported": "response_type", "response_modes_supported": "response_mode", "scopes_supported": "scope",
		"prompt_values_supported": "prompt", "code_challenge_methods_supported": "code_challenge_method",
	} {
		for _, value := range m[name].([]any) {
			d.request(t, with(param, value.(string)))
		}
		if _, err := d.Request(t.Context(), params(t, with(param, "surprise"))); err == nil {
			t.Errorf("%s takes anything", param)
		}
	}
	for name, ask := range map[string]url.Values{
		"request_parameter_supported":     with("request", "eyJ.e30.x"),
		"request_uri_parameter_supported": with("request_uri", "https://app.example/request"),
	} {
		_, err := d.Request(t.Context(), params(t, ask))
		if refusal := err != nil; refusal == m[name].(bool) {
			t.Errorf("%s is %v, and the request: %v", name, m[name], err)
		}
	}
}

func TestMetadataIsTrueOfGrants(t *testing.T) {
	d := newDesk(t)
	for _, on := range []bool{true, false} {
		d.rules.SignIn = on
		grants := d.advertised(t)["grant_types_supported"].([]any)
		_, code := d.Request(t.Context(), params(t, good()))
		_, device := d.start(t)
		if slices.Contains(grants, any(GrantCode)) != (code == nil) || slices.Contains(grants, any(GrantDevice)) != (device == nil) {
			t.Errorf("%v, but %v and %v", grants, code, device)
		}
	}
}
