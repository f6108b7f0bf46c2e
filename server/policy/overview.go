package policy

import (
	"maps"
	"slices"

	"wavegate/server/identity"
)

// A Role describes a role to people.
type Role struct {
	Name        string
	Origin      string       // where it was written: "policy.yaml:12"; "" for a built-in one that the file does not have
	Scopes      []string     // that it gives for the apps behind
	Permissions []Permission // what an API key that holds it may do with the server's own API
	Members     []string     // as written
	Groups      []string
	Tier        string // "" is none
}

// Roles returns the roles of the file in its order, and then the built-in ones that
// it does not have.
func (p *Policy) Roles() []Role {
	var all []Role
	for i := range p.roles {
		r := &p.roles[i]
		all = append(all, Role{
			Name: r.name, Origin: r.origin, Scopes: slices.Clone(r.scopes), Permissions: p.permissionsOf(r.name),
			Members: slices.Clone(r.written), Groups: slices.Clone(r.groups), Tier: r.tier,
		})
	}
	for _, name := range builtinRoles() {
		if p.role(name) == nil {
			all = append(all, Role{Name: name, Permissions: p.permissionsOf(name)})
		}
	}
	return all
}

// permissionsOf returns what an API key with nothing but the role may do.
func (p *Policy) permissionsOf(role string) []Permission {
	key := &identity.Principal{Method: identity.MethodAPIKey}
	p.GrantKey(key, role, nil)
	return p.PermissionsOf(key)
}

// PermissionsOf returns all that who may do with the server's own API, see May.
func (p *Policy) PermissionsOf(who *identity.Principal) []Permission {
	return slices.DeleteFunc(Permissions(), func(what Permission) bool { return !p.May(who, what) })
}

// A KeyRule describes to people what the file says of one access key.
type KeyRule struct {
	ID       string
	Origin   string // where it was written: "policy.yaml:12"
	Scopes   []string
	Roles    []string
	Register []string // routes that it may announce; "/team/*" is all below
}

// KeyRules returns what the file says under access_keys, sorted by ID.
func (p *Policy) KeyRules() []KeyRule {
	var all []KeyRule
	for _, id := range slices.Sorted(maps.Keys(p.keys)) {
		k := p.keys[id]
		all = append(all, KeyRule{id, k.origin, slices.Clone(k.scopes), slices.Clone(k.roles), slices.Clone(k.register)})
	}
	return all
}

// GivableScopes returns every scope that an API key can be given: those of the
// catalogue, sorted by name, then the permissions that it does not declare, and at
// last "*".
func (p *Policy) GivableScopes() []Scope {
	all := slices.Clone(p.scopes)
	for _, what := range Permissions() {
		if !p.declares(string(what)) {
			text, risk := what.describe()
			all = append(all, Scope{Name: string(what), Description: text, Risk: risk})
		}
	}
	return append(all, Scope{Name: identity.ScopeAll, Description: "Everything that there is, also what will be added later.", Risk: "high"})
}

// describe says to people what a permission allows, and how much harm it can do.
func (what Permission) describe() (text, risk string) {
	switch what {
	case ReadKeys:
		return "See your API keys and what they may do; never their secrets.", "low"
	case WriteKeys:
		return "Make, change, rotate and revoke your API keys.", "high"
	case ReadUsage:
		return "See how much your keys and apps are used.", "low"
	case ReadStatus:
		return "See who you are here and what is left of your limits.", "low"
	case ReadWebhooks:
		return "See your webhooks and what was delivered to them.", "low"
	case WriteWebhooks:
		return "Make, change and remove your webhooks, which get your events.", "medium"
	case ReadAudit:
		return "Read what was done with what is yours, and what was refused.", "medium"
	case ReadLockouts:
		return "See which of your keys are locked after wrong tries.", "low"
	case WriteLockouts:
		return "Lift locks of your keys.", "medium"
	case ReadClients:
		return "See the apps that you registered.", "low"
	case WriteClients:
		return "Register, change and remove your apps, and make new secrets for them.", "high"
	case ReadUsers:
		return "See people, for administrators.", "medium"
	case WriteUsers:
		return "Disable and enable people, for administrators.", "high"
	}
	return "", ""
}
