package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestClaimsOfAnIDTokenFollowTheScopes(t *testing.T) {
	for scope, want := range map[string]idClaims{
		"openid":               {},
		"openid profile":       {Username: "ann", Name: "ann", Groups: []string{"eng", "ops"}},
		"openid email":         {Email: "ann@example.com", Verified: new(true)},
		"openid profile email": {Username: "ann", Name: "ann", Groups: []string{"eng", "ops"}, Email: "ann@example.com", Verified: new(true)},
	} {
		t.Run(scope, func(t *testing.T) {
			b := newTokenBench(t)
			a := b.tokens(t, granting(strings.Fields(scope)...))
			now := b.clock()
			want.Issuer, want.Subject, want.Audience = tokenIssuer, "local|ann", "client_app"
			want.IssuedAt, want.Expiry, want.AuthTime = now.Unix(), now.Unix()+600, now.Unix()-60
			want.Nonce, want.SID, want.ATHash = "n-1", "sid-1", leftHash(a.AccessToken)
			if diff := cmp.Diff(want, claimsOf[idClaims](t, a.IDToken)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if got, err := b.verifyID(t.Context(), a.IDToken); err != nil || got.Subject != "local|ann" {
				t.Errorf("the ID token does not verify: %v", err)
			}
		})
	}
}

func TestAnIDTokenSaysNothingOfAnEmailThatIsNotVerified(t *testing.T) {
	b := newTokenBench(t)
	b.person.Email = ""
	if c := claimsOf[map[string]any](t, b.tokens(t, nil).IDToken); c["email"] != nil || c["email_verified"] != nil {
		t.Errorf("claims %v", c)
	}
}

func TestAnIDTokenIsSignedAsTheClientWants(t *testing.T) {
	for alg, want := range map[string]string{"": "RS256", "RS256": "RS256", "ES256": "ES256"} {
		b := newTokenBench(t)
		b.client(func(c *Client) { c.IDTokenAlg = alg })
		a := b.tokens(t, nil)
		for raw, of := range map[string]header{
			a.IDToken: {Algorithm: want, Type: "JWT"}, a.AccessToken: {Algorithm: "ES256", Type: "at+jwt"},
		} {
			h, ok := peek(raw, maxID)
			of.KeyID = h.KeyID
			if !ok || h != of || h.KeyID == "" {
				t.Errorf("%q: header %v, want %v", alg, h, of)
			}
		}
	}
}

// Of OpenID Connect Core, appendix A.3.
func TestLeftHashIsThatOfTheSpecification(t *testing.T) {
	if got := leftHash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"); got != "77QmUPtjPfzWtF2AnpK9RQ" {
		t.Errorf("got %s", got)
	}
}

func TestGroupsOfAnIDTokenAreBounded(t *testing.T) {
	b := newTokenBench(t)
	for i := range 2000 {
		b.person.Groups = append(b.person.Groups, fmt.Sprintf("group-%d", i))
	}
	a := b.tokens(t, nil)
	if got := claimsOf[idClaims](t, a.IDToken).Groups; !cmp.Equal(got, b.person.Groups[:maxTokenGroups]) {
		t.Errorf("%d groups", len(got))
	}
	if len(a.IDToken) > maxID || len(a.AccessToken) > maxAccess {
		t.Errorf("ID token of %d bytes, access token of %d", len(a.IDToken), len(a.AccessToken))
	}
}

func TestFirstGroupsAreWithinTheBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOf(rapid.StringN(-1, -1, 20)).Draw(t, "groups")
		most, text := rapid.IntRange(0, 12).Draw(t, "most"), rapid.IntRange(0, 100).Draw(t, "text")
		got := firstGroups(groups, most, text)
		if len(got) > most || len(strings.Join(got, "")) > text || !cmp.Equal(got, groups[:len(got)]) {
			t.Errorf("got %q", got)
		}
		if n := len(got); n < len(groups) && n < most && len(strings.Join(groups[:n+1], "")) <= text {
			t.Errorf("there is room for %q", groups[n])
		}
	})
}
