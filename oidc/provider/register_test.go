package provider

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var dynamicScopes = []string{"streams:read", "streams:write"}

func TestRegistrations(t *testing.T) {
	p, _ := appProvider()
	for name, tt := range map[string]struct {
		body   string
		client Client
		answer Registration
	}{
		"as little as there can be": {
			`{"redirect_uris":["https://app.example.com:8443/cb"]}`,
			Client{Name: "App at app.example.com", Type: Confidential, RedirectURIs: []string{"https://app.example.com:8443/cb"}, GrantTypes: []string{GrantCode}, Scopes: dynamicScopes},
			Registration{
				Name: "App at app.example.com", RedirectURIs: []string{"https://app.example.com:8443/cb"}, GrantTypes: []string{GrantCode}, ResponseTypes: []string{"code"},
				AuthMethod: "client_secret_basic", Scope: "openid profile email offline_access streams:read streams:write",
			},
		},
		"everything": {
			`{"redirect_uris":["com.example.app:/cb","http://127.0.0.1/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],
			  "token_endpoint_auth_method":"none","client_name":"Äpp","scope":"streams:read openid admin:all","client_uri":"https://app.example.com",
			  "id_token_signed_response_alg":"ES256","software_id":5,"application_type":"native"}`,
			Client{
				Name: "Äpp", Type: Public, RedirectURIs: []string{"com.example.app:/cb", "http://127.0.0.1/cb"}, GrantTypes: []string{GrantCode, GrantRefresh},
				Scopes: []string{"streams:read"}, URI: "https://app.example.com", IDTokenAlg: "ES256",
			},
			Registration{
				Name: "Äpp", RedirectURIs: []string{"com.example.app:/cb", "http://127.0.0.1/cb"}, GrantTypes: []string{GrantCode, GrantRefresh}, ResponseTypes: []string{"code"},
				AuthMethod: "none", Scope: "openid streams:read", URI: "https://app.example.com", IDTokenSignedAlg: "ES256",
			},
		},
		"a device, by body secret, no scopes": {
			`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"client_secret_post","scope":""}`,
			Client{Name: "App without a name", Type: Confidential, RedirectURIs: []string{}, GrantTypes: []string{GrantDevice}},
			Registration{Name: "App without a name", RedirectURIs: []string{}, GrantTypes: []string{GrantDevice}, ResponseTypes: []string{}, AuthMethod: "client_secret_post"},
		},
		"null is none": {
			`{"redirect_uris":["com.example.app:/cb"],"grant_types":null,"scope":null,"client_name":null,"token_endpoint_auth_method":"none"}`,
			Client{Name: "App com.example.app", Type: Public, RedirectURIs: []string{"com.example.app:/cb"}, GrantTypes: []string{GrantCode}, Scopes: dynamicScopes},
			Registration{
				Name: "App com.example.app", RedirectURIs: []string{"com.example.app:/cb"}, GrantTypes: []string{GrantCode}, ResponseTypes: []string{"code"},
				AuthMethod: "none", Scope: "openid profile email offline_access streams:read streams:write",
			},
		},
	} {
		c, r, err := p.ReadRegistration(t.Context(), []byte(tt.body), dynamicScopes)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.ClientID != c.ID || !mayBeClientID(c.ID) || r.IssuedAt != noon.Unix() {
			t.Errorf("%s: ID %q, issued at %d", name, r.ClientID, r.IssuedAt)
		}
		right, _ := c.hasSecret(r.ClientSecret, noon)
		if (r.ClientSecret != "") != (c.Type == Confidential) || c.Type == Confidential && !right {
			t.Errorf("%s: the secret is not that of the client", name)
		}
		tt.client.ID, tt.client.Dynamic, tt.client.CreatedAt, tt.client.Version, tt.client.Secrets = c.ID, true, noon.Truncate(time.Millisecond), 1, c.Secrets
		tt.answer.ClientID, tt.answer.ClientSecret, tt.answer.IssuedAt = r.ClientID, r.ClientSecret, r.IssuedAt
		if diff := cmp.Diff(tt.client, *c); diff != "" {
			t.Errorf("%s: client: %s", name, diff)
		}
		if diff := cmp.Diff(tt.answer, *r); diff != "" {
			t.Errorf("%s: answer: %s", name, diff)
		}
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	p, _ := appProvider()
	for name, tt := range map[string]struct {
		body, code string
		says       []string
	}{
		"nothing":           {``, InvalidClientMetadata, []string{"the body: want one JSON object"}},
		"a list":            {`[]`, InvalidClientMetadata, []string{"the body: want one JSON object"}},
		"a field twice":     {`{"scope":"a","scope":"b"}`, InvalidClientMetadata, []string{"the body: want one JSON object"}},
		"too large":         {`{"x":"` + strings.Repeat("x", MaxBody) + `"}`, InvalidClientMetadata, []string{"65536 bytes"}},
		"an empty object":   {`{}`, InvalidRedirectURI, []string{"redirect_uris: the grant"}},
		"names in capitals": {`{"Redirect_URIs":["https://a.example/"]}`, InvalidRedirectURI, []string{"redirect_uris: the grant"}},
		"wrong types": {
			`{"redirect_uris":"https://a.example/","scope":["a"],"client_name":5}`, InvalidRedirectURI,
			[]string{"redirect_uris: want a list", "scope: want a string", "client_name: want a string"},
		},
		"everything at once": {
			`{"redirect_uris":["http://a.example/","https://a.example/#x"],"token_endpoint_auth_method":"tls","response_types":["token"],"grant_types":["implicit"],"client_name":"","client_uri":"http://a.example","id_token_signed_response_alg":"none"}`, InvalidRedirectURI,
			[]string{"redirect_uris[0]: plain http", "redirect_uris[1]: it has a fragment", "token_endpoint_auth_method: want", "response_types: ", "grant_types[0]: ", "client_name: ", "client_uri: ", "id_token_signed_response_alg: "},
		},
		"assertions":             {`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}`, InvalidClientMetadata, []string{"token_endpoint_auth_method: want"}},
		"scheme, not public":     {`{"redirect_uris":["com.example.app:/"]}`, InvalidRedirectURI, []string{"public clients alone"}},
		"client_credentials":     {`{"redirect_uris":["https://a.example/"],"grant_types":["authorization_code","client_credentials"]}`, InvalidClientMetadata, []string{"client_credentials is not for"}},
		"no grants":              {`{"redirect_uris":["https://a.example/"],"grant_types":[]}`, InvalidClientMetadata, []string{"grant_types: a client needs one"}},
		"code without its grant": {`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code"]}`, InvalidClientMetadata, []string{"response_types: code and the grant"}},
		"a grant without code":   {`{"redirect_uris":["https://a.example/"],"response_types":[]}`, InvalidClientMetadata, []string{"response_types: code and the grant"}},
		"a null among the URIs":  {`{"redirect_uris":[null]}`, InvalidRedirectURI, []string{"redirect_uris[0]: an address has"}},
		"very many grants":       {`{"grant_types":["x"` + strings.Repeat(`,"x"`, 10000) + `]}`, InvalidClientMetadata, []string{"there are 10001"}},
	} {
		c, r, err := p.ReadRegistration(t.Context(), []byte(tt.body), dynamicScopes)
		if c != nil || r != nil {
			t.Errorf("%s: there is a client all the same", name)
		}
		for _, says := range tt.says {
			wantRefusal(t, name, err, tt.code, says)
		}
	}
}

func FuzzRegistration(f *testing.F) {
	f.Add([]byte(`{"redirect_uris":["https://app.example.com/cb"],"client_name":"x","scope":"a b"}`))
	f.Add([]byte(`{"redirect_uris":[null],"grant_types":null}`))
	f.Add([]byte(`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"]}`))
	p, _ := appProvider()
	f.Fuzz(func(t *testing.T, body []byte) {
		c, r, err := p.ReadRegistration(t.Context(), body, dynamicScopes)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != InvalidClientMetadata && e.Code != InvalidRedirectURI {
				t.Fatalf("%v", err)
			}
			wantRefusal(t, "a refusal", err, e.Code, "")
			return
		}
		if problems := c.Problems(); len(problems) > 0 || c.FirstParty || c.Introspect || c.PKCEOptional || c.Owner != "" || c.JWKS != nil || c.MayUse(GrantClientCredentials) {
			t.Errorf("a client that registered itself is %+v, with %v", c, problems)
		}
		for _, s := range c.Scopes {
			if s != "streams:read" && s != "streams:write" {
				t.Errorf("it may ask for %q", s)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	})
}
