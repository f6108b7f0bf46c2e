package policy

import (
	"fmt"
	"net/http"
	"strings"
)

// endpointUse is an endpoint with its scope and place.
type endpointUse struct {
	endpoint
	word  word
	scope string
}

// listedEndpoint is an endpoint as the file lists it.
type listedEndpoint struct {
	endpoint
	text, scope string
	origin      string // "policy.yaml:12"
}

// compileEndpoints builds the table of endpoints and checks that each request
// has one best match and that each endpoint can be enforced.
func (c *compiler) compileEndpoints() {
	mux := http.NewServeMux()
	seen := map[string]bool{}
	var placed []endpointUse
	for _, e := range c.endpoints {
		if len(c.problems) >= maxProblems {
			return // what comes is not shown, and conflicts are slow to find
		}
		c.policy.endpoints.add(e.endpoint, e.scope)
		c.policy.listed = append(c.policy.listed, listedEndpoint{e.endpoint, e.word.text, e.scope, c.origin(e.word.node)})
		c.checkEnforced(e)
		if seen[e.pattern()] {
			continue // any of the scopes suffices
		}
		seen[e.pattern()] = true
		if conflicts(mux, e.pattern()) {
			c.fail(e.word.node, "endpoint %q conflicts with %s: some paths match both and neither is more specific; make one of them narrower",
				e.word.text, rival(e, placed))
			continue
		}
		placed = append(placed, e)
	}
}

// conflicts registers a pattern and reports whether ServeMux refuses it
// because of one that it has: neither is more specific than the other.
func conflicts(mux *http.ServeMux, pattern string) (refused bool) {
	defer func() { refused = recover() != nil }()
	mux.Handle(pattern, http.NotFoundHandler())
	return false
}

// rival names the endpoint that e conflicts with.
func rival(e endpointUse, placed []endpointUse) string {
	for _, other := range placed {
		mux := http.NewServeMux()
		if !conflicts(mux, other.pattern()) && conflicts(mux, e.pattern()) {
			return fmt.Sprintf("%q of scope %s", other.word.text, other.scope)
		}
	}
	return "one before it"
}

// checkEnforced refuses an endpoint that only a public route can serve: its
// scope would look like a guard and be none.
func (c *compiler) checkEnforced(e endpointUse) {
	sample := e.sample()
	open := c.policy.table.any.find(sample)
	if open == nil || open.Access != Public {
		return
	}
	for _, r := range c.policy.routes {
		if r.Access != Public && e.mayServe(r.Path) {
			return
		}
	}
	for _, rule := range c.policy.keys {
		for _, route := range rule.register {
			if e.mayServe(strings.TrimSuffix(route, "/*")) {
				return
			}
		}
	}
	c.fail(e.word.node, "endpoint %q guards nothing: the public route %s (%s) serves it and asks nobody for scopes; add a route for it with another access", e.word.text, open.Name, open.Origin)
}

// sample returns a path that the endpoint matches and, if it can be, no more
// specific route does: no route has a segment that begins with a colon.
func (e endpoint) sample() string {
	var b strings.Builder
	for _, s := range e.segments {
		b.WriteByte('/')
		switch s.kind {
		case literal:
			b.WriteString(s.literal)
		case wildcard, tail:
			b.WriteByte(':')
		}
	}
	return b.String()
}

// mayServe reports whether a route with the prefix can get a request that the
// endpoint matches.
func (e endpoint) mayServe(prefix string) bool {
	if prefix == "/" || prefix == "" {
		return true
	}
	i := 0
	for part := range strings.SplitSeq(prefix[1:], "/") {
		if i == len(e.segments) {
			return false
		}
		switch s := e.segments[i]; {
		case s.kind == tail:
			return true
		case s.kind == slash || s.kind == literal && s.literal != part:
			return false
		}
		i++
	}
	return true
}
