package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

func TestBuiltInTiersAreThoseOfTheDocumentation(t *testing.T) {
	const gb, tb = 1 << 30, 1 << 40
	want := []limit.Tier{
		{Name: "business", RequestsPerMinute: 1000, BurstPerSecond: 100, Concurrent: 100, BandwidthPerMonth: 10 * tb},
		{Name: "enterprise", RequestsPerMinute: 10000, BurstPerSecond: 500, Concurrent: 500},
		{Name: "free", RequestsPerMinute: 60, BurstPerSecond: 10, Concurrent: 5, BandwidthPerMonth: 100 * gb},
		{Name: "pro", RequestsPerMinute: 300, BurstPerSecond: 50, Concurrent: 25, BandwidthPerMonth: tb},
		{Name: "unlimited"},
	}
	for name, p := range map[string]*Policy{"zero": {}, "empty": mustParse(t, "upstreams: []")} {
		if diff := cmp.Diff(want, p.Tiers()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got, ok := p.Tier(""); !ok || got != want[4] {
			t.Errorf("%s: the default tier is %+v", name, got)
		}
	}
}

func TestTiersOfTheFileGoBeforeTheBuiltInOnes(t *testing.T) {
	p := mustParse(t, `
tiers:
  pro: {requests_per_minute: 500}
  gold: {requests_per_minute: 5, burst_per_second: 2, concurrent: 1, bandwidth_per_month: 5MB}
defaults: {tier: gold}
`)
	pro := limit.Tier{Name: "pro", RequestsPerMinute: 500} // what is left out has no bound
	gold := limit.Tier{Name: "gold", RequestsPerMinute: 5, BurstPerSecond: 2, Concurrent: 1, BandwidthPerMonth: 5 << 20}
	for name, want := range map[string]limit.Tier{"pro": pro, "gold": gold, "": gold, "unlimited": {Name: "unlimited"}} {
		if got, ok := p.Tier(name); !ok || got != want {
			t.Errorf("%q: got %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"silver", "Pro", " "} {
		if got, ok := p.Tier(name); ok || got != (limit.Tier{}) {
			t.Errorf("there is a tier %q: %+v", name, got)
		}
	}
	var names []string
	for _, tier := range p.Tiers() {
		names = append(names, tier.Name)
	}
	if diff := cmp.Diff([]string{"business", "enterprise", "free", "gold", "pro", "unlimited"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhoHasWhichTier(t *testing.T) {
	p := mustParse(t, `
upstreams:
  - {route: /, url: http://u, access: public}
  - {route: /slow, url: http://u, access: public, anonymous_tier: free}
roles:
  plain: {members: [ann]}
  fast: {members: [bob], groups: [both], tier: business}
  faster: {groups: [both], tier: enterprise}
defaults: {tier: free, user_tier: pro, client_tier: business, anonymous_tier: enterprise}
`)
	key := func(tier, role string) string { return p.KeyTier(tier, role).Name }
	user := func(subject string, groups ...string) string {
		who := &identity.Principal{Method: identity.MethodSession, Subject: subject, Groups: groups}
		p.Grant(who)
		return p.UserTier(who).Name
	}
	anonymous := func(path string) string { return p.AnonymousTier(p.Match("h", path)).Name }
	for _, c := range []struct{ what, got, want string }{
		{"a key that names one", key("pro", "fast"), "pro"},
		{"a key by its role", key("", "fast"), "business"},
		{"a key whose role has none", key("", "plain"), "free"},
		{"a key whose role is gone", key("", "gone"), "free"},
		{"a key without role", key("", ""), "free"},
		{"a key whose tier is gone", key("gone", ""), "free"},
		{"a key whose tier is gone and whose role has one", key("gone", "fast"), "free"},
		{"somebody without a tier's role", user("ann"), "pro"},
		{"somebody with one", user("bob"), "business"},
		{"somebody with two: the file's first", user("eve", "both"), "business"},
		{"nobody", p.UserTier(nil).Name, "pro"},
		{"a client", p.ClientTier("").Name, "business"},
		{"a client that names one", p.ClientTier("pro").Name, "pro"},
		{"a client whose tier is gone", p.ClientTier("gone").Name, "free"},
		{"an address", anonymous("/x"), "enterprise"},
		{"an address on a route that says so", anonymous("/slow/x"), "free"},
		{"an address without route", p.AnonymousTier(nil).Name, "enterprise"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	var zero Policy
	if zero.UserTier(nil).Name != "unlimited" || zero.ClientTier("").Name != "unlimited" || zero.AnonymousTier(nil).Name != "unlimited" || zero.KeyTier("", "").Name != "unlimited" {
		t.Error("the zero policy bounds somebody")
	}
}
