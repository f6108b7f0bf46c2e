package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readUpstreams reads the section upstreams: the routes.
func (c *compiler) readUpstreams(n *yaml.Node) {
	if !c.kind(n, yaml.SequenceNode, "upstreams", "a list of routes") {
		return
	}
	for _, item := range n.Content {
		c.readUpstream(item)
	}
}

// readUpstream reads one route. A route whose target is bad still takes its
// place, so that an overlap is found in the same run.
func (c *compiler) readUpstream(n *yaml.Node) {
	o := c.object(n, "an upstream",
		"route", "url", "access", "anonymous_tier", "require", "identity_headers", "tokens", "unlisted", "strip_prefix", "pass_host",
		"methods", "timeout", "idle_timeout", "max_request_size", "allow_in_path", "response_headers", "cors", "tls")
	if o.fields["route"] == nil && o.fields["url"] == nil && n.Kind != yaml.MappingNode {
		return
	}
	route, placed := c.readPlace(o)
	route.Origin = c.origin(n)
	c.readAccess(o, &route)
	c.readForwarding(o, &route)
	c.readLimits(o, &route)
	if m := o.fields["response_headers"]; m != nil {
		route.ResponseHeaders = c.readResponseHeaders(m)
	}
	if m := o.fields["cors"]; m != nil {
		route.CORS = c.readCORS(m)
		c.checkCORSHeaders(o, &route)
	}
	if m := o.fields["tls"]; m != nil {
		route.TLS = c.readTLS(m)
	}
	c.checkEffect(o, &route)
	if placed {
		c.routes = append(c.routes, fileRoute{&route, n})
	}
}

// readPlace reads where a route is and where it goes. It reports whether the
// route has a place; its target may be nil.
func (c *compiler) readPlace(o object) (route Route, placed bool) {
	host, path := "", "/"
	switch s := o.text("route"); {
	case s != "":
		var err error
		host, path, err = parsePlace(s)
		if err == nil && Reserved(path) {
			err = reservedError(path)
		}
		if placed = err == nil; !placed {
			c.fail(o.fields["route"], "%v", err)
		}
	case !o.has("route"):
		c.fail(o.node, `an upstream needs a route: a host, a path prefix or both; "/" is all`)
	}
	if !o.has("url") {
		c.fail(o.node, "an upstream needs a url: http, https, h2c, file or static")
	}
	return newRoute(host, path, parsed(o, "url", nil, parseTarget)), placed
}

// readAccess reads who may use the route.
func (c *compiler) readAccess(o object, route *Route) {
	route.Access = choice(o, "access",
		[]string{"public", "authenticated", "signed-in", "keys"}, []Access{Public, Authenticated, SignedIn, Keys})
	route.AllowUnlisted = choice(o, "unlisted", []string{"deny", "allow"}, []bool{false, true})
	route.Methods = c.methods(o, "methods")
	route.AnonymousTier = c.useOne("tier", o, "anonymous_tier")
	if n := o.fields["require"]; n != nil {
		route.Require = c.readRequire(n)
	}
	if route.Access != Public && o.has("anonymous_tier") {
		c.fail(o.fields["anonymous_tier"], "anonymous_tier would do nothing: only a public route counts addresses; set access: public, or leave it out")
	}
	switch {
	case route.Access == Public && !route.Require.Empty():
		c.fail(o.fields["require"], "require has no effect on a public route: choose another access")
	case route.Access == Public && o.has("unlisted"):
		c.fail(o.fields["unlisted"], "unlisted has no effect on a public route: leave it out")
	case route.Access == Keys && len(route.Require.Groups) > 0:
		c.fail(o.fields["require"], "keys have no groups, so nobody could use this route: require roles or scopes instead")
	}
}

// readRequire reads what a caller must have.
func (c *compiler) readRequire(n *yaml.Node) Require {
	o := c.object(n, "require", "scopes", "roles", "groups")
	r := Require{Scopes: c.use("scope", o.list("scopes")), Roles: c.use("role", o.list("roles"))}
	r.Groups = c.groups(o)
	return r
}

// groups reads the names of groups. They are compared literally, so what
// looks like a pattern would match nobody.
func (c *compiler) groups(o object) []string {
	words := o.list("groups")
	for _, w := range words {
		if strings.ContainsAny(w.text, "*?") {
			c.fail(w.node, "group %q: groups are compared letter by letter, wildcards match nothing; name each group", w.text)
		}
	}
	return texts(words)
}

// methods reads a list of HTTP methods and adds HEAD to GET.
func (c *compiler) methods(o object, name string) []string {
	words := o.list(name)
	if n := o.fields[name]; n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		c.fail(n, "%s is empty: leave it out, or name the methods", name)
	}
	for _, w := range words {
		if err := checkMethod(w.text); err != nil {
			c.fail(w.node, "%s: %v", name, err)
		}
	}
	methods := texts(words)
	if i := slices.Index(methods, "GET"); i >= 0 && !slices.Contains(methods, "HEAD") {
		methods = slices.Insert(methods, i+1, "HEAD")
	}
	return methods
}

// readForwarding reads what is passed on, and how.
func (c *compiler) readForwarding(o object, route *Route) {
	route.Tokens = o.boolean("tokens", false)
	route.StripPrefix = o.boolean("strip_prefix", route.StripPrefix)
	route.PassHost = o.boolean("pass_host", true)
	if o.has("identity_headers") {
		route.Identity = 0
	}
	families := []bit[Families]{{Wave, "wave"}, {Remote, "remote"}, {Forwarded, "forwarded"}}
	for _, w := range o.list("identity_headers") {
		route.Identity |= c.member(w, "identity_headers", families)
	}
	for _, w := range o.list("allow_in_path") {
		route.AllowInPath |= c.pathFeature(w)
	}
}

// member returns the bit with a word's name.
func (c *compiler) member(w word, what string, bits []bit[Families]) Families {
	var known []string
	for _, b := range bits {
		if b.name == w.text {
			return b.value
		}
		known = append(known, b.name)
	}
	c.fail(w.node, "%s may list %s, not %q%s", what, strings.Join(known, ", "), w.text, didYouMean(w.text, known))
	return 0
}

// pathFeature returns what an entry of allow_in_path allows.
func (c *compiler) pathFeature(w word) PathFeature {
	var known []string
	for _, b := range pathFeatures() {
		if strings.EqualFold(b.name, w.text) || b.value == EncodedBackslash && w.text == `\` {
			return b.value
		}
		known = append(known, `"`+b.name+`"`)
	}
	switch {
	case w.text == ";":
		c.fail(w.node, `allow_in_path: ";" is an ordinary character and needs no leave`)
	case strings.Contains(w.text, ".") || strings.Contains(strings.ToLower(w.text), "%2e") || strings.Contains(w.text, "%00"):
		c.fail(w.node, "allow_in_path: %q can never be allowed: no path with dot segments or NUL is passed on", w.text)
	default:
		c.fail(w.node, "allow_in_path may list %s, not %q", strings.Join(known, ", "), w.text)
	}
	return 0
}

// readLimits reads the route's times and sizes.
func (c *compiler) readLimits(o object, route *Route) {
	route.Timeout = o.duration("timeout", DefaultTimeout)
	route.IdleTimeout = o.duration("idle_timeout", 0)
	route.MaxRequestSize = o.size("max_request_size", ServerDefault)
}

// checkEffect refuses options that the kind of target cannot honour, so that
// nobody relies on one that does nothing.
func (c *compiler) checkEffect(o object, route *Route) {
	if route.Target == nil {
		return
	}
	var idle []string
	switch route.Target.Scheme {
	case "file":
		idle = []string{"timeout", "idle_timeout", "pass_host", "max_request_size", "tls"}
	case "static":
		idle = []string{"timeout", "idle_timeout", "pass_host", "max_request_size", "tls", "strip_prefix"}
	case "http", "h2c":
		idle = []string{"tls"}
	}
	for _, name := range idle {
		if n := o.fields[name]; n != nil {
			c.fail(n, "%s has no effect where url begins with %s://: leave it out", name, route.Target.Scheme)
		}
	}
}
