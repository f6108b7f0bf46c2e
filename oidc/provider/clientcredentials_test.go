package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ownForm(more ...string) Params {
	return form(append([]string{"grant_type", GrantClientCredentials}, more...)...)
}

func TestAClientsOwnToken(t *testing.T) {
	for name, test := range map[string]struct {
		params   Params
		scope    string
		audience audience
	}{
		"all scopes": {ownForm(), "a:read a:write b:read", audience{tokenIssuer}},
		"one scope":  {ownForm("scope", "b:read"), "b:read", audience{tokenIssuer}},
		"twice":      {ownForm("scope", "b:read  a:read b:read"), "b:read a:read", audience{tokenIssuer}},
		"resource":   {ownForm("resource", tokenService), "a:read a:write b:read", audience{tokenService}},
		"resources":  {ownForm("resource", tokenService, "resource", tokenArea), "a:read a:write b:read", audience{tokenService, tokenArea}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			a := b.must(t, b.app(t), test.params)
			claims := claimsOf[accessClaims](t, a.AccessToken)
			want := accessClaims{
				Issuer: tokenIssuer, Subject: "client_app", ClientID: "client_app", Audience: test.audience, Scope: test.scope,
				IssuedAt: b.clock().Unix(), Expiry: b.clock().Unix() + 600, ID: claims.ID,
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			wantAnswer := &TokenAnswer{AccessToken: a.AccessToken, TokenType: "Bearer", ExpiresIn: 600, Scope: test.scope}
			if diff := cmp.Diff(wantAnswer, a); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClientsOwnTokenTouchesNoStore(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	b.must(t, c, ownForm())
	before := b.store.called()
	for range 10 {
		b.must(t, c, ownForm("scope", "a:read", "resource", tokenArea))
	}
	if n := b.store.called() - before; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestScopesAndResourcesThatAClientCannotHave(t *testing.T) {
	b := newTokenBench(t)
	b.rules.Known = isOneOf("a:read", "b:read", "openid", "profile", "email", "offline_access")
	c := b.client(func(c *Client) { c.Scopes = []string{"a:read", "was:known"} })
	gone := b.other(func(c *Client) { c.Scopes = []string{"was:known"} })
	for name, test := range map[string]struct {
		client *Client
		params Params
		want   string
	}{
		"openid":         {c, ownForm("scope", "a:read openid"), InvalidScope},
		"profile":        {c, ownForm("scope", "profile"), InvalidScope},
		"email":          {c, ownForm("scope", "email"), InvalidScope},
		"offline_access": {c, ownForm("scope", "offline_access"), InvalidScope},
		"not the client": {c, ownForm("scope", "b:read"), InvalidScope},
		"case":           {c, ownForm("scope", "A:read"), InvalidScope},
		"all":            {c, ownForm("scope", "*"), InvalidScope},
		"not known":      {c, ownForm("scope", "was:known"), InvalidScope},
		"none known":     {gone, ownForm(), InvalidScope},
		"resource":       {c, ownForm("resource", "https://elsewhere.example.com"), InvalidTarget},
		"no URL":         {c, ownForm("resource", "reports"), InvalidTarget},
	} {
		t.Run(name, func(t *testing.T) { b.refuses(t, test.client, test.params, test.want) })
	}
	if a := b.must(t, c, ownForm()); a.Scope != "a:read" {
		t.Errorf("scope %q", a.Scope)
	}
}

// A client without scopes has a token that opens what needs none.
func TestAClientWithoutScopesHasATokenWithoutScopes(t *testing.T) {
	b := newTokenBench(t)
	c := b.client(func(c *Client) { c.Scopes = nil })
	if a := b.must(t, c, ownForm()); a.Scope != "" {
		t.Errorf("scope %q", a.Scope)
	}
}

// BenchmarkClientCredentials is to be compared with BenchmarkES256, which is the
// least that it can cost.
func BenchmarkClientCredentials(b *testing.B) {
	bench := newTokenBench(b)
	c, params := bench.app(b), ownForm("scope", "a:read a:write")
	bench.must(b, c, params)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.Token(b.Context(), c, params); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a token"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}
