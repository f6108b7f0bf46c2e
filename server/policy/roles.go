package policy

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// role is a named set of scopes and of those who have it.
type role struct {
	name    string
	origin  string // where it was written: "policy.yaml:12"
	scopes  []string
	members members
	groups  []string
	tier    string   // of people who have it, and of API keys that name none; "" is none
	written []string // the members as they were written
}

// keyRule is what the policy says of one access key.
type keyRule struct {
	origin   string // where it was written: "policy.yaml:12"
	scopes   []string
	roles    []string
	register []string // routes that it may announce; "/team/*" is all below
}

// readRoles reads the section roles.
func (c *compiler) readRoles(n *yaml.Node) {
	for _, p := range c.pairs(n, "roles") {
		if !c.checkName("role", p.key) {
			continue
		}
		c.roles[p.name] = true
		o := c.object(p.value, "role "+p.name, "scopes", "members", "groups", "tier")
		r := role{name: p.name, origin: c.origin(p.key), members: newMembers()}
		r.scopes = c.useAny("scope", o.list("scopes"))
		r.tier = c.useOne("tier", o, "tier")
		r.groups = c.groups(o)
		for _, w := range o.list("members") {
			c.readMember(&r, w)
		}
		c.policy.roles = append(c.policy.roles, r)
	}
}

// readMember adds a member: an e-mail address, a subject or an access-key ID.
func (c *compiler) readMember(r *role, w word) {
	if strings.Contains(w.text, "*") {
		c.fail(w.node, "member %q: wildcards match nobody; name each member, or use groups", w.text)
		return
	}
	if r.members.emails[foldEmail(w.text)] { // of the same letters in another case
		c.fail(w.node, "member %q is listed twice", w.text)
		return
	}
	if reason := r.members.add(w.text); reason != "" {
		c.fail(w.node, "member %q%s", w.text, reason)
		return
	}
	r.written = append(r.written, w.text)
}

// readAccessKeys reads the section access_keys: what single keys may do.
func (c *compiler) readAccessKeys(n *yaml.Node) {
	for _, p := range c.pairs(n, "access_keys") {
		// First of all, so that no other message repeats a secret.
		if id, _, found := strings.Cut(p.name, ":"); found {
			c.fail(p.key, "access key %q: write the ID alone, never its secret", id)
			continue
		}
		if c.checkName("access key", p.key) {
			c.readAccessKey(p)
		}
	}
}

// readAccessKey reads one key's rule. It must say what the key holds: an
// entry that is there for something else would take everything away or, read
// the other way, leave everything.
func (c *compiler) readAccessKey(p pair) {
	o := c.object(p.value, "access key "+p.name, "scopes", "roles", "register")
	if p.value.Kind == yaml.MappingNode && !o.has("scopes") && !o.has("roles") {
		c.fail(p.key, `access key %s: say what it holds: scopes, roles or both; scopes: ["*"] is everything, scopes: [] nothing`, p.name)
	}
	rule := keyRule{origin: c.origin(p.key), scopes: c.useAny("scope", o.list("scopes")), roles: c.use("role", o.list("roles"))}
	for _, w := range o.list("register") {
		route, err := parseRegister(w.text)
		if err != nil {
			c.fail(w.node, "register: %v", err)
			continue
		}
		rule.register = append(rule.register, route)
	}
	if o.has("register") {
		c.policy.mayAll = false
	}
	c.policy.keys[p.name] = rule
}

// parseRegister reads a route that a key may announce, "/demo", or all routes
// below one, "/team/*".
func parseRegister(s string) (string, error) {
	prefix, all := strings.CutSuffix(s, "/*")
	if all && prefix == "" {
		return s, nil
	}
	route, err := ParsePath(prefix)
	switch {
	case err != nil:
		return "", err
	case Reserved(route):
		return "", reservedError(route)
	case all:
		return route + "/*", nil
	}
	return route, nil
}
