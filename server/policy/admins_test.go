package policy

import (
	"strings"
	"testing"

	"wavegate/server/identity"
)

func TestAdmins(t *testing.T) {
	admins, err := NewAdmins([]string{"Root@Example.com", "auth0|7", "PLAIN", "key:KEYONLY", "sub:SUBONLY", "sub:local|root@home", "key:key@id"})
	if err != nil {
		t.Fatal(err)
	}
	person := func(subject, email string) *identity.Principal {
		return &identity.Principal{Method: identity.MethodSession, Subject: subject, Email: email}
	}
	key := func(id string) *identity.Principal {
		return &identity.Principal{Method: identity.MethodAccessKey, Subject: id, Username: id, KeyID: id, Scopes: []string{"*"}}
	}
	with := func(p *identity.Principal, change func(*identity.Principal)) *identity.Principal {
		change(p)
		return p
	}
	for _, c := range []struct {
		name string
		who  *identity.Principal
		want bool
	}{
		{"e-mail, case aside", person("1", "rOOT@example.COM"), true},
		{"subject", person("auth0|7", ""), true},
		{"a plain entry is a subject", person("PLAIN", ""), true},
		{"a plain entry is a key too", key("PLAIN"), true},
		{"a key's entry", key("KEYONLY"), true},
		{"a person's entry", person("SUBONLY", ""), true},
		{"a subject with an at sign", person("local|root@home", ""), true},
		{"a key with an at sign", key("key@id"), true},
		{"nobody", nil, false},
		{"not signed in", person("", ""), false},
		{"unverified e-mail", person("root@example.com", ""), false},
		{"malformed e-mail", person("1", "root@example.com@evil.test"), false},
		{"e-mail with a space", person("1", "root@example.com "), false},
		{"e-mail of a subdomain", person("1", "root@sub.example.com"), false},
		{"a person with the ID of a key", person("KEYONLY", ""), false},
		{"a person with the written entry of a key", person("key:KEYONLY", ""), false},
		{"a person whose session carries the ID of a key", with(person("1", ""), func(p *identity.Principal) { p.KeyID = "KEYONLY" }), false},
		{"a person whose name is an entry", with(person("1", ""), func(p *identity.Principal) { p.Username = "PLAIN" }), false},
		{"a key with a person's subject", key("SUBONLY"), false},
		{"a key with an administrator's e-mail for an ID", key("root@example.com"), false},
		{"a key with an administrator's e-mail", with(key("x"), func(p *identity.Principal) { p.Email = "root@example.com" }), false},
		{"an ID of another case", key("keyonly"), false},
		{"a subject of another case", person("AUTH0|7", ""), false},
		{"an API key of the administrator", &identity.Principal{Method: identity.MethodAPIKey, Subject: "auth0|7", KeyID: "PLAIN", Email: "root@example.com"}, false},
		{"a token of the administrator", &identity.Principal{Method: identity.MethodToken, Subject: "auth0|7", KeyID: "PLAIN", Email: "root@example.com"}, false},
		{"no method", &identity.Principal{Subject: "auth0|7", KeyID: "PLAIN", Email: "root@example.com"}, false},
	} {
		if got := admins.Has(c.who); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
		if (Admins{}).Has(c.who) {
			t.Errorf("%s: the zero value has administrators", c.name)
		}
	}
}

func TestAdminsRefuseWhatMatchesNobody(t *testing.T) {
	bad := []string{"", "*", "*@example.com", "key:*", "a@evil@corp", "@corp", "a@", "a b", "a@x.com,b@x.com", "a;b", "a\n", "key:", "sub:", "key:a b", "sub:a\x00"}
	for _, entry := range bad {
		if a, err := NewAdmins([]string{"good", entry}); err == nil || a.Has(&identity.Principal{Method: identity.MethodAccessKey, KeyID: "good"}) {
			t.Errorf("%q was taken", entry)
		}
	}
	_, err := NewAdmins(append(bad, "good"))
	if err == nil || strings.Count(err.Error(), "\n") != len(bad)-1 {
		t.Errorf("not every problem is told: %v", err)
	}
	if a, err := NewAdmins(nil); err != nil || a.Has(&identity.Principal{Method: identity.MethodAccessKey}) {
		t.Errorf("an empty list: %v", err)
	}
}
