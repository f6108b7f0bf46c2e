package policy

import (
	"fmt"
	"strings"

	"wavegate/server/identity"
)

// AskFor returns what Decide and Explain want to know of a request: Match finds
// its route. Path is normalised.
func (p *Policy) AskFor(host, method, path string, webSocket bool) Ask {
	return Ask{Route: p.Match(host, path), Method: method, Path: path, WebSocket: webSocket}
}

// Explain tells, rule by rule, how Decide comes to its answer: who asks and why
// they hold what they hold, which route it is and why, and of every rule whether
// it lets the request pass. Rules behind the one that refuses are told too, so
// that one run shows all that is missing. The last line is the decision. It is
// for people; the wording may change.
func (p *Policy) Explain(who *identity.Principal, ask Ask) []string {
	if who == nil {
		who = &identity.Principal{}
	}
	d := p.Decide(who, ask)
	lines := p.ExplainCaller(who)
	lines = append(lines, p.explainRoute(ask)...)
	route := ask.Route
	if route == nil {
		route = &Route{}
	}
	for _, r := range p.rules(who, route, ask) {
		lines = append(lines, r.String())
	}
	if d.Allow || d.Reason != NoCredential {
		lines = append(lines, p.explainLimits(who, route)...)
	}
	end := fmt.Sprintf("decision: %s (%d)", d.Reason, d.Reason.Status())
	if len(d.Need) > 0 {
		end += ", needs " + strings.Join(d.Need, ", ")
	}
	return append(lines, end)
}

// ExplainCaller says who asks, without any secret, and what they hold and why: the
// first lines of Explain.
func (p *Policy) ExplainCaller(who *identity.Principal) []string {
	if who.Method == identity.MethodNone {
		return []string{"caller: nobody"}
	}
	name := who.Subject
	switch {
	case who.KeyID != "" && who.KeyID != who.Subject && who.Subject != "":
		name = who.KeyID + " of " + who.Subject
	case name == "":
		name = who.KeyID
	}
	lines := []string{strings.TrimSpace(fmt.Sprintf("caller: %s %s", who.Method, name))}
	for _, o := range p.Origins(who) {
		lines = append(lines, fmt.Sprintf("  %s: %s", o.Why, orNothing(o.Scopes)))
	}
	if len(who.Groups) > 0 {
		lines = append(lines, "  groups: "+strings.Join(who.Groups, ", "))
	}
	var may []string
	for _, what := range Permissions() {
		if p.May(who, what) {
			may = append(may, string(what))
		}
	}
	return append(lines, "  scopes in all: "+orNothing(who.Scopes), "  of the server's own API: "+orNothing(may))
}

// orNothing lists words, and says so where there are none.
func orNothing(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// explainRoute says which route serves the request, and before which others that
// would.
func (p *Policy) explainRoute(ask Ask) []string {
	route := ask.Route
	if route == nil {
		return []string{"route: none covers the request"}
	}
	host := "of any host"
	if route.Host != "" {
		host = "of " + route.Host
	}
	lines := []string{fmt.Sprintf("route: %s (%s): the longest prefix of the path among the routes %s", route.Name, route.Origin, host)}
	for _, other := range p.routes {
		if why := route.before(other, ask.Path); why != "" {
			lines = append(lines, fmt.Sprintf("  before %s (%s), %s", other.Name, other.Origin, why))
		}
	}
	return lines
}

// before says why r goes before another route that covers a path too; "" where
// that one does not come into question.
func (r *Route) before(other *Route, path string) string {
	var alone routeTable
	alone.add(&Route{Path: other.Path})
	if other == r || alone.any.find(path) == nil {
		return ""
	}
	suffix, pattern := strings.CutPrefix(other.Host, "*")
	_, parent, _ := strings.Cut(r.Host, ".")
	switch {
	case other.Host == r.Host:
		return "whose prefix is shorter"
	case other.Host == "":
		return "which is for any host"
	case pattern && suffix == "."+parent:
		return "whose host is a pattern"
	}
	return ""
}

// explainLimits says which tiers bound the caller.
func (p *Policy) explainLimits(who *identity.Principal, route *Route) []string {
	var lines []string
	say := func(whose string, tier string) {
		lines = append(lines, fmt.Sprintf("limits %s: %s", whose, tier))
	}
	switch {
	case who.Method == identity.MethodNone:
		say("of the address", tierText(p.AnonymousTier(route)))
		return lines
	case who.Method == identity.MethodAPIKey:
		say("of the key, beside its owner's", tierText(p.makerTier(who)))
	default:
		say("of the "+callerKind(who), tierText(p.UserTier(who)))
	}
	if who.OAuthClientID != "" {
		say("of the client", tierText(p.ClientTier(who.Tier)))
	}
	return lines
}

// callerKind names the account of a caller that is no API key.
func callerKind(who *identity.Principal) string {
	if isOfKey(who) {
		return "access key"
	}
	return "person"
}
