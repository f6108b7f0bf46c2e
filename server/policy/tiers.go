package policy

import (
	"cmp"
	"slices"

	"go.yaml.in/yaml/v4"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

// unlimited is the name of the tier that bounds nothing. It is what counts where
// the file says nothing, and the file cannot change it.
const unlimited = "unlimited"

// builtinTiers returns the tiers that there are whatever the file says, sorted by
// name. A gigabyte counts by 1024, as every size here does.
func builtinTiers() []limit.Tier {
	return []limit.Tier{
		{Name: "business", RequestsPerMinute: 1000, BurstPerSecond: 100, Concurrent: 100, BandwidthPerMonth: 10 << 40},
		{Name: "enterprise", RequestsPerMinute: 10_000, BurstPerSecond: 500, Concurrent: 500},
		{Name: "free", RequestsPerMinute: 60, BurstPerSecond: 10, Concurrent: 5, BandwidthPerMonth: 100 << 30},
		{Name: "pro", RequestsPerMinute: 300, BurstPerSecond: 50, Concurrent: 25, BandwidthPerMonth: 1 << 40},
		{Name: unlimited},
	}
}

// Tier returns the tier of a name. "" is the default tier of API keys. There are
// free, pro, business, enterprise and unlimited, whatever the file says; the file
// can give all but the last other numbers. The numbers of one that there is not
// are zero, which bounds nothing: look at the second result.
func (p *Policy) Tier(name string) (limit.Tier, bool) {
	name = cmp.Or(name, p.defaults.Tier, unlimited)
	for _, tiers := range [][]limit.Tier{p.tiers, builtinTiers()} {
		if i := slices.IndexFunc(tiers, func(t limit.Tier) bool { return t.Name == name }); i >= 0 {
			return tiers[i], true
		}
	}
	return limit.Tier{}, false
}

// Tiers returns all tiers, sorted by name.
func (p *Policy) Tiers() []limit.Tier {
	all := slices.Clone(p.tiers)
	for _, t := range builtinTiers() {
		if !slices.ContainsFunc(all, func(own limit.Tier) bool { return own.Name == t.Name }) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b limit.Tier) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// KeyTier returns the tier of an API key whose record names a tier and a role,
// each "" for none: the tier itself, else that of the role, else the default. A
// key whose tier was taken out of the file is held to the narrowest that is built
// in: a mistake in the file must not free it of all bounds.
func (p *Policy) KeyTier(name, role string) limit.Tier {
	if name != "" {
		if t, ok := p.Tier(name); ok {
			return t
		}
		return p.tier("free")
	}
	if r := p.role(role); r != nil && r.tier != "" {
		return p.tier(r.tier)
	}
	return p.tier(p.defaults.Tier)
}

// UserTier returns the tier of a person or an access key: that of the first of
// their roles, in the file's order, that has one, else the default of users.
func (p *Policy) UserTier(pr *identity.Principal) limit.Tier {
	if t, ok := p.roleTier(pr); ok {
		return t
	}
	return p.tier(p.defaults.UserTier)
}

// roleTier returns the tier of the first role of pr that has one.
func (p *Policy) roleTier(pr *identity.Principal) (limit.Tier, bool) {
	if pr == nil {
		return limit.Tier{}, false
	}
	for i := range p.roles {
		if r := &p.roles[i]; r.tier != "" && slices.Contains(pr.Roles, r.name) {
			return p.tier(r.tier), true
		}
	}
	return limit.Tier{}, false
}

// ClientTier returns the tier of an OAuth client whose record names one, "" for the
// default. One whose tier was taken out of the file is held to the narrowest that is
// built in, as an API key is.
func (p *Policy) ClientTier(name string) limit.Tier {
	if name == "" {
		return p.tier(p.defaults.ClientTier)
	}
	if t, ok := p.Tier(name); ok {
		return t
	}
	return p.tier("free")
}

// AnonymousTier returns the tier of each address that uses a public route
// without a credential: the route's own, else the default. The route may be nil.
func (p *Policy) AnonymousTier(route *Route) limit.Tier {
	if route != nil && route.AnonymousTier != "" {
		return p.tier(route.AnonymousTier)
	}
	return p.tier(p.defaults.AnonymousTier)
}

// tier returns a tier that was looked up before; "" is unlimited, so that the
// zero Policy bounds nothing.
func (p *Policy) tier(name string) limit.Tier {
	t, _ := p.Tier(cmp.Or(name, unlimited))
	return t
}

// readTiers reads the section tiers.
func (c *compiler) readTiers(n *yaml.Node) {
	for _, p := range c.pairs(n, "tiers") {
		if !c.checkName("tier", p.key) {
			continue
		}
		if p.name == unlimited {
			c.fail(p.key, "tier %q bounds nothing, and stays so: choose another name", p.name)
			continue
		}
		c.tiers[p.name] = true
		c.policy.tiers = append(c.policy.tiers, c.readTier(p))
	}
}

// readTier reads one tier.
func (c *compiler) readTier(p pair) limit.Tier {
	o := c.object(p.value, "tier "+p.name, "requests_per_minute", "burst_per_second", "concurrent", "bandwidth_per_month")
	t := limit.Tier{
		Name:              p.name,
		RequestsPerMinute: o.count("requests_per_minute", 0, 0),
		BurstPerSecond:    o.count("burst_per_second", 0, 0),
		Concurrent:        o.count("concurrent", 0, 0),
		BandwidthPerMonth: o.size("bandwidth_per_month", 0),
	}
	if t.RequestsPerMinute > 0 && t.BurstPerSecond > t.RequestsPerMinute {
		c.fail(o.at("burst_per_second"), "burst_per_second of %d can never be reached: a whole minute has %d requests; lower it, or leave it out",
			t.BurstPerSecond, t.RequestsPerMinute)
	}
	return t
}
