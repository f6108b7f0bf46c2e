package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

func TestRolesAreDescribedAsTheyAre(t *testing.T) {
	p := mustParse(t, `
scopes: {a: {}, "users:read": {}}
roles:
  viewer: {scopes: [a], members: [Ann@Example.com, "key:CI", "sub:x|1"], groups: [eng]}
  ops: {scopes: ["keys:write"], tier: pro}
  boss: {scopes: ["*"]}
`)
	got := p.Roles()
	all := Permissions()
	developer, _ := rolePermissions(RoleDeveloper)
	slices.SortFunc(developer, func(a, b Permission) int { return slices.Index(all, a) - slices.Index(all, b) })
	want := []Role{
		{
			Name: "viewer", Origin: "test.yaml:4", Scopes: []string{"a"}, Permissions: []Permission{ReadKeys, ReadUsage, ReadStatus},
			Members: []string{"Ann@Example.com", "key:CI", "sub:x|1"}, Groups: []string{"eng"},
		},
		{Name: "ops", Origin: "test.yaml:5", Scopes: []string{"keys:write"}, Permissions: []Permission{WriteKeys}, Tier: "pro"},
		{Name: "boss", Origin: "test.yaml:6", Scopes: []string{"*"}, Permissions: all},
		{Name: "developer", Permissions: developer},
		{Name: "account_admin", Permissions: all},
		{Name: "trial", Permissions: []Permission{}},
	}
	for i := range got {
		_, line, _ := strings.Cut(want[i].Origin, ":")
		if !strings.HasSuffix(got[i].Origin, line) || (got[i].Origin == "") != (line == "") {
			t.Errorf("role %s is from %q", got[i].Name, got[i].Origin)
		}
		want[i].Origin = got[i].Origin
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got[0].Scopes[0], got[0].Members[0] = "changed", "changed"
	if again := p.Roles(); again[0].Scopes[0] != "a" || again[0].Members[0] != "Ann@Example.com" {
		t.Error("a caller's change reached the policy")
	}
}

func TestKeyRulesAreSortedAndWhole(t *testing.T) {
	p := mustParse(t, `{scopes: {a: {}}, roles: {r: {}}, access_keys: {B: {scopes: [a], roles: [r]}, A: {scopes: [], register: [/x, /team/*]}}}`)
	got := p.KeyRules()
	for i := range got {
		got[i].Origin = ""
	}
	want := []KeyRule{{ID: "A", Scopes: []string{}, Register: []string{"/x", "/team/*"}}, {ID: "B", Scopes: []string{"a"}, Roles: []string{"r"}}}
	if diff := cmp.Diff(want, got, cmp.Transformer("empty", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryScopeThatCanBeGivenIsDescribed: those are the scopes that HasScope knows,
// each once, and the file's words go before ours.
func TestEveryScopeThatCanBeGivenIsDescribed(t *testing.T) {
	p := mustParse(t, `scopes: {z: {description: last, risk: high}, a: {}, "keys:write": {description: of the file, risk: low}}`)
	var names []string
	for _, s := range p.GivableScopes() {
		names = append(names, s.Name)
		if !p.HasScope(s.Name) {
			t.Errorf("scope %s cannot be given", s.Name)
		}
		own := isPermission(s.Name) && !p.declares(s.Name) || s.Name == identity.ScopeAll
		if own && (s.Description == "" || !slices.Contains([]string{"low", "medium", "high"}, s.Risk)) {
			t.Errorf("scope %s is not described", s.Name)
		}
		if s.Name == "keys:write" && (s.Description != "of the file" || s.Risk != "low") {
			t.Errorf("keys:write is %+v", s)
		}
	}
	want := []string{"a", "keys:write", "z"}
	for _, name := range permissionNames() {
		if name != "keys:write" {
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(append(want, "*"), names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPermissionsOfAreWhatMayAnswers(t *testing.T) {
	p := mustParse(t, `scopes: {a: {}}`)
	trial := &identity.Principal{Method: identity.MethodAPIKey, Environment: trialEnvironment, Scopes: []string{"*"}}
	for name, tt := range map[string]struct {
		who  *identity.Principal
		want []Permission
	}{
		"nobody":  {nil, []Permission{}},
		"trial":   {trial, []Permission{}},
		"scopes":  {&identity.Principal{Method: identity.MethodAPIKey, Scopes: []string{"users:read", "keys:read", "a"}}, []Permission{ReadKeys, ReadUsers}},
		"viewer":  {&identity.Principal{Method: identity.MethodSession, Roles: []string{RoleViewer}}, []Permission{ReadKeys, ReadUsage, ReadStatus}},
		"all":     {&identity.Principal{Method: identity.MethodAPIKey, Scopes: []string{"*"}}, Permissions()},
		"account": {&identity.Principal{Method: identity.MethodSession, Roles: []string{RoleAccountAdmin}}, Permissions()},
	} {
		if diff := cmp.Diff(tt.want, p.PermissionsOf(tt.who)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPartsOfAKeyAreGivenOneByOne: what may be given part by part is what Exceeds
// does not name.
func TestPartsOfAKeyAreGivenOneByOne(t *testing.T) {
	p := mustParse(t, exceedsPolicy)
	for _, maker := range []*identity.Principal{
		nil,
		{Method: identity.MethodSession, Subject: "s", Roles: []string{"ab"}, Scopes: []string{"a", "b"}},
		{Method: identity.MethodSession, Subject: "s"},
		{Method: identity.MethodAPIKey, KeyID: "k", Tier: "free", Scopes: []string{"a", "keys:read"}},
		{Method: identity.MethodAPIKey, KeyID: "k", Roles: []string{"fast"}, Scopes: []string{"*"}},
		{Method: identity.MethodAccessKey, KeyID: "k", Scopes: []string{"*"}},
	} {
		given := 0
		for _, r := range p.Roles() {
			beyond := p.Exceeds(maker, r.Name, nil, "free")
			if got, want := p.MayGiveRole(maker, r.Name), !slices.Contains(beyond, "role "+r.Name); got != want {
				t.Errorf("%+v: role %s %v, want %v", maker, r.Name, got, want)
			}
		}
		for _, tier := range p.Tiers() {
			_, got := p.MayGiveTier(maker, "", tier.Name)
			if want := len(p.Exceeds(maker, "", nil, tier.Name)) == 0; got != want {
				t.Errorf("%+v: tier %s %v, want %v", maker, tier.Name, got, want)
			}
			if got {
				given++
			}
		}
		if (given > 0) != (maker != nil) {
			t.Errorf("%+v may give %d tiers", maker, given)
		}
	}
}
