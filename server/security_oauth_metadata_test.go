package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestRFC9700_2_6_MetadataTellsTheTruth does everything that the metadata says can be
// done, and finds that what it leaves out cannot.
func TestRFC9700_2_6_MetadataTellsTheTruth(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "oauth: {registration: {enabled: true}}\n")
	m := o.do("GET", "/.well-known/openid-configuration", "").want(t, 200, "").object(t)
	if again := o.do("GET", "/.well-known/oauth-authorization-server", ""); again.body != o.do("GET", "/.well-known/openid-configuration", "").body {
		t.Error("two documents, two truths")
	}
	list := func(name string) (all []string) {
		for _, v := range m[name].([]any) {
			all = append(all, v.(string))
		}
		return all
	}
	at := func(name string) string {
		path, ok := strings.CutPrefix(m[name].(string), o.URL)
		if !ok {
			t.Fatalf("%s is %q", name, m[name])
		}
		return path
	}
	if m["issuer"] != o.oauth.prefix || m["authorization_response_iss_parameter_supported"] != true || m["request_parameter_supported"] != false || m["request_uri_parameter_supported"] != false || m["claims_parameter_supported"] != false {
		t.Errorf("%v", m)
	}
	endpoints := 0
	for name := range m {
		if strings.HasSuffix(name, "_endpoint") || name == "jwks_uri" {
			endpoints++
			if get, post := o.do("GET", at(name), ""), o.do("POST", at(name), ""); get.StatusCode == 404 || post.StatusCode == 404 || get.StatusCode >= 500 || post.StatusCode >= 500 {
				t.Errorf("%s: GET %d, POST %d", name, get.StatusCode, post.StatusCode)
			}
		}
	}
	if endpoints != 10 {
		t.Errorf("%d endpoints", endpoints)
	}
	c, public, key := o.app("ci", hasAll), o.app("ci", isPublic+`,"grant_types":["authorization_code","refresh_token"]`), o.asserting(hasAll)
	ways := map[string]func(path string, form url.Values) answer{
		"client_secret_basic": func(path string, form url.Values) answer { return o.call(path, c, form) },
		"client_secret_post": func(path string, form url.Values) answer {
			return o.call(path, app{}, values(form, "client_id", c.ID, "client_secret", c.Secret))
		},
		"private_key_jwt": func(path string, form url.Values) answer {
			return o.call(path, app{}, proving(form, key.assertion(o.oauth.prefix, nil)))
		},
		"none": func(path string, form url.Values) answer { return o.call(path, public, form) },
	}
	for field, endpoint := range map[string]string{"token_endpoint_auth_methods_supported": "token_endpoint", "revocation_endpoint_auth_methods_supported": "revocation_endpoint", "introspection_endpoint_auth_methods_supported": "introspection_endpoint"} {
		for way, send := range ways {
			a := send(at(endpoint), url.Values{"token": {"x"}, "grant_type": {"refresh_token"}, "refresh_token": {"wgrt_" + strings.Repeat("A", 43)}})
			if works := !strings.Contains(a.body, "invalid_client"); works != slices.Contains(list(field), way) {
				t.Errorf("%s at %s: %s", way, endpoint, a.body)
			}
		}
		for _, way := range list(field) {
			if ways[way] == nil {
				t.Errorf("%s: nobody knows %s", field, way)
			}
		}
	}
	ann := o.person("ann")
	given := o.letIn(ann, c)
	device := o.device(c)
	ann.decide(deviceAllowPath, ann.typeIn(device.User).sealed(t), "allow").want(t, 200, "")
	grants := map[string]url.Values{
		"authorization_code": redeeming(ann.codeFor(ask(c))), "refresh_token": refreshing(given.Refresh), "client_credentials": own,
		"urn:ietf:params:oauth:grant-type:device_code": polling(device.Code),
	}
	for _, grant := range list("grant_types_supported") {
		o.token(c, grants[grant]).given(t)
	}
	for _, grant := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:openid:params:grant-type:ciba"} { // RFC 9700, section 2.4
		o.token(c, url.Values{"grant_type": {grant}, "username": {"ann"}, "password": {"ann-password"}}).refused(t, grant, 400, "unsupported_grant_type")
	}
	for name, want := range map[string][]string{"response_types_supported": {"code"}, "response_modes_supported": {"query"}, "code_challenge_methods_supported": {"S256"}, "subject_types_supported": {"public"}} {
		if !slices.Equal(list(name), want) {
			t.Errorf("%s is %v", name, list(name))
		}
	}
	if len(grants) != len(list("grant_types_supported")) {
		t.Errorf("grants %v", list("grant_types_supported"))
	}
	for _, prompt := range list("prompt_values_supported") {
		if a := o.person("ann").authorize(ask(c, "prompt", prompt)); a.StatusCode >= 400 || a.sentBack(t).Get("error") == "invalid_request" {
			t.Errorf("prompt %s: %d", prompt, a.StatusCode)
		}
	}
	for _, scope := range list("scopes_supported") {
		if a := ann.authorize(ask(c, "scope", scope)); a.sentBack(t).Get("error") == "invalid_scope" {
			t.Errorf("scope %s: %q", scope, a.Header.Get("Location"))
		}
	}
	o.signedAs(list("id_token_signing_alg_values_supported"))
}

// signedAs fails the test unless ID tokens are signed with each algorithm and verify with
// the published keys.
func (o attackedOAuth) signedAs(algs []string) {
	o.t.Helper()
	var set jose.JSONWebKeySet
	must(o.t, json.Unmarshal([]byte(o.do("GET", "/oauth/jwks", "").body), &set))
	for _, key := range set.Keys {
		if !key.IsPublic() || key.KeyID == "" {
			o.t.Errorf("the key %q is not public", key.KeyID)
		}
	}
	for _, alg := range algs {
		c := o.app("ci", fmt.Sprintf(`"id_token_signed_response_alg":%q`, alg))
		given := o.letIn(o.person("ann"), c)
		for token, want := range map[string]string{given.ID: alg, given.Access: "ES256"} {
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(want)})
			must(o.t, err)
			keys := set.Key(jws.Signatures[0].Header.KeyID)
			if len(keys) != 1 {
				o.t.Fatalf("%s: %d keys", want, len(keys))
			}
			payload, err := jws.Verify(keys[0])
			must(o.t, err)
			var claims struct {
				Hash  string `json:"at_hash"`
				Nonce string
			}
			must(o.t, json.Unmarshal(payload, &claims))
			sum := sha256.Sum256([]byte(given.Access))
			if token == given.ID && (claims.Hash != base64.RawURLEncoding.EncodeToString(sum[:16]) || claims.Nonce != "no") {
				o.t.Errorf("%s: %s", alg, payload)
			}
		}
	}
}
