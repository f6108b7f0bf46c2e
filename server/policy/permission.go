package policy

import (
	"slices"

	"wavegate/server/identity"
)

// A Permission is something that may be done with the server's own API. Each is
// a scope too: an API key that holds it, or "*", may do it. The file may declare
// a scope of the same name; then the two are one.
type Permission string

// The permissions.
const (
	ReadKeys      Permission = "keys:read"
	WriteKeys     Permission = "keys:write"
	ReadUsage     Permission = "usage:read"
	ReadStatus    Permission = "status:read"
	ReadWebhooks  Permission = "webhooks:read"
	WriteWebhooks Permission = "webhooks:write"
	ReadAudit     Permission = "audit:read"
	ReadLockouts  Permission = "lockouts:read"
	WriteLockouts Permission = "lockouts:write"
	ReadClients   Permission = "clients:read"
	WriteClients  Permission = "clients:write"
	ReadUsers     Permission = "users:read"
	WriteUsers    Permission = "users:write"
)

// Permissions returns all permissions, in the order of the documentation.
func Permissions() []Permission {
	return []Permission{
		ReadKeys, WriteKeys, ReadUsage, ReadStatus, ReadWebhooks, WriteWebhooks, ReadAudit,
		ReadLockouts, WriteLockouts, ReadClients, WriteClients, ReadUsers, WriteUsers,
	}
}

// permissionNames returns the permissions as names of scopes.
func permissionNames() []string {
	var names []string
	for _, p := range Permissions() {
		names = append(names, string(p))
	}
	return names
}

// isPermission reports whether a scope is a permission.
func isPermission(scope string) bool { return slices.Contains(Permissions(), Permission(scope)) }

// The roles that there are without being declared. What they may do with the
// server's own API is fixed; what they may do with the apps behind it is what the
// file gives to a role of the name, if it has one.
const (
	RoleViewer       = "viewer"
	RoleDeveloper    = "developer"
	RoleAccountAdmin = "account_admin"
	RoleTrial        = "trial"
)

// builtinRoles returns the names of the roles that need no declaration.
func builtinRoles() []string { return []string{RoleViewer, RoleDeveloper, RoleAccountAdmin, RoleTrial} }

// rolePermissions returns what a built-in role may do, and whether it is one.
func rolePermissions(name string) (may []Permission, builtin bool) {
	switch name {
	case RoleViewer:
		return []Permission{ReadKeys, ReadUsage, ReadStatus}, true
	case RoleDeveloper:
		return []Permission{
			ReadKeys, ReadUsage, ReadStatus, WriteKeys, ReadWebhooks, WriteWebhooks, ReadClients, WriteClients,
		}, true
	case RoleAccountAdmin:
		return Permissions(), true
	case RoleTrial:
		return nil, true
	}
	return nil, false
}

// May reports whether who may do that with the server's own API, for what is
// their own; administrators' rights are not its business.
//
// People, access keys, and the session tokens of both may do what their built-in
// roles say together; those who have none of the four do as the default role, or
// as a developer where that is no built-in one. API keys and tokens of others may
// do what their role says, and everything if they hold "*"; a trial key nothing.
// Whoever holds the permission by its name as a scope may do it as well. An OAuth
// access token has nothing but its scopes, whoever it speaks for.
func (p *Policy) May(who *identity.Principal, what Permission) bool {
	switch {
	case who == nil || who.Method == identity.MethodNone || isTrial(who):
		return false
	case slices.Contains(who.Scopes, string(what)):
		return true
	case isOAuth(who):
		return who.HasScope(identity.ScopeAll)
	case rolesMay(who.Roles, what):
		return true
	case isIssued(who):
		return who.HasScope(identity.ScopeAll)
	case haveCommon(builtinRoles(), who.Roles):
		return false
	}
	may, builtin := rolePermissions(p.defaults.Role)
	if !builtin {
		may, _ = rolePermissions(RoleDeveloper)
	}
	return slices.Contains(may, what)
}

// rolesMay reports whether one of the roles is a built-in one that may do it.
func rolesMay(roles []string, what Permission) bool {
	return slices.ContainsFunc(roles, func(role string) bool {
		may, _ := rolePermissions(role)
		return slices.Contains(may, what)
	})
}

// isTrial reports whether who is a key that was handed out without an account.
func isTrial(who *identity.Principal) bool {
	return who.Method == identity.MethodAPIKey && who.Environment == trialEnvironment
}

// trialEnvironment is the Principal.Environment of keys without an account.
const trialEnvironment = "trial"

// isIssued reports whether who holds what it was issued with and nothing else:
// an API key, or a token that stands for neither a session nor an access key.
func isIssued(who *identity.Principal) bool {
	switch who.Method {
	case identity.MethodAPIKey:
		return true
	case identity.MethodToken:
		return who.SessionID == "" && who.KeyID == "" || isOAuth(who)
	}
	return false
}

// isOAuth reports whether who is an access token of this server: a client's own, or
// one that a person allowed it.
func isOAuth(who *identity.Principal) bool {
	return who.Method == identity.MethodToken && who.OAuthClientID != ""
}

// isOfKey reports whether who is an access key or its session token.
func isOfKey(who *identity.Principal) bool {
	return who.Method == identity.MethodAccessKey ||
		who.Method == identity.MethodToken && !isIssued(who) && who.SessionID == ""
}

// role returns the role of a name, or nil where the file has none.
func (p *Policy) role(name string) *role {
	for i := range p.roles {
		if p.roles[i].name == name {
			return &p.roles[i]
		}
	}
	return nil
}

// HasRole reports whether a role can be given to an API key: one of the file, or
// one of the built-in viewer, developer, account_admin and trial.
func (p *Policy) HasRole(name string) bool {
	return p.role(name) != nil || slices.Contains(builtinRoles(), name)
}

// RoleScopes returns the scopes of a role; nil for one that the file does not
// have. The caller must not change them.
func (p *Policy) RoleScopes(name string) []string {
	if r := p.role(name); r != nil {
		return r.scopes
	}
	return nil
}

// HasScope reports whether a scope can be given to an API key: one of the
// catalogue, "*", or a Permission.
func (p *Policy) HasScope(name string) bool {
	return name == identity.ScopeAll || isPermission(name) || p.declares(name)
}

// declares reports whether a scope is in the catalogue.
func (p *Policy) declares(scope string) bool {
	return slices.ContainsFunc(p.scopes, func(s Scope) bool { return s.Name == scope })
}
