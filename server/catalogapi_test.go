package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/policy"
	"wavegate/server/webhook"
)

const catalogPath = "/v1/auth/catalog"

// catalogPolicy has something of everything that a key can have or lack.
const catalogPolicy = `
upstreams:
  - {route: /, url: "static://204"}
  - {route: /vault, url: "static://204", require: {roles: [guard]}}
scopes:
  streams:read: {description: Look at streams, risk: low, endpoints: [GET /v1/streams]}
  streams:write: {endpoints: [POST /v1/streams]}
  webhooks:read: {risk: medium, endpoints: [GET /v1/hooks]}
roles:
  reader: {scopes: [streams:read]}
  guard: {scopes: []}
  fast: {scopes: [streams:read], tier: business}
  viewer: {scopes: [streams:read], members: ["key:watcher"]}
  editor: {scopes: [streams:read, streams:write], members: ["local|ann"]}
access_keys:
  narrow: {scopes: [streams:read]}
  nobody: {scopes: []}
  apps: {scopes: [streams:read, clients:write], roles: [viewer]}
tiers:
  small: {requests_per_minute: 5000}
  people: {requests_per_minute: 9000, concurrent: 5, bandwidth_per_month: 1GB}
defaults: {user_tier: people, role: reader, key_lifetime: 36h}
trial: {enabled: true}
`

func catalogServer(t *testing.T) *managed {
	t.Helper()
	return manage(t, withKeys(t, "root:secret", "all:secret", "narrow:secret", "nobody:secret", "watcher:secret", "apps:secret"),
		withUsers(t), withPolicy(t, catalogPolicy), func(c *Config) { c.Admins = []string{"key:root"} })
}

func (m *managed) catalog(credential []string) (v catalogView) {
	m.t.Helper()
	a := m.call("GET", catalogPath, "", credential...).want(m.t, 200, "")
	must(m.t, json.Unmarshal([]byte(a.body), &v))
	return v
}

// TestWhatTheCatalogSaysMayBeGivenIsWhatKeysAreMadeWith asks the catalog, and then
// makes a key with each entry, as everybody who can.
func TestWhatTheCatalogSaysMayBeGivenIsWhatKeysAreMadeWith(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	key := func(body string) []string { return by(m.makeKey("root", body).Key) }
	makers := map[string][]string{
		"an administrator": by("root"), "an access key": by("all"), "one that is bound": by("narrow"), "one with nothing": by("nobody"),
		"a viewer": by("watcher"), "who makes clients alone": by("apps"), "a person": by(ann.token()),
		"a key with everything":       key(`{"name":"k","scopes":["*"]}`),
		"a developer's":               key(`{"name":"k","scopes":["streams:read"],"role":"developer"}`),
		"a slow one":                  key(`{"name":"k","scopes":["*"],"rate_limit_tier":"small"}`),
		"one whose role has the tier": key(`{"name":"k","scopes":["keys:write","status:read"],"role":"fast"}`),
		"one for tests":               key(`{"name":"k","scopes":["*"],"environment":"test"}`),
		"one that is counted":         key(`{"name":"k","scopes":["*"],"ops_limit":1000}`),
		"one that cannot make keys":   key(`{"name":"k","scopes":["status:read","streams:read"]}`),
	}
	for who, credential := range makers {
		t.Run(who, func(t *testing.T) {
			v := m.catalog(credential)
			tier := ""
			for _, x := range v.Tiers {
				if x.MayGive {
					tier = x.Name
				}
			}
			given, env := 0, v.Environments[0]
			check := func(what string, may bool, fields string) {
				t.Helper()
				if may {
					given++
				}
				m.wantMade(t, what, may, credential, `{"name":"x","environment":"`+env+`",`+fields+`}`)
			}
			for _, x := range v.Tiers {
				check("tier "+x.Name, x.MayGive, `"scopes":[],"rate_limit_tier":"`+x.Name+`"`)
			}
			for _, x := range v.Roles {
				check("role "+x.Name, x.MayGive, `"role":"`+x.Name+`","rate_limit_tier":"`+withTier(tier)+`"`)
			}
			for _, x := range v.Scopes {
				if who == "who makes clients alone" {
					m.wantClient(t, x.MayGive, credential, x.Name)
					continue
				}
				check("scope "+x.Name, x.MayGive, `"scopes":["`+x.Name+`"],"rate_limit_tier":"`+withTier(tier)+`"`)
			}
			for _, name := range []string{"live", "test", "dev"} {
				if tier != "" {
					m.wantMade(t, name, slices.Contains(v.Environments, name), credential, `{"name":"x","environment":"`+name+`","scopes":[],"rate_limit_tier":"`+tier+`"}`)
				}
			}
			nothing := slices.Contains([]string{"a viewer", "who makes clients alone", "one that is counted", "one that cannot make keys"}, who)
			if (given == 0) != nothing {
				t.Errorf("%d entries may be given", given)
			}
		})
	}
}

// withTier is a tier to make keys with, also for those who may give none.
func withTier(tier string) string {
	if tier == "" {
		return "free"
	}
	return tier
}

func (m *managed) wantMade(t *testing.T, what string, may bool, credential []string, body string) {
	t.Helper()
	a := m.call("POST", "/v1/auth/keys", body, credential...)
	if made := a.StatusCode == 201; made != may || !made && a.StatusCode != 403 {
		t.Errorf("%s: may_give is %v, and making a key with it: %d %s", what, may, a.StatusCode, a.body)
	}
}

func (m *managed) wantClient(t *testing.T, may bool, credential []string, scope string) {
	t.Helper()
	a := m.call("POST", clientsPath, `{"name":"x","redirect_uris":["https://app.example/back"],"scopes":["`+scope+`"]}`, credential...)
	if made := a.StatusCode == 201; made != may || !made && a.StatusCode != 403 {
		t.Errorf("%s: may_give is %v, and making a client with it: %d %s", scope, may, a.StatusCode, a.body)
	}
}

func TestCatalogTellsWhatThePolicySays(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	v := m.catalog(by("narrow"))
	low := "low"
	if diff := cmp.Diff(catalogScope{"streams:read", "Look at streams", &low, []string{"GET /v1/streams"}, false, true}, v.Scopes[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := v.Scopes[1]; s.Name != "streams:write" || s.Risk != nil || s.MayGive {
		t.Errorf("got %+v", s)
	}
	if last := v.Scopes[len(v.Scopes)-1]; last.Name != "*" || last.MayGive || *last.Risk != "high" {
		t.Errorf("got %+v", last)
	}
	var roles []string
	for _, r := range v.Roles {
		roles = append(roles, r.Name)
		if r.Name == "viewer" && !slices.Equal(r.Permissions, []policy.Permission{policy.ReadKeys, policy.ReadUsage, policy.ReadStatus}) {
			t.Errorf("viewer may %v", r.Permissions)
		}
	}
	if want := "reader guard fast viewer editor developer account_admin trial"; strings.Join(roles, " ") != want {
		t.Errorf("roles %v, want %s", roles, want)
	}
	for _, tier := range v.Tiers {
		if tier.Name == "people" && (*tier.RequestsPerMinute != 9000 || tier.BurstPerSecond != nil || *tier.Concurrent != 5 || *tier.BandwidthPerMonth != 1<<30) {
			t.Errorf("got %+v", tier)
		}
	}
	if !slices.Equal(v.Events, webhook.Types()) || !slices.Equal(v.Environments, []string{"live", "test", "dev"}) {
		t.Errorf("events %v, environments %v", v.Events, v.Environments)
	}
	if d := v.Defaults; *d.Role != "reader" || *d.Expires != 2 {
		t.Errorf("defaults %+v", d)
	}
	bare := manage(t).catalog([]string{"Authorization", basic("ann", "secret")})
	if d := bare.Defaults; d.Role != nil || d.Expires != nil {
		t.Errorf("defaults of a policy without any: %+v", d)
	}
}

func TestCatalogIsForWhoMayReadStatus(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	m.call("GET", catalogPath, "").want(t, 401, "credential_required")
	m.call("GET", catalogPath, "", by(m.makeKey("root", `{"name":"k","scopes":["keys:read"]}`).Key)...).want(t, 403, "insufficient_scope")
	m.call("GET", catalogPath, "", by(m.makeKey("root", `{"name":"k","scopes":["status:read"]}`).Key)...).want(t, 200, "")
}

func TestStatusTellsWhoOneIsAndWhatOneMayDo(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	of := func(credential []string) callerView {
		t.Helper()
		var v statusView
		must(t, json.Unmarshal([]byte(m.call("GET", "/v1/auth/status", "", credential...).want(t, 200, "").body), &v))
		return v.Caller
	}
	named := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	user := m.allUsers()[0]
	made := madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"k","scopes":["status:read","keys:read"],"environment":"live"}`))
	developer := "keys:read keys:write usage:read status:read webhooks:read webhooks:write clients:read clients:write"
	for what, tt := range map[string]struct {
		credential           []string
		username, user, mays string
	}{
		"an administrator": {by("root"), "root", "null", joined(policy.Permissions())},
		"a viewer":         {by("watcher"), "watcher", "null", "keys:read usage:read status:read"},
		"a person":         {by(ann.token()), "ann", user, developer},
		"a person's key":   {by(made.Key), "null", user, "keys:read status:read"},
	} {
		got := of(tt.credential)
		if named(got.Username) != tt.username || named(got.UserID) != tt.user || joined(got.Permissions) != tt.mays {
			t.Errorf("%s: got %s, %s, %v", what, named(got.Username), named(got.UserID), got.Permissions)
		}
	}
}

func joined(list []policy.Permission) string {
	var words []string
	for _, p := range list {
		words = append(words, string(p))
	}
	return strings.Join(words, " ")
}

// allUsers are the IDs of all who signed in.
func (ts *testServer) allUsers() (ids []string) {
	ts.t.Helper()
	list, err := ts.store.Users(ts.t.Context(), "", 100)
	must(ts.t, err)
	for i := range list {
		ids = append(ids, list[i].ID)
	}
	return ids
}
