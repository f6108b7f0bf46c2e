package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// namedIn returns the fields that an answer says are wrong, with what it says.
func namedIn(t *testing.T, a answer) map[string]string {
	t.Helper()
	list, _ := mapOf(a.object(t)["error"])["fields"].([]any)
	out := map[string]string{}
	for _, f := range list {
		f := mapOf(f)
		out[f["field"].(string)] += f["message"].(string) + "\n"
	}
	return out
}

// listsIn are the names of fields, those of entries by their list.
func listsIn(named map[string]string) []string {
	var out []string
	for field := range named {
		list, _, _ := strings.Cut(field, "[")
		out = append(out, list)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// jwksOf is a set with a key, of its private half too or not.
func jwksOf(t *testing.T, key *ecdsa.PrivateKey, private bool) string {
	t.Helper()
	one := jose.JSONWebKey{Key: key.Public(), KeyID: "k1"}
	if private {
		one.Key = key
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{one}})
	must(t, err)
	return string(set)
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// TestEveryWrongFieldOfAClientIsNamedAtOnce says what is wrong with each field alone
// and then asks with all of them wrong.
func TestEveryWrongFieldOfAClientIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	m := issue(t)
	secret := newECKey(t)
	half, _ := mapOf(mapOf(decoded(t, jwksOf(t, secret, true)))["keys"].([]any)[0])["d"].(string)
	if half == "" {
		t.Fatal("there is no private half to look for")
	}
	uris := func(n int) string {
		return strings.Repeat(`"https://a.example.com/",`, n-1) + `"https://a.example.com/"`
	}
	wrong := map[string][]string{ // by the field that is named: fields of the body
		"name": {`"name":""`, `"name":"  "`, `"name":"` + strings.Repeat("ä", 201) + `"`, `"name":"a\nb"`, `"name":"a\u202eb"`, `"name":7`, `"name":"wave_live_00000000000000000000000000000000"`},
		"type": {`"type":"native"`, `"type":""`, `"type":"Public"`, `"type":1`},
		"pkce": {`"pkce":"plain"`, `"pkce":true`, `"pkce":""`, `"type":"public","pkce":"optional"`},
		"redirect_uris": {
			`"redirect_uris":"https://a.example.com/"`, `"redirect_uris":[` + uris(51) + `]`, `"redirect_uris":[7]`,
			`"grant_types":["authorization_code"]`, `"grant_types":["authorization_code"],"redirect_uris":[]`,
		},
		"redirect_uris[0]": {
			`"redirect_uris":["/callback"]`, `"redirect_uris":["http://a.example.com/"]`, `"redirect_uris":["https://a.example.com/#x"]`, `"redirect_uris":[""]`,
			`"redirect_uris":["https://a@b.example.com/"]`, `"redirect_uris":["https://*.example.com/"]`, `"redirect_uris":["javascript:alert(1)"]`, `"redirect_uris":["data:text/html,x"]`,
			`"redirect_uris":["com.example.app:/callback"]`, `"redirect_uris":["https://a.example.com/ x"]`, `"redirect_uris":["https:///x"]`,
			`"redirect_uris":["https://a.example.com/` + strings.Repeat("x", 3000) + `"]`,
		},
		"redirect_uris[1]":             {`"redirect_uris":["https://a.example.com/","https://a.example.com/"]`, `"redirect_uris":["https://a.example.com/","x"]`},
		"post_logout_redirect_uris":    {`"post_logout_redirect_uris":{}`},
		"post_logout_redirect_uris[0]": {`"post_logout_redirect_uris":["http://a.example.com/"]`},
		"scopes":                       {`"scopes":"streams:read"`, `"scopes":[1]`, `"scopes":[` + strings.Repeat(`"*",`, 200) + `"*"]`},
		"scopes[0]":                    {`"scopes":["streams:raed"]`, `"scopes":["a b"]`, `"scopes":[""]`},
		"scopes[1]":                    {`"scopes":["streams:read","streams:read"]`},
		"grant_types": {
			`"grant_types":[]`, `"grant_types":["refresh_token"]`, `"grant_types":"client_credentials"`, `"type":"public","grant_types":["client_credentials"]`,
		},
		"grant_types[0]": {`"grant_types":["password"]`, `"grant_types":["implicit"]`},
		"grant_types[1]": {`"grant_types":["client_credentials","client_credentials"]`, `"grant_types":["client_credentials","password"]`},
		"jwks": {
			`"jwks":` + jwksOf(t, secret, true), `"jwks":{}`, `"jwks":[]`, `"jwks":"x"`, `"jwks":{"keys":[]}`, `"jwks":{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`,
			`"type":"public","jwks":` + jwksOf(t, secret, false),
		},
		"id_token_signed_response_alg": {`"id_token_signed_response_alg":"none"`, `"id_token_signed_response_alg":"HS256"`, `"id_token_signed_response_alg":[]`},
		"client_uri":                   {`"client_uri":"http://a.example.com/"`, `"client_uri":"javascript:alert(1)"`, `"client_uri":"https://a:b@c.example.com/"`, `"client_uri":1`},
		"rate_limit_tier":              {`"rate_limit_tier":"gold"`, `"rate_limit_tier":7`},
		"first_party":                  {`"first_party":"yes"`},
		"introspection":                {`"introspection":1`},
		"disabled":                     {`"disabled":"no"`, `"disabled":true,"disabled":false`},
		"client_secret":                {`"client_secret":"wgcs_mine"`},
		"owner":                        {`"owner":"key:all"`},
		"naem":                         {`"naem":"x"`, `"naem":null`},
	}
	for field, bodies := range wrong {
		for _, body := range bodies {
			if field != "name" {
				body = `"name":"x",` + body
			}
			a := m.as("root", "POST", clientsPath, "{"+body+"}").want(t, 400, "invalid_request")
			if diff := cmp.Diff(listsIn(map[string]string{field: ""}), listsIn(namedIn(t, a))); diff != "" {
				t.Errorf("%.90s: fields (-want +got):\n%s%s", body, diff, a.body)
			}
			if strings.Contains(a.body, "wgcs_mine") || strings.Contains(a.body, half) {
				t.Errorf("%.90s: the answer repeats a secret: %s", body, a.body)
			}
		}
	}
	all := `{"name":"","type":"native","pkce":"plain","redirect_uris":["/x","http://a.example.com/","https://a.example.com/#f"],"post_logout_redirect_uris":["x"],
		"scopes":["streams:raed","x"],"grant_types":["password","implicit"],"jwks":` + jwksOf(t, secret, true) + `,"id_token_signed_response_alg":"none","client_uri":"ftp://x",
		"rate_limit_tier":"gold","disabled":1,"naem":1,"name":"twice"}`
	got := namedIn(t, m.as("root", "POST", clientsPath, all).want(t, 400, "invalid_request"))
	want := []string{
		"client_uri", "disabled", "grant_types[0]", "grant_types[1]", "id_token_signed_response_alg", "jwks", "naem", "name", "pkce",
		"post_logout_redirect_uris[0]", "rate_limit_tier", "redirect_uris[0]", "redirect_uris[1]", "redirect_uris[2]", "scopes[0]", "scopes[1]", "type",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("all at once (-want +got):\n%s", diff)
	}
	for field, hints := range map[string][]string{
		"redirect_uris[1]": {"https"}, "redirect_uris[2]": {"fragment"}, "grant_types[1]": {"client_credentials"}, "jwks": {"private key"},
		"scopes[0]": {"streams:read"}, "name": {"twice"}, "type": {"confidential or public"},
	} {
		for _, hint := range hints {
			if !strings.Contains(got[field], hint) {
				t.Errorf("%s: %q does not say %q", field, got[field], hint)
			}
		}
	}
	m.try([]try{
		{"all", "POST", clientsPath, ``, 400, "invalid_request", []string{`"field":"name"`, "is required"}, nil},
		{"all", "POST", clientsPath, `[]`, 400, "invalid_request", nil, nil},
		{"all", "POST", clientsPath, `{"name":"x"} {}`, 400, "invalid_request", nil, nil},
		{"all", "POST", clientsPath, `{"name":"` + strings.Repeat("x", maxAPIBody) + `"}`, 413, "too_large", nil, nil},
		{"root", "GET", clientsPath + "?all=true", "", 200, "", []string{`"clients":[]`}, nil},
	})
}

func TestAChangeOfAClientChangesWhatItNames(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("root", `{"name":"app","redirect_uris":["https://a.example.com/"],"scopes":["streams:read"],"rate_limit_tier":"small","client_uri":"https://a.example.com/"}`)
	one := clientsPath + "/" + made.ID
	m.try([]try{
		{"root", "PATCH", one, `{"name":"other"}`, 200, "", []string{`"name":"other"`, `"scopes":["streams:read"]`, `"rate_limit_tier":"small"`, `"https://a.example.com/"`, `"pkce":"required"`}, []string{"wgcs_"}},
		{"root", "PATCH", one, `{"pkce":"optional","scopes":[],"id_token_signed_response_alg":"ES256"}`, 200, "", []string{`"name":"other"`, `"scopes":[]`, `"pkce":"optional"`, `"ES256"`}, nil},
		{"root", "PATCH", one, `{"client_uri":null,"rate_limit_tier":null,"jwks":null}`, 200, "", []string{`"client_uri":null`, `"rate_limit_tier":"unlimited"`, `"jwks":null`, `"client_secrets":[{`}, nil},
		{"root", "PATCH", one, `{"type":"confidential","grant_types":["client_credentials"],"redirect_uris":[]}`, 200, "", []string{`"grant_types":["client_credentials"]`, `"redirect_uris":[]`}, nil},
		{"root", "PATCH", one, `{"grant_types":["authorization_code"]}`, 400, "invalid_request", []string{`"field":"redirect_uris"`}, nil},
		{"root", "PATCH", one, `{"type":"public"}`, 400, "invalid_request", []string{`"field":"type"`, "another client"}, nil},
		{"root", "PATCH", one, `{"name":null,"scopes":null,"disabled":null,"naem":null}`, 400, "invalid_request", []string{`"field":"name"`, `"field":"scopes"`, `"field":"disabled"`, `"field":"naem"`}, nil},
		{"root", "PATCH", one, `{"client_id":"x","owner":"key:all","created_at":"2026-01-01T00:00:00Z","client_secret":"wgcs_x"}`, 400, "invalid_request", []string{`"field":"client_id"`, `"field":"owner"`, `"field":"created_at"`, `"field":"client_secret"`}, []string{"wgcs_x"}},
		{"root", "PATCH", one, `{}`, 400, "invalid_request", []string{`"field":"body"`}, nil},
		{"root", "PATCH", one, ``, 400, "invalid_request", []string{`"field":"body"`}, nil},
		{"root", "PATCH", one, `{"disabled":true}`, 200, "", []string{`"status":"disabled"`, `"disabled_at":"2`}, nil},
		{"root", "PATCH", one, `{"name":"third"}`, 200, "", []string{`"status":"disabled"`}, nil},
		{"root", "PATCH", one, `{"disabled":false}`, 200, "", []string{`"status":"active"`, `"disabled_at":null`, `"name":"third"`}, nil},
		{"root", "GET", one, ``, 200, "", []string{`"name":"third"`}, []string{"warning", "wgcs_"}},
		{"root", "DELETE", one, ``, 204, "", nil, nil},
		{"root", "DELETE", one, ``, 404, "not_found", nil, nil},
		{"root", "PATCH", one, `{"name":"ghost"}`, 404, "not_found", nil, nil},
		{"root", "GET", one, ``, 404, "not_found", nil, nil},
		{
			"root", "GET", "/v1/auth/audit?target=" + made.ID, "", 200, "",
			[]string{`"action":"client.create"`, `"action":"client.update"`, `"action":"client.delete"`, `"actor":"key:root"`, `"owner":"key:root"`, `"fields":"id_token_signed_response_alg pkce scopes"`},
			[]string{made.Secret, "wgcs_"},
		},
	})
}
