package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

func TestGrantKey(t *testing.T) {
	full := mustParse(t, `{scopes: {a: {}, b: {}, users:read: {}}, roles: {dev: {scopes: [a, b]}, viewer: {scopes: [b]}}}`)
	bare := mustParse(t, `roles: {dev: {scopes: [keys:read]}}`)
	for _, c := range []struct {
		name                     string
		p                        *Policy
		role, scopes             string
		wantRoles, wantHasScopes string
	}{
		{"nothing", full, "", "", "", ""},
		{"role of the file", full, "dev", "", "dev", "a b"},
		{"built-in role", full, "developer", "", "developer", ""},
		{"built-in role that the file declares", full, "viewer", "", "viewer", "b"},
		{"a role that was removed gives nothing", full, "gone", "a", "", "a"},
		{"own scopes beside the role's", full, "dev", "b users:read", "dev", "a b users:read"},
		{"scopes that were removed", full, "", "a gone", "", "a"},
		{"permissions and everything stay", full, "", "keys:write users:write *", "", "keys:write users:write *"},
		{"twice is once", full, "", "a a", "", "a"},
		{"without a catalogue scopes stay", bare, "dev", "x y", "dev", "keys:read x y"},
		{"without a policy too", &Policy{}, "gone", "x *", "", "x *"},
	} {
		who := &identity.Principal{Method: identity.MethodAPIKey, Subject: "s", KeyID: "key_1", Roles: []string{"old"}, Scopes: []string{"old"}}
		c.p.GrantKey(who, c.role, strings.Fields(c.scopes))
		want := &identity.Principal{Method: identity.MethodAPIKey, Subject: "s", KeyID: "key_1", Roles: fields(c.wantRoles), Scopes: fields(c.wantHasScopes)}
		if diff := cmp.Diff(want, who); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// fields splits words; none is nil.
func fields(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Fields(s)
}

func TestGrantIssued(t *testing.T) {
	p := mustParse(t, `
scopes: {a: {}, b: {}}
roles: {dev: {scopes: [a]}, all: {scopes: ["*"], members: ["i|1"]}}
issuers:
  - {issuer: https://role.example, audience: w, role: dev}
  - {issuer: https://claim.example, audience: w, scope_claim: scope}
  - {issuer: https://both.example, audience: w, role: viewer, scope_claim: scope}
  - {issuer: https://all.example, audience: w, role: all, scope_claim: scope}
`)
	bare := mustParse(t, `issuers: [{issuer: https://claim.example, audience: w, scope_claim: scope}]`)
	claimed := strings.Fields("b keys:read gone openid *")
	for _, c := range []struct {
		p             *Policy
		is            *Issuer
		roles, scopes string
	}{
		{p, &p.Issuers()[0], "dev", "a"},
		{p, &p.Issuers()[1], "", "b keys:read"},
		{p, &p.Issuers()[2], "viewer", "b keys:read"},
		{p, &p.Issuers()[3], "all", "* b keys:read"},
		{bare, &bare.Issuers()[0], "", "b keys:read gone openid"},
	} {
		who := &identity.Principal{Method: identity.MethodToken, Subject: "i|1"}
		c.p.GrantIssued(who, c.is, claimed)
		if !slices.Equal(who.Roles, fields(c.roles)) || !slices.Equal(who.Scopes, fields(c.scopes)) {
			t.Errorf("%s: got roles %q, scopes %q, want %q, %q", c.is.Issuer, who.Roles, who.Scopes, c.roles, c.scopes)
		}
	}
}

func TestGrantKeySharesNothing(t *testing.T) {
	p := mustParse(t, `{scopes: {a: {}, b: {}}, roles: {dev: {scopes: [a]}}}`)
	own := []string{"b"}
	var first, second identity.Principal
	p.GrantKey(&first, "dev", own)
	first.Scopes[0], first.Scopes[1] = "changed", "changed"
	p.GrantKey(&second, "dev", own)
	if own[0] != "b" || !slices.Equal(second.Scopes, []string{"a", "b"}) {
		t.Errorf("got %q and %q; a principal's change reached others", own, second.Scopes)
	}
}
