package policy

import (
	"go.yaml.in/yaml/v4"

	"wavegate/server/identity"
)

// readScopes reads the section scopes: the catalogue.
func (c *compiler) readScopes(n *yaml.Node) {
	for _, p := range c.pairs(n, "scopes") {
		if !c.checkName("scope", p.key) {
			continue
		}
		switch {
		case p.name == identity.ScopeAll:
			c.fail(p.key, `scope "*" covers every scope and is not declared`)
			continue
		case isOpenID(p.name):
			c.fail(p.key, "scope %q has its meaning from OpenID Connect: choose another name", p.name)
			continue
		}
		c.scopes[p.name] = true
		c.readScope(p)
	}
}

// readScope reads one scope.
func (c *compiler) readScope(p pair) {
	o := c.object(p.value, "scope "+p.name, "description", "risk", "endpoints")
	risks := []string{"low", "medium", "high"}
	scope := Scope{Name: p.name, Description: o.text("description"), Risk: choice(o, "risk", risks, risks)}
	seen := map[string]bool{}
	for _, w := range o.list("endpoints") {
		e, err := parseEndpoint(w.text)
		if err != nil {
			c.fail(w.node, "endpoint %q: %v", w.text, err)
			continue
		}
		if seen[e.pattern()] {
			c.fail(w.node, "endpoint %q is the same as one before it in scope %s", w.text, p.name)
			continue
		}
		seen[e.pattern()] = true
		scope.Endpoints = append(scope.Endpoints, w.text)
		c.endpoints = append(c.endpoints, endpointUse{e, w, p.name})
	}
	c.policy.scopes = append(c.policy.scopes, scope)
}

// isOpenID reports whether a scope has its meaning from OpenID Connect.
func isOpenID(scope string) bool {
	switch scope {
	case "openid", "profile", "email", "offline_access":
		return true
	}
	return false
}
