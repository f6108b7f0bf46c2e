package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/server/identity"
)

// slowPolicy is a policy as plain data, which slowDecide reads.
type slowPolicy struct {
	routes    []slowRoute         // the first is "/"
	scopes    map[string][]string // the catalogue: scope → endpoints
	roles     []slowRole
	keys      map[string]slowHolding // access_keys
	issuer    slowHolding            // of the one trusted issuer; scopes are those of its role
	claims    bool                   // the issuer's tokens may claim scopes
	noCatalog bool                   // the file declares no scopes
}

type slowRoute struct {
	path     string
	access   Access
	require  Require
	unlisted bool
	methods  []string
}

type slowRole struct {
	name                    string
	scopes, members, groups []string
	tier                    string
}

// slowHolding is what a rule gives, and what a caller has in the end.
type slowHolding struct{ scopes, roles []string }

// slowCaller is somebody who asks, as the credential shows them.
type slowCaller struct {
	kind   string // "", "access key", "person", "API key", "issued", "app"
	id     string // of the access key or the person
	email  string
	groups []string
	role   string   // of the API key's record
	scopes []string // of the API key's record, that the issuer's token claims, or of the app's access token
}

// list writes words as a YAML list.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + w + `"`
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// text renders the policy file.
func (s slowPolicy) text() string {
	var b strings.Builder
	b.WriteString("upstreams:\n")
	for _, r := range s.routes {
		fmt.Fprintf(&b, "  - {route: %s, url: http://u, access: %s", r.path, r.access)
		if r.access != Public {
			fmt.Fprintf(&b, ", unlisted: %s, require: {scopes: %s, roles: %s, groups: %s}", map[bool]string{true: "allow", false: "deny"}[r.unlisted],
				list(r.require.Scopes), list(r.require.Roles), list(r.require.Groups))
		}
		if len(r.methods) > 0 {
			fmt.Fprintf(&b, ", methods: %s", list(r.methods))
		}
		b.WriteString("}\n")
	}
	if !s.noCatalog {
		b.WriteString("scopes:\n")
		for _, scope := range slices.Sorted(maps.Keys(s.scopes)) {
			fmt.Fprintf(&b, "  %q: {endpoints: %s}\n", scope, list(s.scopes[scope]))
		}
	}
	b.WriteString("tiers: {small: {requests_per_minute: 10}, large: {requests_per_minute: 100, concurrent: 5}}\nroles:\n")
	for _, r := range s.roles {
		fmt.Fprintf(&b, "  %s: {scopes: %s, members: %s, groups: %s", r.name, list(r.scopes), list(r.members), list(r.groups))
		if r.tier != "" {
			b.WriteString(", tier: " + r.tier)
		}
		b.WriteString("}\n")
	}
	b.WriteString("access_keys:\n  K9: {scopes: []}\n")
	for id, rule := range s.keys {
		fmt.Fprintf(&b, "  %s: {scopes: %s, roles: %s}\n", id, list(rule.scopes), list(rule.roles))
	}
	b.WriteString("issuers:\n  - {issuer: https://i.example, audience: w, name: i")
	if len(s.issuer.roles) > 0 {
		b.WriteString(", role: " + s.issuer.roles[0])
	}
	if s.claims {
		b.WriteString(", scope_claim: scope")
	}
	b.WriteString("}\n")
	return b.String()
}

// role returns what a role of the name gives; a built-in one gives its name, and
// one that there is not gives nothing.
func (s slowPolicy) role(name string) slowHolding {
	for _, r := range s.roles {
		if r.name == name {
			return slowHolding{r.scopes, []string{name}}
		}
	}
	if name == "viewer" || name == "developer" || name == "account_admin" || name == "trial" {
		return slowHolding{nil, []string{name}}
	}
	return slowHolding{}
}

// exists reports whether a scope counts that was written down elsewhere.
func (s slowPolicy) exists(scope string) bool {
	_, declared := s.scopes[scope]
	return s.noCatalog || declared || scope == "*" || scope == "keys:write" || scope == "webhooks:read" || scope == "audit:read"
}

// holds reads the rules of who holds what, one after the other.
func (s slowPolicy) holds(c slowCaller) slowHolding {
	var h slowHolding
	add := func(from slowHolding) {
		h.scopes, h.roles = append(h.scopes, from.scopes...), append(h.roles, from.roles...)
	}
	switch c.kind {
	case "access key":
		rule, named := s.keys[c.id]
		h.scopes = slices.Clone(rule.scopes)
		for _, r := range s.roles {
			if slices.Contains(r.members, c.id) || slices.Contains(rule.roles, r.name) {
				add(s.role(r.name))
				named = true
			}
		}
		if !named {
			h.scopes = []string{"*"}
		}
	case "person":
		for _, r := range s.roles {
			in := slices.ContainsFunc(r.groups, func(g string) bool { return slices.Contains(c.groups, g) })
			if in || slices.Contains(r.members, c.id) || slices.Contains(r.members, c.email) {
				add(s.role(r.name))
			}
		}
	case "API key":
		add(s.role(c.role))
		for _, scope := range c.scopes {
			if s.exists(scope) {
				h.scopes = append(h.scopes, scope)
			}
		}
	case "app":
		for _, scope := range c.scopes {
			if s.exists(scope) && scope != "openid" {
				h.scopes = append(h.scopes, scope)
			}
		}
	case "issued":
		add(s.issuer)
		for _, scope := range c.scopes {
			if s.claims && s.exists(scope) && scope != "*" {
				h.scopes = append(h.scopes, scope)
			}
		}
	}
	return h
}

// route returns the route with the longest prefix.
func (s slowPolicy) route(path string) slowRoute {
	found := s.routes[0]
	for _, r := range s.routes[1:] {
		if (path == r.path || strings.HasPrefix(path, r.path+"/")) && len(r.path) > len(found.path) {
			found = r
		}
	}
	return found
}

// decide reads the rules of who may do what, one after the other. It asks
// ServeMux which endpoint is the most specific.
func (s slowPolicy) decide(c slowCaller, method, path string, ws bool) bool {
	r, h := s.route(path), s.holds(c)
	has := func(scope string) bool { return slices.Contains(h.scopes, scope) || slices.Contains(h.scopes, "*") }
	takes := func(m string) bool { return len(r.methods) == 0 || slices.Contains(r.methods, m) }
	m := method
	if ws {
		m = "GET"
	}
	if !takes(m) && (m != "HEAD" || !takes("GET")) {
		return false
	}
	switch {
	case r.access == Public:
		return true
	case c.kind == "",
		r.access == SignedIn && c.kind != "person",
		r.access == Keys && c.kind != "access key" && c.kind != "API key":
		return false
	}
	for _, scope := range r.require.Scopes {
		if !has(scope) {
			return false
		}
	}
	if len(r.require.Roles) > 0 && !haveCommon(r.require.Roles, h.roles) || len(r.require.Groups) > 0 && !haveCommon(r.require.Groups, c.groups) {
		return false
	}
	if ws {
		method = "WS"
	}
	if c.kind == "app" && len(h.scopes) == 0 {
		return false
	}
	return s.noCatalog || has("*") || s.covers(method, path, has, c.kind == "person" || r.unlisted)
}

// covers reads the rule of scopes: one of those whose endpoints match best, or,
// where none does, what unlisted says.
func (s slowPolicy) covers(method, path string, has func(string) bool, unlisted bool) bool {
	var patterns []string
	owners := map[string][]string{}
	for scope, endpoints := range s.scopes {
		for _, text := range endpoints {
			e, _ := parseEndpoint(text)
			patterns = append(patterns, e.pattern())
			owners[e.pattern()] = append(owners[e.pattern()], scope)
		}
	}
	slices.Sort(patterns)
	best := muxPattern(slices.Compact(patterns), method, path)
	if best == "" {
		return unlisted
	}
	return slices.ContainsFunc(owners[best], has)
}

func TestDecideAgainstASlowReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawPolicy(t)
		p, c := compileDrawn(t, s), drawCaller(t)
		who := c.principal(p)
		for range 8 {
			ask := drawAsk(t, p)
			got, want := p.Decide(who, ask), s.decide(c, ask.Method, ask.Path, ask.WebSocket)
			if got.Allow != want || got.Allow != (got.Reason == Allowed) {
				t.Errorf("%+v %s %s (ws %v): got %+v, want %v with\n%s", c, ask.Method, ask.Path, ask.WebSocket, got, want, s.text())
			}
			told := strings.Join(p.Explain(who, ask), "\n")
			if refused := strings.Contains(told, ": refuses\n"); refused == got.Allow {
				t.Errorf("it is %+v, and explained as\n%s", got, told)
			}
		}
	})
}

// TestNobodyMintsMoreThanTheyHold: what Exceeds finds nothing wrong with gives a
// key that opens no route to which its maker has no way, and may do nothing with
// the server's own API that the maker may not. Makers with "*" hold all there is
// to give.
func TestNobodyMintsMoreThanTheyHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawPolicy(t)
		p := compileDrawn(t, s)
		for range 4 {
			maker := drawCaller(t).principal(p)
			role := rapid.SampledFrom([]string{"", "", "r", "q", "viewer", "developer", "account_admin", "trial"}).Draw(t, "new role")
			scopes := drawScopes(t, "new", "s0", "e0", "e1", "e2", "webhooks:read", "keys:write", "audit:read")
			if len(p.Exceeds(maker, role, scopes, "")) > 0 {
				continue
			}
			key := &identity.Principal{Method: identity.MethodAPIKey, KeyID: "key_2"}
			p.GrantKey(key, role, scopes)
			checkMinted(t, s, p, maker, key)
		}
	})
}

// checkMinted holds what a key may against what its maker may.
func checkMinted(t *rapid.T, s slowPolicy, p *Policy, maker, key *identity.Principal) {
	if maker.HasScope("*") {
		return
	}
	if maker == nil {
		t.Fatalf("nobody made %+v", key)
	}
	for range 6 {
		ask := drawAsk(t, p)
		if ask.Route.Access != Keys && p.Decide(key, ask).Allow && !p.Decide(maker, ask).Allow {
			t.Errorf("%+v may not %+v, but its key %+v may, with\n%s", maker, ask, key, s.text())
		}
	}
	for _, what := range Permissions() {
		if p.May(key, what) && !p.May(maker, what) && (!s.noCatalog || isIssued(maker)) {
			t.Errorf("%+v may not %s, but its key %+v may, with\n%s", maker, what, key, s.text())
		}
	}
}
