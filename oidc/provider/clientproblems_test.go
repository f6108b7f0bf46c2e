package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goodClient returns a confidential client without problems, changed by the others.
func goodClient(change ...func(*Client)) *Client {
	c := &Client{
		ID: NewClientID(), Name: "Äpp one", Type: Confidential, RedirectURIs: []string{"https://app.example.com/cb"},
		Scopes: []string{"streams:read"}, GrantTypes: []string{GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice}, Version: 1,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func fields(list []Problem) (names []string) {
	for _, p := range list {
		list, _, _ := strings.Cut(p.Field, "[")
		names = append(names, list)
	}
	return names
}

func repeated(n int, format string) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

func TestClientProblems(t *testing.T) {
	public := func(c *Client) { c.Type, c.GrantTypes = Public, []string{GrantCode} }
	for name, tt := range map[string]struct {
		change func(*Client)
		want   []string
	}{
		"none": {func(*Client) {}, nil},
		"all that is allowed": {func(c *Client) {
			c.PKCEOptional, c.FirstParty, c.IDTokenAlg, c.URI = true, true, "ES256", "https://app.example.com"
		}, nil},
		"RS256":                {func(c *Client) { c.IDTokenAlg = "RS256" }, nil},
		"public":               {public, nil},
		"public with a scheme": {func(c *Client) { public(c); c.RedirectURIs = []string{"com.example.app:/cb"} }, nil},
		"public with a device": {func(c *Client) {
			c.Type, c.RedirectURIs, c.GrantTypes = Public, nil, []string{GrantDevice, GrantRefresh}
		}, nil},
		"that asks about tokens alone": {func(c *Client) { c.GrantTypes, c.RedirectURIs, c.Introspect = nil, nil, true }, nil},
		"name missing":                 {func(c *Client) { c.Name = "" }, []string{"name"}},
		"name of blanks":               {func(c *Client) { c.Name = "  " }, []string{"name"}},
		"name long":                    {func(c *Client) { c.Name = strings.Repeat("ä", maxClientName) }, nil},
		"name too long":                {func(c *Client) { c.Name = strings.Repeat("a", maxClientName+1) }, []string{"name"}},
		"name with a line end":         {func(c *Client) { c.Name = "a\nb" }, []string{"name"}},
		"name that turns text round":   {func(c *Client) { c.Name = "a\u202eb" }, []string{"name"}},
		"name of no UTF-8":             {func(c *Client) { c.Name = "a\xff" }, []string{"name"}},
		"type missing":                 {func(c *Client) { c.Type, c.GrantTypes = "", []string{GrantCode} }, []string{"type"}},
		"redirect URI missing":         {func(c *Client) { c.RedirectURIs = nil }, []string{"redirect_uris"}},
		"redirect URIs, too many":      {func(c *Client) { c.RedirectURIs = repeated(maxRedirects+1, "https://a.example/%d") }, []string{"redirect_uris"}},
		"redirect URIs, many":          {func(c *Client) { c.RedirectURIs = repeated(maxRedirects, "https://a.example/%d") }, nil},
		"redirect URI twice":           {func(c *Client) { c.RedirectURIs = append(c.RedirectURIs, c.RedirectURIs...) }, []string{"redirect_uris"}},
		"redirect URIs bad":            {func(c *Client) { c.RedirectURIs = []string{"http://a.example", "https://a.example", "x"} }, []string{"redirect_uris", "redirect_uris"}},
		"scheme of a confidential":     {func(c *Client) { c.RedirectURIs = []string{"com.example.app:/cb"} }, []string{"redirect_uris"}},
		"logout URI":                   {func(c *Client) { c.PostLogoutRedirectURIs = []string{"https://a.example/out", "http://127.0.0.1/"} }, nil},
		"logout URI bad":               {func(c *Client) { c.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} }, []string{"post_logout_redirect_uris"}},
		"scopes, too many":             {func(c *Client) { c.Scopes = repeated(maxScopes+1, "s%d") }, []string{"scopes"}},
		"scopes, many":                 {func(c *Client) { c.Scopes = repeated(maxScopes, "s%d") }, nil},
		"scopes that are none": {func(c *Client) {
			c.Scopes = []string{"a b", `"`, "\\", "", "ä", "a\x00", strings.Repeat("a", maxScope+1), strings.Repeat("a", maxScope)}
		}, repeated(7, "scopes")},
		"scope twice":                     {func(c *Client) { c.Scopes = []string{"a", "a"} }, []string{"scopes"}},
		"grants missing":                  {func(c *Client) { c.GrantTypes = nil }, []string{"grant_types"}},
		"grant unknown":                   {func(c *Client) { c.GrantTypes = []string{GrantCode, "implicit"} }, []string{"grant_types"}},
		"grant password":                  {func(c *Client) { c.GrantTypes = []string{"password"} }, []string{"grant_types"}},
		"grant twice":                     {func(c *Client) { c.GrantTypes = []string{GrantCode, GrantCode} }, []string{"grant_types"}},
		"grants, too many":                {func(c *Client) { c.GrantTypes = repeated(10000, "g%d") }, []string{"grant_types"}},
		"refresh alone":                   {func(c *Client) { c.GrantTypes = []string{GrantRefresh} }, []string{"grant_types"}},
		"public with client_credentials":  {func(c *Client) { c.Type, c.GrantTypes = Public, []string{GrantClientCredentials} }, []string{"grant_types"}},
		"dynamic with client_credentials": {func(c *Client) { c.Dynamic = true }, []string{"grant_types"}},
		"public without PKCE":             {func(c *Client) { public(c); c.PKCEOptional = true }, []string{"pkce"}},
		"dynamic first party":             {func(c *Client) { c.Dynamic, c.FirstParty, c.GrantTypes = true, true, []string{GrantCode} }, []string{"first_party"}},
		"public with keys":                {func(c *Client) { public(c); c.JWKS = jwks(t, newECKey(t)) }, []string{"jwks"}},
		"keys":                            {func(c *Client) { c.JWKS = jwks(t, newECKey(t)) }, nil},
		"keys bad":                        {func(c *Client) { c.JWKS = []byte("{}") }, []string{"jwks"}},
		"ID tokens, none":                 {func(c *Client) { c.IDTokenAlg = "none" }, []string{"id_token_signed_response_alg"}},
		"ID tokens, HS256":                {func(c *Client) { c.IDTokenAlg = "HS256" }, []string{"id_token_signed_response_alg"}},
		"home page, http":                 {func(c *Client) { c.URI = "http://127.0.0.1" }, []string{"client_uri"}},
		"home page, javascript":           {func(c *Client) { c.URI = "javascript:alert(1)" }, []string{"client_uri"}},
		"everything at once": {func(c *Client) {
			*c = Client{RedirectURIs: []string{"*"}, Scopes: []string{""}, GrantTypes: []string{"x"}, PKCEOptional: true, JWKS: []byte("x"), IDTokenAlg: "x", URI: "x"}
		}, []string{"name", "type", "redirect_uris", "scopes", "grant_types", "pkce", "jwks", "jwks", "id_token_signed_response_alg", "client_uri"}},
	} {
		if name == "scopes that are none" {
			for i := range tt.want {
				tt.want[i] = "scopes"
			}
		}
		got := goodClient(tt.change).Problems()
		if diff := cmp.Diff(tt.want, fields(got)); diff != "" {
			t.Errorf("%s: %s\n%v", name, diff, got)
		}
		for _, p := range got {
			if p.Message == "" || strings.ContainsFunc(p.Message, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
				t.Errorf("%s: the message %q is not plain", name, p.Message)
			}
		}
	}
}
