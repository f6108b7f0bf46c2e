package policy

import (
	"slices"

	"wavegate/server/identity"
)

// GrantKey fills the Roles and Scopes of an API key's principal from the role and
// the scopes of its record. It has the role, "" for none, with the scopes that the
// file gives to it today, and of its own scopes those that there still are: "*",
// permissions, and those of the catalogue. Where the file declares no scopes it
// keeps its own as they are. A role that was taken out of the file gives nothing.
func (p *Policy) GrantKey(pr *identity.Principal, role string, scopes []string) {
	p.issue(pr, role, func(scope string) bool { return p.HasScope(scope) || len(p.scopes) == 0 }, scopes)
}

// GrantIssued fills the Roles and Scopes of the principal of a token that a
// trusted issuer signed: the issuer's role, and of the scopes that the token
// claims those of the catalogue and the permissions; all where the file declares
// no scopes. A claimed "*" counts for nothing, since somebody else's everything is
// not this server's: a role can give it.
func (p *Policy) GrantIssued(pr *identity.Principal, is *Issuer, claimed []string) {
	keep := func(scope string) bool {
		return scope != identity.ScopeAll && (p.HasScope(scope) || len(p.scopes) == 0)
	}
	if is.ScopeClaim == "" {
		claimed = nil
	}
	p.issue(pr, is.Role, keep, claimed)
}

// issue gives a principal a role, if it is one, and those of the scopes that keep
// approves.
func (p *Policy) issue(pr *identity.Principal, role string, keep func(string) bool, scopes []string) {
	pr.Roles, pr.Scopes = nil, nil
	if r := p.role(role); r != nil {
		r.give(pr)
	} else if slices.Contains(builtinRoles(), role) {
		pr.Roles = []string{role}
	}
	for _, s := range scopes {
		if keep(s) && !slices.Contains(pr.Scopes, s) {
			pr.Scopes = append(pr.Scopes, s)
		}
	}
}
