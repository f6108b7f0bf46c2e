package policy

import (
	"slices"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

// Exceeds returns what a new key with the role, the scopes and the tier would
// hold beyond its maker, in words such as "scope billing:write", "role
// account_admin", "tier enterprise"; nothing where it would not.
//
// Whoever holds "*" may give every scope and role. Others give the scopes that
// they hold and the permissions that they have, and a role if they hold all of
// its scopes and may do what it may; one that a route requires they must have
// themselves. Where the policy neither declares scopes nor requires "*" of anybody,
// there is no scope that people and access keys do not hold.
//
// No number of the tier may be above the maker's. A key that is asked for without
// tier, and without a role that brings one, gets the default; people and access
// keys may have that whatever their own tier, which counts their keys too. What an
// OAuth client makes is bounded by the client's tier as well, which does not count
// it.
func (p *Policy) Exceeds(maker *identity.Principal, role string, scopes []string, tier string) []string {
	var beyond []string
	for _, s := range scopes {
		if !p.MayGive(maker, s) {
			beyond = append(beyond, "scope "+s)
		}
	}
	if role != "" && !p.MayGiveRole(maker, role) {
		beyond = append(beyond, "role "+role)
	}
	if name, ok := p.MayGiveTier(maker, role, tier); !ok {
		beyond = append(beyond, "tier "+name)
	}
	return beyond
}

// MayGive reports whether a scope is within what the maker holds.
func (p *Policy) MayGive(maker *identity.Principal, scope string) bool {
	if maker == nil || maker.Method == identity.MethodNone {
		return false
	}
	return maker.HasScope(scope) || len(p.scopes) == 0 && !p.allAsked && !isIssued(maker) ||
		isPermission(scope) && !p.declares(scope) && p.May(maker, Permission(scope))
}

// MayGiveRole reports whether a role is within what the maker holds.
func (p *Policy) MayGiveRole(maker *identity.Principal, name string) bool {
	switch {
	case maker == nil || !p.HasRole(name):
		return false
	case maker.HasScope(identity.ScopeAll):
		return true
	case p.required[name] && !slices.Contains(maker.Roles, name):
		return false
	}
	for _, s := range p.RoleScopes(name) {
		if !p.MayGive(maker, s) {
			return false
		}
	}
	may, _ := rolePermissions(name)
	return !slices.ContainsFunc(may, func(what Permission) bool { return !p.May(maker, what) })
}

// MayGiveTier reports whether the tier that a key would have, made with this role and
// tier ("" for none of either), is within the maker's, and names it.
func (p *Policy) MayGiveTier(maker *identity.Principal, role, tier string) (name string, ok bool) {
	if _, ok := p.Tier(tier); !ok || maker == nil {
		return tier, false
	}
	got := p.KeyTier(tier, role)
	r := p.role(role)
	asked := tier != "" || r != nil && r.tier != ""
	switch {
	case isOAuth(maker) && !isWithin(got, p.ClientTier(maker.Tier)):
		return got.Name, false
	case !asked && maker.Method != identity.MethodAPIKey:
		return got.Name, true
	}
	return got.Name, isWithin(got, p.makerTier(maker))
}

// makerTier returns the tier that bounds those of the keys that maker makes.
func (p *Policy) makerTier(maker *identity.Principal) limit.Tier {
	if maker.Method == identity.MethodAPIKey {
		role := ""
		if len(maker.Roles) > 0 {
			role = maker.Roles[0]
		}
		return p.KeyTier(maker.Tier, role)
	}
	if _, own := p.roleTier(maker); !own && isOfKey(maker) && maker.HasScope(identity.ScopeAll) {
		return p.tier(unlimited)
	}
	return p.UserTier(maker)
}

// isWithin reports whether no number of t is above that of bound.
func isWithin(t, bound limit.Tier) bool {
	within := func(n, most int64) bool { return most == 0 || n != 0 && n <= most }
	return within(t.RequestsPerMinute, bound.RequestsPerMinute) && within(t.BurstPerSecond, bound.BurstPerSecond) &&
		within(t.Concurrent, bound.Concurrent) && within(t.BandwidthPerMonth, bound.BandwidthPerMonth)
}

// noteRequired notes what opens a route by itself, beside the catalogue's scopes.
func (c *compiler) noteRequired() {
	p := &c.policy
	p.required = map[string]bool{}
	for _, r := range p.routes {
		p.allAsked = p.allAsked || slices.Contains(r.Require.Scopes, identity.ScopeAll)
		for _, name := range r.Require.Roles {
			p.required[name] = true
		}
	}
}
