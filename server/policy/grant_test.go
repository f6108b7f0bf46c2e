package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

const grantPolicy = `
scopes: {a: {}, b: {}, c: {}}
roles:
  dev: {scopes: [a, b], members: [Dev@Example.com, auth0|7, KEYMEMBER], groups: [eng]}
  ops: {scopes: [b, c], groups: [ops, eng]}
  all: {scopes: ["*"], members: [root]}
access_keys:
  KEYSCOPES: {scopes: [a]}
  KEYROLES: {scopes: [a], roles: [ops]}
  KEYNOTHING: {scopes: []}
`

func TestGrant(t *testing.T) {
	p := mustParse(t, grantPolicy)
	key := func(id string) identity.Principal {
		return identity.Principal{Method: identity.MethodAccessKey, Subject: id, KeyID: id}
	}
	person := func(subject, email string, groups ...string) identity.Principal {
		return identity.Principal{Method: identity.MethodSession, Subject: subject, Email: email, Groups: groups}
	}
	assigned := func(subject string, roles ...string) identity.Principal {
		return identity.Principal{Method: identity.MethodSession, Subject: subject, Assigned: roles}
	}
	for _, c := range []struct {
		name   string
		who    identity.Principal
		roles  []string
		scopes []string
	}{
		{"unlisted key holds all", key("KEYOTHER"), nil, []string{"*"}},
		{"listed key holds what is written", key("KEYSCOPES"), nil, []string{"a"}},
		{"listed key with a role", key("KEYROLES"), []string{"ops"}, []string{"a", "b", "c"}},
		{"listed key with nothing", key("KEYNOTHING"), nil, nil},
		{"key that is a member holds the role's", key("KEYMEMBER"), []string{"dev"}, []string{"a", "b"}},
		{"key IDs are byte-exact", key("keyscopes"), nil, []string{"*"}},
		{"a key with the name of an e-mail rule is no member", key("dev@example.com"), nil, []string{"*"}},
		{"e-mail, case aside", person("1", "dEV@example.COM"), []string{"dev"}, []string{"a", "b"}},
		{"subject", person("auth0|7", ""), []string{"dev"}, []string{"a", "b"}},
		{"subject is byte-exact", person("AUTH0|7", ""), nil, nil},
		{"a subject that looks like the e-mail is not verified", person("dev@example.com", ""), nil, nil},
		{"group of two roles", person("1", "", "x", "eng"), []string{"dev", "ops"}, []string{"a", "b", "c"}},
		{"group is byte-exact", person("1", "", "Eng", "eng ", ""), nil, nil},
		{"malformed e-mail", person("1", "dev@evil@example.com"), nil, nil},
		{"e-mail with a space", person("1", " dev@example.com"), nil, nil},
		{"letters beyond ASCII do not fold", person("1", "dev@eXample.Com\u212a"), nil, nil},
		{"nobody in particular", person("", ""), nil, nil},
		{"star", person("root", ""), []string{"all"}, []string{"*"}},
		{"assigned", assigned("1", "ops"), []string{"ops"}, []string{"b", "c"}},
		{"assigned and a member", assigned("auth0|7", "ops", "dev"), []string{"dev", "ops"}, []string{"a", "b", "c"}},
		{"assigned what the policy has lost", assigned("1", "gone", "OPS", ""), nil, nil},
		{"assigned a built-in role", assigned("1", "ops", "viewer"), []string{"ops", "viewer"}, []string{"b", "c"}},
		{
			"an access key is assigned nothing",
			identity.Principal{Method: identity.MethodAccessKey, KeyID: "KEYSCOPES", Assigned: []string{"all"}},
			nil,
			[]string{"a"},
		},
		{
			"nor is an API key",
			identity.Principal{Method: identity.MethodAPIKey, KeyID: "key_1", Assigned: []string{"all"}},
			nil,
			nil,
		},
		{
			"a token keeps what it was issued with",
			identity.Principal{Method: identity.MethodToken, Subject: "root", Scopes: []string{"a"}},
			nil,
			[]string{"a"},
		},
		{
			"an API key too",
			identity.Principal{Method: identity.MethodAPIKey, Subject: "root", KeyID: "KEYMEMBER", Scopes: []string{"a"}},
			nil,
			[]string{"a"},
		},
		{
			"a session's own scopes stay",
			identity.Principal{Method: identity.MethodSession, Subject: "auth0|7", Scopes: []string{"b", "x"}},
			[]string{"dev"},
			[]string{"b", "x", "a"},
		},
	} {
		got := c.who
		p.Grant(&got)
		want := c.who
		want.Roles, want.Scopes = c.roles, c.scopes
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestPolicyListsTheKeysThatItBounds(t *testing.T) {
	p := mustParse(t, grantPolicy)
	for id, want := range map[string]bool{
		"KEYSCOPES": true, "KEYNOTHING": true, "KEYROLES": true, "KEYMEMBER": true, "KEYOTHER": false, "keyscopes": false, "Dev@Example.com": false, "": false,
	} {
		if got := p.Lists(id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}

func TestOriginsNameAssignedRoles(t *testing.T) {
	p := mustParse(t, grantPolicy)
	who := &identity.Principal{Method: identity.MethodSession, Subject: "auth0|7", Assigned: []string{"dev", "gone", "ops", "viewer"}}
	p.Grant(who)
	var got []string
	for _, o := range p.Origins(who) {
		got = append(got, o.Role+": "+o.Why)
	}
	want := []string{
		"dev: role dev (policy.yaml:4), as member auth0|7",
		"ops: role ops (policy.yaml:5), assigned by an administrator",
		"viewer: role viewer (built in), assigned by an administrator",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dev", "ops", "viewer"}, who.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

func TestRoleOfAKeyIsNoPersonsAndTheOtherWayRound(t *testing.T) {
	p := mustParse(t, `
roles:
  keys: {scopes: ["*"], members: ["key:DEPLOY", "key:key@id"]}
  people: {scopes: ["*"], members: ["sub:auth0|7", "sub:local|ann@home"]}
  both: {members: [PLAIN, "sub:HALF"]}
`)
	key := func(id string) identity.Principal {
		return identity.Principal{Method: identity.MethodAccessKey, Subject: id, KeyID: id}
	}
	person := func(subject, email string) identity.Principal {
		return identity.Principal{Method: identity.MethodSession, Subject: subject, Email: email}
	}
	for _, c := range []struct {
		who           identity.Principal
		roles, scopes []string
	}{
		{key("DEPLOY"), []string{"keys"}, []string{"*"}},
		{key("key@id"), []string{"keys"}, []string{"*"}},
		{person("auth0|7", ""), []string{"people"}, []string{"*"}},
		{person("local|ann@home", ""), []string{"people"}, []string{"*"}},
		{key("PLAIN"), []string{"both"}, nil},
		{person("PLAIN", ""), []string{"both"}, nil},
		{person("HALF", ""), []string{"both"}, nil},
		{person("DEPLOY", ""), nil, nil},
		{person("key:DEPLOY", ""), nil, nil},
		{person("1", "key@id"), nil, nil},
		{person("1", "key:key@id"), nil, nil},
		{person("sub:auth0|7", ""), nil, nil},
		{key("HALF"), nil, []string{"*"}}, // the policy does not name this key
		{key("auth0|7"), nil, []string{"*"}},
	} {
		got := c.who
		p.Grant(&got)
		want := c.who
		want.Roles, want.Scopes = c.roles, c.scopes
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", c.who.Method, c.who.Subject, diff)
		}
	}
}

func TestGrantSharesNothing(t *testing.T) {
	p := mustParse(t, grantPolicy)
	own := make([]string, 1, 8)
	own[0] = "x"
	first := identity.Principal{Method: identity.MethodSession, Subject: "auth0|7", Scopes: own}
	p.Grant(&first)
	first.Scopes[0] = "changed"
	second := identity.Principal{Method: identity.MethodAccessKey, KeyID: "KEYSCOPES"}
	p.Grant(&second)
	second.Scopes[0] = "changed"
	third := identity.Principal{Method: identity.MethodAccessKey, KeyID: "KEYSCOPES"}
	p.Grant(&third)
	if own[0] != "x" || third.Scopes[0] != "a" {
		t.Errorf("got %q and %q; a principal's change reached others", own, third.Scopes)
	}
}

func TestUnverifiedAndMalformedEmailsMatchNoRule(t *testing.T) {
	for in, want := range map[string]string{
		"A@B.C": "a@b.c", "": "", "@": "", "a@": "", "@b": "", "a@b@c": "", "a b@c": "", "a@b\n": "", "a@b\x00": "", "ä@B": "ä@b", "k@\u212a": "k@\u212a",
	} {
		if got := foldEmail(in); got != want {
			t.Errorf("foldEmail(%q) = %q, want %q", in, got, want)
		}
	}
	const rules = `roles: {all: {scopes: ["*"], members: [root@corp.example]}}`
	p, admits := mustParse(t, rules), Provider{EmailDomains: []string{"corp.example"}}
	admins, err := NewAdmins([]string{"root@corp.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{
		"", "root", "root@", "@corp.example", "root@evil@corp.example", "root@corp.example@evil", "root@@corp.example", " root@corp.example",
		"root@corp.example ", "root@corp.example\n", "root @corp.example", "root@corp.example\x00", "root@corp.example\t.evil", "root@corp.example.",
		"\"root@corp.example\"@evil", "root@corp.example,x@evil", "<root@corp.example>", "mailto:root@corp.example,", "root@corp\u3002example", "root\u200b@corp.exampl\u0435",
	} {
		who := &identity.Principal{Method: identity.MethodSession, Subject: "1", Email: email}
		p.Grant(who)
		if len(who.Roles) > 0 || len(who.Scopes) > 0 || admins.Has(who) || admits.Admits(email, nil) {
			t.Errorf("%q: roles %v, scopes %v, administrator %v, admitted %v", email, who.Roles, who.Scopes, admins.Has(who), admits.Admits(email, nil))
		}
	}
}

func TestAccountsLinkNeverOnEmail(t *testing.T) {
	p := mustParse(t, `roles: {dev: {members: ["sub-1"]}, mail: {members: [dev@example.com]}}`)
	for _, c := range []struct {
		who  identity.Principal
		want []string
	}{
		{identity.Principal{Subject: "sub-1"}, []string{"dev"}},
		{identity.Principal{Subject: "sub-2", Email: "sub-1"}, nil},
		{identity.Principal{Subject: "dev@example.com"}, nil},
		{identity.Principal{Subject: "sub-2", Username: "dev@example.com"}, nil},
		{identity.Principal{Subject: "sub-2", Email: "dev@example.com"}, []string{"mail"}}, // the rule names the address, not an account
	} {
		got := c.who
		got.Method = identity.MethodSession
		p.Grant(&got)
		if diff := cmp.Diff(c.want, got.Roles); diff != "" {
			t.Errorf("%+v: %s", c.who, diff)
		}
	}
}

func TestGrantsNamesTheKeyItself(t *testing.T) {
	free := mustParse(t, "access_keys: {A: {scopes: []}}")
	ruled := mustParse(t, "access_keys: {A: {scopes: [], register: [/demo, /team/*]}, B: {scopes: []}}")
	for _, c := range []struct {
		p          *Policy
		key, route string
		want       bool
	}{
		{free, "A", "/demo", false},
		{free, "Z", "/demo", false},
		{ruled, "A", "/demo", true},
		{ruled, "A", "/demo/", true},
		{ruled, "A", "/demo/x", false},
		{ruled, "A", "/team/x", true},
		{ruled, "A", "/team", false},
		{ruled, "A", "/team/../x", false},
		{ruled, "A", "/", false},
		{ruled, "B", "/demo", false},
		{ruled, "Z", "/demo", false},
	} {
		if got := c.p.Grants(c.key, c.route); got != c.want {
			t.Errorf("Grants(%q, %q) = %v", c.key, c.route, got)
		}
	}
}

func TestMayRegister(t *testing.T) {
	free := mustParse(t, "access_keys: {A: {scopes: []}}")
	ruled := mustParse(t, `
access_keys:
  A: {scopes: [], register: [/demo, /team/*]}
  B: {scopes: ["*"]}
  C: {scopes: ["*"], register: [/*]}
  D: {scopes: ["*"], register: []}
`)
	for _, c := range []struct {
		p          *Policy
		key, route string
		want       bool
	}{
		{free, "A", "/demo", true},
		{free, "Z", "/any/where", true},
		{free, "Z", "/_auth/login", false},
		{free, "Z", "/a/../b", false},
		{free, "Z", "demo", false},
		{free, "Z", "/a%2fb", false},
		{free, "Z", "/a//b", false},
		{free, "Z", "", false},
		{ruled, "A", "/demo", true},
		{ruled, "A", "/demo/", true},
		{ruled, "A", "/demo/x", false},
		{ruled, "A", "/Demo", false},
		{ruled, "A", "/demox", false},
		{ruled, "A", "/team", false},
		{ruled, "A", "/team/", false},
		{ruled, "A", "/team/x", true},
		{ruled, "A", "/team/x/y", true},
		{ruled, "A", "/team/../demo2", false},
		{ruled, "A", "/team/*", false},
		{ruled, "A", "/teams/x", false},
		{ruled, "A", "/", false},
		{ruled, "a", "/demo", false},
		{ruled, "B", "/demo", false},
		{ruled, "Z", "/demo", false},
		{ruled, "C", "/x/y", true},
		{ruled, "C", "/", false},
		{ruled, "C", "/oauth/x", false},
		{ruled, "D", "/x", false},
	} {
		if got := c.p.MayRegister(c.key, c.route); got != c.want {
			t.Errorf("MayRegister(%q, %q) = %v", c.key, c.route, got)
		}
	}
}
