package policy

import (
	"strings"
	"testing"

	"wavegate/server/identity"
)

// may lists what somebody may do with the server's own API.
func may(p *Policy, who *identity.Principal) string {
	var out []string
	for _, what := range Permissions() {
		if p.May(who, what) {
			out = append(out, string(what))
		}
	}
	return strings.Join(out, " ")
}

const (
	viewerMay    = "keys:read usage:read status:read"
	developerMay = "keys:read keys:write usage:read status:read webhooks:read webhooks:write clients:read clients:write"
	allMay       = "keys:read keys:write usage:read status:read webhooks:read webhooks:write audit:read lockouts:read lockouts:write clients:read clients:write users:read users:write"
)

func TestMay(t *testing.T) {
	plain := mustParse(t, `roles: {viewer: {}, ops: {scopes: [audit:read]}}`)
	asViewer := mustParse(t, `defaults: {role: viewer}`)
	asOps := mustParse(t, `{roles: {ops: {}}, defaults: {role: ops}}`)
	asTrial := mustParse(t, `defaults: {role: trial}`)
	who := func(method identity.Method, roles, scopes string) *identity.Principal {
		return &identity.Principal{Method: method, Subject: "s", Roles: strings.Fields(roles), Scopes: strings.Fields(scopes)}
	}
	person := func(roles, scopes string) *identity.Principal { return who(identity.MethodSession, roles, scopes) }
	key := func(roles, scopes string) *identity.Principal { return who(identity.MethodAPIKey, roles, scopes) }
	trial := key("account_admin", "* keys:read")
	trial.Environment = "trial"
	ofSession, ofKey, oauth := who(identity.MethodToken, "", ""), who(identity.MethodToken, "", "*"), who(identity.MethodToken, "", "usage:read")
	ofSession.SessionID, ofKey.KeyID, oauth.SessionID, oauth.OAuthClientID = "ses_1", "K", "ses_1", "app"
	app := func(roles, scopes string) *identity.Principal {
		token := who(identity.MethodToken, roles, scopes)
		token.OAuthClientID, token.Owner = "app", "sub:s"
		return token
	}
	for _, c := range []struct {
		name string
		p    *Policy
		who  *identity.Principal
		want string
	}{
		{"nobody", plain, nil, ""},
		{"nobody either", plain, &identity.Principal{Roles: []string{"account_admin"}, Scopes: []string{"*"}}, ""},
		{"a person is a developer", plain, person("", ""), developerMay},
		{"also without any policy", &Policy{}, person("", ""), developerMay},
		{"and with a role of the file alone", plain, person("ops", ""), developerMay},
		{"a permission by its name as a scope comes on top", plain, person("viewer", "audit:read"), "keys:read usage:read status:read audit:read"},
		{"a scope of everything is about apps", plain, person("viewer", "*"), viewerMay},
		{"a viewer of the file is one here", plain, person("viewer ops", ""), viewerMay},
		{"roles add up", plain, person("trial viewer developer", ""), developerMay},
		{"a trial role alone may nothing", plain, person("trial", ""), ""},
		{"an account admin may all", plain, person("viewer account_admin", ""), allMay},
		{"the default role counts", asViewer, person("", ""), viewerMay},
		{"but not for those who have another", asViewer, person("developer", ""), developerMay},
		{"a default role of the file is no built-in one", asOps, person("ops", ""), developerMay},
		{"the default can be nothing", asTrial, person("", ""), ""},
		{"access keys as people", plain, who(identity.MethodAccessKey, "", "*"), developerMay},
		{"and by role", asViewer, who(identity.MethodAccessKey, "", "*"), viewerMay},
		{"tokens of sessions too", plain, ofSession, developerMay},
		{"tokens of access keys too", plain, ofKey, developerMay},
		{"an OAuth client's token holds what it was issued with", plain, oauth, "usage:read"},
		{"and nothing by itself", plain, app("", "streams:read"), ""},
		{"nor by the default role", asViewer, app("", "openid"), ""},
		{"nor by any role", plain, app("developer account_admin", "audit:read"), "audit:read"},
		{"a part of a permission is none", plain, app("", "keys keys:* KEYS:READ"), ""},
		{"everything is everything for it too", plain, app("", "*"), allMay},
		{"an API key has nothing by itself", plain, key("", "streams:read"), ""},
		{"nor by the default role", asViewer, key("", ""), ""},
		{"it has what its role may", plain, key("viewer", ""), viewerMay},
		{"and its scopes", plain, key("viewer", "keys:write audit:read"), "keys:read keys:write usage:read status:read audit:read"},
		{"everything is everything", plain, key("", "*"), allMay},
		{"a role of the file gives none", plain, key("ops", ""), ""},
		{"a trial key may nothing", plain, trial, ""},
		{"another issuer's token as an API key", asViewer, who(identity.MethodToken, "", "keys:read"), "keys:read"},
		{"by its role", asViewer, who(identity.MethodToken, "developer", ""), developerMay},
	} {
		if got := may(c.p, c.who); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRolesAndScopesThatAKeyCanHave(t *testing.T) {
	p := mustParse(t, `{scopes: {a: {}, users:read: {}}, roles: {dev: {scopes: [a, keys:read]}, viewer: {scopes: [a]}}}`)
	for name, want := range map[string]string{"dev": "a keys:read", "viewer": "a", "developer": "", "account_admin": "", "trial": ""} {
		if got := strings.Join(p.RoleScopes(name), " "); !p.HasRole(name) || got != want {
			t.Errorf("role %s: %v, scopes %q, want %q", name, p.HasRole(name), got, want)
		}
	}
	for _, name := range []string{"", "Viewer", "admin", "a", "*"} {
		if p.HasRole(name) || p.RoleScopes(name) != nil {
			t.Errorf("there is no role %q", name)
		}
	}
	for name, want := range map[string]bool{
		"a": true, "users:read": true, "keys:write": true, "*": true, "": false, "b": false, "A": false, "openid": false, "keys:*": false,
	} {
		if p.HasScope(name) != want {
			t.Errorf("scope %q: got %v", name, p.HasScope(name))
		}
	}
}

func TestPermissionOpensNoRoute(t *testing.T) {
	p := mustParse(t, `{upstreams: [{route: /, url: http://u}], scopes: {users:read: {endpoints: [GET /users]}}}`)
	key := principal(identity.MethodAPIKey)
	p.GrantKey(key, RoleAccountAdmin, permissionNames())
	for path, want := range map[string]bool{"/users": true, "/keys": false, "/": false} {
		if got := p.Decide(key, p.AskFor("h", "GET", path, false)).Allow; got != want {
			t.Errorf("%s: got %v", path, got)
		}
	}
}
