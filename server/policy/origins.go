package policy

import (
	"fmt"
	"slices"

	"wavegate/server/identity"
)

// An Origin is one reason why a principal holds what it holds.
type Origin struct {
	Role   string   // that it brings; "" is none
	Scopes []string // that it brings
	Why    string   // for people to read: "role dev (policy.yaml:7), by group eng"
}

// Origins says where the roles and scopes come from that Grant, GrantKey or
// GrantIssued gave to a principal under this policy. It is for people; the
// wording may change.
func (p *Policy) Origins(pr *identity.Principal) []Origin {
	switch {
	case pr == nil || pr.Method == identity.MethodNone:
		return nil
	case isIssued(pr):
		return p.issuedOrigins(pr)
	case isOfKey(pr):
		return p.accessKeyOrigins(pr)
	}
	return p.personOrigins(pr)
}

// personOrigins says which member or group entries name a person, and which roles
// an administrator gave.
func (p *Policy) personOrigins(pr *identity.Principal) []Origin {
	var out []Origin
	email := foldEmail(pr.Email)
	for i := range p.roles {
		r := &p.roles[i]
		group := slices.IndexFunc(r.groups, func(g string) bool { return slices.Contains(pr.Groups, g) })
		switch {
		case email != "" && r.members.emails[email]:
			out = append(out, r.because("as member "+email))
		case r.members.person(pr.Subject, ""):
			out = append(out, r.because("as member "+pr.Subject))
		case group >= 0:
			out = append(out, r.because("by group "+r.groups[group]))
		case slices.Contains(pr.Assigned, r.name):
			out = append(out, r.because(byAdministrator))
		}
	}
	for _, name := range pr.Assigned {
		if p.role(name) == nil && p.HasRole(name) {
			out = append(out, Origin{Role: name, Why: fmt.Sprintf("role %s (built in), %s", name, byAdministrator)})
		}
	}
	return out
}

// byAdministrator is why somebody has a role that no rule of the policy gives them.
const byAdministrator = "assigned by an administrator"

// accessKeyOrigins says which entries name an access key.
func (p *Policy) accessKeyOrigins(pr *identity.Principal) []Origin {
	var out []Origin
	rule, listed := p.keys[pr.KeyID]
	if listed {
		out = append(out, Origin{Scopes: rule.scopes, Why: fmt.Sprintf("access_keys %s (%s)", pr.KeyID, rule.origin)})
	}
	for i := range p.roles {
		switch r := &p.roles[i]; {
		case r.members.key(pr.KeyID):
			out = append(out, r.because("as member "+pr.KeyID))
		case slices.Contains(rule.roles, r.name):
			out = append(out, r.because("by access_keys "+pr.KeyID))
		}
	}
	if len(out) == 0 {
		out = []Origin{{Scopes: []string{identity.ScopeAll}, Why: "access key that no rule names"}}
	}
	return out
}

// issuedOrigins tells the role that an API key or a token came with from the
// scopes that it brought itself.
func (p *Policy) issuedOrigins(pr *identity.Principal) []Origin {
	how, own := "of the key", "scopes of the key's own"
	if pr.Method == identity.MethodToken {
		how, own = "of the token", "scopes of the token's own"
		if is := p.issuer(pr.Subject); is != nil {
			how = fmt.Sprintf("of issuer %s (%s)", is.Name, is.Origin)
		}
	}
	var out []Origin
	var fromRoles []string
	for _, name := range pr.Roles {
		if r := p.role(name); r != nil {
			out = append(out, r.because(how))
			fromRoles = append(fromRoles, r.scopes...)
			continue
		}
		out = append(out, Origin{Role: name, Why: fmt.Sprintf("role %s (built in), %s", name, how)})
	}
	rest := slices.DeleteFunc(slices.Clone(pr.Scopes), func(s string) bool { return slices.Contains(fromRoles, s) })
	if len(rest) > 0 {
		out = append(out, Origin{Scopes: rest, Why: own})
	}
	return out
}

// because is the Origin of those who have the role for a reason.
func (r *role) because(how string) Origin {
	return Origin{Role: r.name, Scopes: r.scopes, Why: fmt.Sprintf("role %s (%s), %s", r.name, r.origin, how)}
}
