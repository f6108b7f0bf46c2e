package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

const exceedsPolicy = `
upstreams:
  - {route: /, url: http://u}
  - {route: /vault, url: http://u, require: {roles: [guard]}}
scopes: {a: {}, b: {}, webhooks:read: {endpoints: [GET /v1/webhooks]}}
roles:
  ab: {scopes: [a, b]}
  guard: {}
  fast: {scopes: [a], tier: business}
  viewer: {scopes: [b]}
defaults: {tier: pro, user_tier: pro}
`

// TestOwnerRoleTierCannotExceedTheMaker holds what a body may ask for against
// what its maker has.
func TestOwnerRoleTierCannotExceedTheMaker(t *testing.T) {
	p := mustParse(t, exceedsPolicy)
	free := mustParse(t, `{upstreams: [{route: /vault, url: http://u, require: {roles: [guard]}}], roles: {guard: {}, ops: {scopes: ["*"]}}}`)
	strict := mustParse(t, `{upstreams: [{route: /vault, url: http://u, require: {scopes: ["*"]}}]}`)
	who := func(method identity.Method, roles, scopes string) *identity.Principal {
		return &identity.Principal{Method: method, Subject: "s", KeyID: "k", Roles: strings.Fields(roles), Scopes: strings.Fields(scopes)}
	}
	person := func(roles, scopes string) *identity.Principal { return who(identity.MethodSession, roles, scopes) }
	key := func(tier, roles, scopes string) *identity.Principal {
		k := who(identity.MethodAPIKey, roles, scopes)
		k.Tier = tier
		return k
	}
	accessKey := who(identity.MethodAccessKey, "", "*")
	issued := &identity.Principal{Method: identity.MethodToken, Subject: "i|1", Roles: []string{"developer"}}
	app := func(tier, scopes string) *identity.Principal { // an access token for it
		token := who(identity.MethodToken, "", scopes)
		token.OAuthClientID, token.KeyID, token.Tier = "app", "", tier
		return token
	}
	slowApps := mustParse(t, `{defaults: {tier: pro, client_tier: free}}`)
	trial := key("", "", "a")
	trial.Environment = "trial"
	for _, c := range []struct {
		name               string
		p                  *Policy
		maker              *identity.Principal
		role, scopes, tier string
		want               string
	}{
		{"nothing is within everybody", p, person("", ""), "", "", "", ""},
		{"nobody makes nothing", p, nil, "viewer", "a", "pro", "scope a, role viewer, tier pro"},
		{"scopes that the maker holds", p, person("ab", "a b"), "", "a b", "", ""},
		{"and one that it does not", p, person("", "a"), "", "a b", "", "scope b"},
		{"all are named", p, person("", ""), "ab", "a b c", "enterprise", "scope a, scope b, scope c, role ab, tier enterprise"},
		{"everything is beyond those who hold less", p, person("ab", "a b webhooks:read"), "", "*", "", "scope *"},
		{"everything covers everything", p, person("", "*"), "account_admin", "* a keys:read audit:read", "", ""},
		{"an access key without a rule too", p, accessKey, "guard", "*", "enterprise", ""},
		{"permissions that the maker has", p, person("", ""), "", "keys:write usage:read", "", ""},
		{"and one that it has not", p, person("", ""), "", "keys:write audit:read", "", "scope audit:read"},
		{"a permission that is a scope of the catalogue must be held as one", p, person("", ""), "", "webhooks:read", "", "scope webhooks:read"},
		{"and is within when it is", p, person("", "webhooks:read"), "", "webhooks:read", "", ""},
		{"a role whose scopes the maker holds", p, person("", "a b"), "ab", "", "", ""},
		{"and one of them not", p, person("", "a"), "ab", "", "", "role ab"},
		{"a built-in role that may no more", p, person("", ""), "developer", "", "", ""},
		{"and one that may more", p, person("", "a b"), "account_admin", "", "", "role account_admin"},
		{"a viewer makes no developer", p, person("viewer", "b"), "developer", "", "", "role developer"},
		{"a viewer of the file brings its scopes", p, person("", ""), "viewer", "", "", "role viewer"},
		{"a trial role is within everybody", p, person("viewer", ""), "trial", "", "", ""},
		{"a role that there is not", p, person("", "a b"), "gone", "", "", "role gone"},
		{"a role that opens a route by itself is for those who have it", p, person("", "a b"), "guard", "", "", "role guard"},
		{"they may give it", p, person("guard", ""), "guard", "", "", ""},
		{"the maker's own tier", p, person("", ""), "", "", "pro", ""},
		{"a smaller one", p, person("", ""), "", "", "free", ""},
		{"a larger one", p, person("", ""), "", "", "business", "tier business"},
		{"no bound is the largest", p, person("", ""), "", "", "unlimited", "tier unlimited"},
		{"one that there is not", p, person("", "*"), "", "", "gold", "tier gold"},
		{"a role's tier is measured", p, person("", "a"), "fast", "", "", "tier business"},
		{"unless a smaller one is named", p, person("", "a"), "fast", "", "free", ""},
		{"and is had", p, person("fast", "a"), "fast", "", "business", ""},
		{"an access key has no bound", p, accessKey, "fast", "", "unlimited", ""},
		{"unless its role has", p, who(identity.MethodAccessKey, "fast", "*"), "", "", "enterprise", "tier enterprise"},
		{"or a rule narrows it", p, who(identity.MethodAccessKey, "", "a"), "", "", "business", "tier business"},
		{"an API key's own tier", p, key("free", "", "*"), "", "", "free", ""},
		{"the default is more than it", p, key("free", "", "*"), "", "", "", "tier pro"},
		{"and is its own where it names none", p, key("", "", "*"), "", "", "pro", ""},
		{"its role's", p, key("", "fast", "a"), "", "", "business", ""},
		{"an API key gives what it holds", p, key("", "developer", "a"), "developer", "a keys:read", "", ""},
		{"a trial key no permission", p, trial, "developer", "a keys:read", "", "scope keys:read, role developer"},
		{"without scopes in the policy people hold all", free, person("", ""), "", "* keys:read", "", ""},
		{"but no role's permissions", free, person("", ""), "account_admin", "", "", "role account_admin"},
		{"nor a role that a route asks for", free, person("", ""), "guard", "", "", "role guard"},
		{"API keys hold their own list", free, key("", "developer", "x"), "", "x y * keys:read", "", "scope y, scope *"},
		{"or everything", free, key("", "", "*"), "ops", "x *", "", ""},
		{"and so do tokens of others", free, issued, "ops", "*", "", "scope *, role ops"},
		{"where a route wants everything, people do not hold it by themselves", strict, person("", ""), "", "*", "", "scope *"},
		{"an app's token gives what it holds", p, app("", "a keys:write"), "", "a keys:write", "", ""},
		{"and no more", p, app("", "a keys:write"), "viewer", "b keys:read", "", "scope b, scope keys:read, role viewer"},
		{"a scope of the catalogue that is a permission", p, app("", "webhooks:read"), "", "webhooks:read webhooks:write", "", "scope webhooks:write"},
		{"where the policy declares no scopes too", free, app("", "x"), "developer", "x y keys:read *", "", "scope y, scope keys:read, scope *, role developer"},
		{"with everything it gives everything", p, app("", "*"), "account_admin", "* a keys:read", "", ""},
		{"a tier of the client and the person", p, app("", "a"), "", "", "pro", ""},
		{"one beyond the person's", p, app("", "a"), "", "", "business", "tier business"},
		{"one beyond the client's", p, app("free", "a"), "", "", "pro", "tier pro"},
		{"the default beyond the client's", p, app("free", "*"), "", "", "", "tier pro"},
		{"and beyond that of all clients", slowApps, app("", "*"), "", "", "", "tier pro"},
		{"which is within that of this one", slowApps, app("pro", "*"), "", "", "", ""},
		{"a client whose tier is gone is held to the narrowest", p, app("gone", "a"), "", "", "pro", "tier pro"},
		{"no policy at all", &Policy{}, person("", ""), "developer", "*", "enterprise", ""},
	} {
		if got := strings.Join(c.p.Exceeds(c.maker, c.role, strings.Fields(c.scopes), c.tier), ", "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTierIsWithinAnotherInEachNumber(t *testing.T) {
	number := rapid.SampledFrom([]int64{0, 1, 5, 9})
	tier := rapid.Custom(func(t *rapid.T) limit.Tier {
		return limit.Tier{
			RequestsPerMinute: number.Draw(t, "minute"), BurstPerSecond: number.Draw(t, "second"),
			Concurrent: number.Draw(t, "at once"), BandwidthPerMonth: number.Draw(t, "bytes"),
		}
	})
	endless := func(n int64) int64 {
		if n == 0 {
			return 1 << 62
		}
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := tier.Draw(t, "tier"), tier.Draw(t, "bound")
		want := endless(a.RequestsPerMinute) <= endless(b.RequestsPerMinute) && endless(a.BurstPerSecond) <= endless(b.BurstPerSecond) &&
			endless(a.Concurrent) <= endless(b.Concurrent) && endless(a.BandwidthPerMonth) <= endless(b.BandwidthPerMonth)
		if got := isWithin(a, b); got != want {
			t.Errorf("%+v within %+v: got %v", a, b, got)
		}
	})
}
