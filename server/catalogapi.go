package server

import (
	"net/http"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/webhook"
)

// A catalogView is what a caller can choose from when they make keys, clients and
// webhooks.
type catalogView struct {
	Scopes       []catalogScope  `json:"scopes"`
	Roles        []catalogRole   `json:"roles"`
	Tiers        []catalogTier   `json:"tiers"`
	Environments []string        `json:"environments"`
	Events       []string        `json:"events"`
	Defaults     catalogDefaults `json:"defaults"`
}

type catalogScope struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Risk        *string  `json:"risk"`      // null: the policy does not say
	Endpoints   []string `json:"endpoints"` // of the apps behind, as the policy names them
	OfServer    bool     `json:"of_server"` // allows calls of this API; the others are for the apps behind
	MayGive     bool     `json:"may_give"`
}

type catalogRole struct {
	Name        string              `json:"name"`
	Scopes      []string            `json:"scopes"`
	Permissions []policy.Permission `json:"permissions"`
	MayGive     bool                `json:"may_give"`
}

type catalogTier struct {
	tierView
	MayGive bool `json:"may_give"`
}

// A tierView is a tier as the API shows it. What it does not bound is null.
type tierView struct {
	Name              string `json:"name"`
	RequestsPerMinute *int64 `json:"requests_per_minute"`
	BurstPerSecond    *int64 `json:"burst_per_second"`
	Concurrent        *int64 `json:"concurrent"`
	BandwidthPerMonth *int64 `json:"bandwidth_per_month"` // bytes
}

func viewTier(t *limit.Tier) tierView {
	return tierView{t.Name, orNull(t.RequestsPerMinute), orNull(t.BurstPerSecond), orNull(t.Concurrent), orNull(t.BandwidthPerMonth)}
}

// catalogDefaults are what a new key has where nothing is said. They are null where
// it has nothing.
type catalogDefaults struct {
	Role    *string `json:"role"`
	Expires *int64  `json:"expires_in_days"` // rounded up
}

func viewDefaults(d policy.Defaults) catalogDefaults {
	const day = 24 * time.Hour
	return catalogDefaults{orNull(d.Role), orNull(int64((d.KeyLifetime + day - 1) / day))}
}

// getCatalog tells a caller what there is to choose from, and what of it they may
// give to a key of theirs.
func (s *Server) getCatalog(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadStatus)
	if err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, viewCatalog(c, s.state.Load().policy))
}

// viewCatalog judges each entry by itself, as keyService.beyond and
// clientService.beyond do: an entry may be given where making a key with it, beside
// others that may be given, is not refused.
func viewCatalog(c *apiCaller, rules *policy.Policy) catalogView {
	can := func(what policy.Permission) bool { return mayMake(c) == nil && (c.admin || rules.May(c.who, what)) }
	keys := can(policy.WriteKeys)
	scopes := keys || can(policy.WriteClients)
	v := catalogView{Environments: environmentsFor(c.key), Events: webhook.Types(), Defaults: viewDefaults(rules.Defaults())}
	for i, scope := range rules.GivableScopes() {
		v.Scopes = append(v.Scopes, catalogScope{
			scope.Name, scope.Description, orNull(scope.Risk), append([]string{}, scope.Endpoints...), i >= len(rules.Scopes()), scopes && rules.MayGive(c.who, scope.Name),
		})
	}
	for _, role := range rules.Roles() {
		v.Roles = append(v.Roles, catalogRole{
			role.Name, append([]string{}, role.Scopes...), role.Permissions, keys && rules.MayGiveRole(c.who, role.Name),
		})
	}
	for _, tier := range rules.Tiers() {
		_, within := rules.MayGiveTier(c.who, "", tier.Name)
		v.Tiers = append(v.Tiers, catalogTier{viewTier(&tier), keys && within})
	}
	return v
}

// environmentsFor are the environments of keys that a caller may make; see
// beyondEnvironment.
func environmentsFor(key *apikey.Record) []string {
	if key != nil {
		return []string{string(key.Environment)}
	}
	return []string{string(apikey.Live), string(apikey.Test), string(apikey.Dev)}
}
