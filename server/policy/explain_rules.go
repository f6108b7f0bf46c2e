package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

// A told is one rule of a decision in words.
type told struct {
	text  string
	ok    bool // it lets the request pass
	aside bool // it decides nothing by itself
}

func (r told) String() string {
	switch {
	case r.aside:
		return r.text
	case r.ok:
		return r.text + ": passes"
	}
	return r.text + ": refuses"
}

// rules tells the rules in the order in which Decide asks them. The first that
// refuses is the decision.
func (p *Policy) rules(who *identity.Principal, route *Route, ask Ask) []told {
	all := []told{tellAccess(who, route), tellMethods(route, ask)}
	if route.Access == Public {
		return append(all, told{text: "require, scopes: not asked on a public route", aside: true})
	}
	all = append(all, tellRequire(who, route.Require)...)
	return append(all, p.tellScopes(who, route, ask)...)
}

// tellAccess tells what kind of credential the route wants.
func tellAccess(who *identity.Principal, route *Route) told {
	wants := "any valid credential will do"
	switch route.Access {
	case Public:
		wants = "nobody is asked who they are"
	case SignedIn:
		wants = "browser sessions"
	case Keys:
		wants = "access keys and API keys"
	}
	return told{text: fmt.Sprintf("access %s: %s", route.Access, wants), ok: decideAccess(who, route).Allow}
}

// tellMethods tells whether the route takes the method.
func tellMethods(route *Route, ask Ask) told {
	method := handshakeMethod(ask)
	if len(route.Methods) == 0 {
		return told{text: "methods: all", ok: true}
	}
	return told{text: fmt.Sprintf("methods %s: it is %s", strings.Join(route.Methods, ", "), method), ok: route.allowsMethod(method)}
}

// tellRequire tells what the route requires, and what of it is there.
func tellRequire(who *identity.Principal, need Require) []told {
	var all []told
	tell := func(what, how string, need []string, has func(string) bool, ok bool) {
		if len(need) == 0 {
			return
		}
		lacking := slices.DeleteFunc(slices.Clone(need), has)
		holds := slices.DeleteFunc(slices.Clone(need), func(s string) bool { return slices.Contains(lacking, s) })
		all = append(all, told{text: fmt.Sprintf("require %s %s (%s): has %s, lacks %s",
			what, strings.Join(need, ", "), how, orNothing(holds), orNothing(lacking)), ok: ok})
	}
	tell("scopes", "all of them", need.Scopes, who.HasScope, !slices.ContainsFunc(need.Scopes, func(s string) bool { return !who.HasScope(s) }))
	tell("roles", "one of them", need.Roles, func(s string) bool { return slices.Contains(who.Roles, s) }, haveCommon(need.Roles, who.Roles))
	tell("groups", "one of them", need.Groups, func(s string) bool { return slices.Contains(who.Groups, s) }, haveCommon(need.Groups, who.Groups))
	return all
}

// tellScopes tells which endpoints cover the request, and what follows.
func (p *Policy) tellScopes(who *identity.Principal, route *Route, ask Ask) []told {
	if isOAuth(who) && len(who.Scopes) == 0 {
		return []told{{text: "scopes: an app's token without any opens nothing"}}
	}
	if len(p.scopes) == 0 {
		return []told{{text: "scopes: the policy declares none", ok: true}}
	}
	all := p.tellEndpoints(ask)
	if who.HasScope(identity.ScopeAll) {
		return append(all, told{text: `scopes: the caller holds "*", which covers everything`, ok: true})
	}
	need := p.endpoints.lookup(ask)
	if need == nil {
		all = append(all, tellUnlisted(who, route, ask))
	} else {
		held := slices.DeleteFunc(slices.Clone(need), func(s string) bool { return !who.HasScope(s) })
		all = append(all, told{text: fmt.Sprintf("scopes %s (one of them): has %s", strings.Join(need, ", "), orNothing(held)), ok: len(held) > 0})
	}
	return append(all, p.tellReadings(ask, need)...)
}

// tellEndpoints tells which endpoints cover the request best.
func (p *Policy) tellEndpoints(ask Ask) []told {
	var numbers endpointTable
	for i, e := range p.listed {
		numbers.add(e.endpoint, strconv.Itoa(i))
	}
	var all []told
	for _, n := range numbers.lookup(ask) {
		i, _ := strconv.Atoi(n)
		e := p.listed[i]
		all = append(all, told{text: fmt.Sprintf("endpoint %q of scope %s (%s) covers the request", e.text, e.scope, e.origin), aside: true})
	}
	return all
}

// tellUnlisted tells what becomes of a request that no endpoint covers.
func tellUnlisted(who *identity.Principal, route *Route, ask Ask) told {
	const none = "unlisted: no endpoint covers the request"
	switch {
	case route.AllowUnlisted:
		return told{text: none + ", and the route says unlisted: allow", ok: true}
	case who.Method != identity.MethodSession:
		return told{text: none + `, so keys and tokens need "*"`}
	case isOdd(ask.Path):
		return told{text: none + `, but its path can be read in more than one way, so "*" is needed`}
	}
	return told{text: none + ", and a browser session may", ok: true}
}

// tellReadings tells which other endpoints an upstream may see in an odd path.
func (p *Policy) tellReadings(ask Ask, need []string) []told {
	var all []told
	seen := map[string]bool{ask.Path: true}
	for ask.Path = range Readings(ask.Path) {
		other := p.endpoints.lookup(ask)
		if seen[ask.Path] || other == nil {
			continue
		}
		seen[ask.Path] = true
		if slices.Equal(other, need) {
			all = append(all, told{text: fmt.Sprintf("path: read as %s it needs the same", ask.Path), ok: true})
			continue
		}
		all = append(all, told{text: fmt.Sprintf(`path: an upstream may read it as %s, which needs one of %s, so "*" is needed`, ask.Path, strings.Join(other, ", "))})
	}
	return all
}

// tierText writes a tier out.
func tierText(t limit.Tier) string {
	if t.Unlimited() {
		return "tier " + t.Name + ", which bounds nothing"
	}
	var bounds []string
	for _, b := range []struct {
		n    int64
		unit string
	}{{t.RequestsPerMinute, "requests a minute"}, {t.BurstPerSecond, "in a second"}, {t.Concurrent, "at once"}} {
		if b.n > 0 {
			bounds = append(bounds, fmt.Sprintf("%d %s", b.n, b.unit))
		}
	}
	if t.BandwidthPerMonth > 0 {
		bounds = append(bounds, sizeText(t.BandwidthPerMonth)+" a month")
	}
	return fmt.Sprintf("tier %s: %s", t.Name, strings.Join(bounds, ", "))
}
