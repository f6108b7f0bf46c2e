package policy

import (
	"slices"
	"strings"

	"wavegate/server/identity"
)

// Grant fills the Roles and Scopes of a principal that was just made, before
// anybody else sees it.
//
// An access key holds "*" unless the policy names it, under access_keys or as
// a member of a role: then it holds what is written there and nothing else.
// A person who signed in gets the roles that name the verified e-mail address
// (letter case aside), the subject, or one of the groups, and those of Assigned
// that there are, built-in ones included, and keeps the scopes that the session
// brought. API keys and tokens hold what they were issued
// with, so that no role widens them: see GrantKey and GrantIssued.
func (p *Policy) Grant(pr *identity.Principal) {
	switch pr.Method {
	case identity.MethodAccessKey:
		p.grantAccessKey(pr)
	case identity.MethodSession:
		p.grantPerson(pr)
	}
}

// grantAccessKey fills in what the policy says of an access key.
func (p *Policy) grantAccessKey(pr *identity.Principal) {
	rule, listed := p.keys[pr.KeyID]
	pr.Roles, pr.Scopes = nil, slices.Clone(rule.scopes)
	for i := range p.roles {
		r := &p.roles[i]
		if r.members.key(pr.KeyID) || slices.Contains(rule.roles, r.name) {
			r.give(pr)
			listed = true
		}
	}
	if !listed {
		pr.Scopes = []string{identity.ScopeAll}
	}
}

// Lists reports whether the policy says what the access key holds: one that it does
// not list holds "*".
func (p *Policy) Lists(keyID string) bool {
	_, listed := p.keys[keyID]
	return listed || slices.ContainsFunc(p.roles, func(r role) bool { return r.members.key(keyID) })
}

// grantPerson fills in the roles of somebody who signed in.
func (p *Policy) grantPerson(pr *identity.Principal) {
	pr.Roles, pr.Scopes = nil, slices.Clone(pr.Scopes)
	email := foldEmail(pr.Email)
	for i := range p.roles {
		r := &p.roles[i]
		if r.members.person(pr.Subject, email) || haveCommon(r.groups, pr.Groups) || slices.Contains(pr.Assigned, r.name) {
			r.give(pr)
		}
	}
	for _, name := range pr.Assigned {
		if p.role(name) == nil && p.HasRole(name) { // built in: it brings no scopes
			pr.Roles = append(pr.Roles, name)
		}
	}
}

// give adds the role and its scopes to a principal.
func (r *role) give(pr *identity.Principal) {
	pr.Roles = append(pr.Roles, r.name)
	for _, s := range r.scopes {
		if !slices.Contains(pr.Scopes, s) {
			pr.Scopes = append(pr.Scopes, s)
		}
	}
}

// foldEmail returns an address in the form in which addresses are compared,
// or "" for what is none. Only ASCII letters fold: a Kelvin sign is not a k.
func foldEmail(s string) string {
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || host == "" || strings.Contains(host, "@") {
		return ""
	}
	if strings.ContainsFunc(s, isBlank) {
		return ""
	}
	return foldASCII(s)
}

// foldASCII returns s with its ASCII letters in lower case.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if isUpper(rune(c)) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// MayRegister reports whether the access key may announce an app at the
// route. Where no key has a register rule, every key may; once one has, only
// those that have one. A route that ParsePath refuses, or one of the server's
// own, nobody may.
func (p *Policy) MayRegister(keyID, route string) bool {
	route, err := ParsePath(route)
	if err != nil || Reserved(route) {
		return false
	}
	return p.mayAll || p.registers(keyID, route)
}

// Grants reports whether the policy names the route, by itself or by a
// pattern, in the register rule of this very access key. It is what MayRegister
// is where keys without a rule are left out.
func (p *Policy) Grants(keyID, route string) bool {
	route, err := ParsePath(route)
	return err == nil && !Reserved(route) && p.registers(keyID, route)
}

// registers reports whether a register rule of the key holds a checked route.
func (p *Policy) registers(keyID, route string) bool {
	for _, allowed := range p.keys[keyID].register {
		if prefix, ok := strings.CutSuffix(allowed, "*"); ok && strings.HasPrefix(route, prefix) && route != prefix {
			return true
		}
		if allowed == route {
			return true
		}
	}
	return false
}
