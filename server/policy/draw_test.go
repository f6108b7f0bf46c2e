package policy

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"wavegate/server/identity"
)

// subset draws some of the words.
func subset(t *rapid.T, label string, of ...string) []string {
	var out []string
	for _, s := range of {
		if rapid.IntRange(0, 2).Draw(t, label+" "+s) == 0 {
			out = append(out, s)
		}
	}
	return out
}

// drawScopes draws some of the scopes, and now and then "*".
func drawScopes(t *rapid.T, label string, of ...string) []string {
	out := subset(t, label, of...)
	if rapid.IntRange(0, 9).Draw(t, label+" all") == 0 {
		out = append(out, "*")
	}
	return out
}

// drawPolicy draws a policy that compiles.
func drawPolicy(t *rapid.T) slowPolicy {
	s := slowPolicy{
		scopes: map[string][]string{"s0": nil, "webhooks:read": nil}, keys: map[string]slowHolding{},
		noCatalog: rapid.IntRange(0, 5).Draw(t, "no catalogue") == 0, claims: rapid.Bool().Draw(t, "claims"),
	}
	scopes := []string{"s0", "e0", "e1", "e2", "webhooks:read"}
	if s.noCatalog {
		scopes = nil
	}
	public := false
	for _, path := range append([]string{"/"}, subset(t, "route", "/a", "/a/b", "/b")...) {
		r := slowRoute{path: path, access: rapid.SampledFrom([]Access{Authenticated, SignedIn, Keys, Public}).Draw(t, "access"), methods: subset(t, "method", "GET", "POST", "HEAD")}
		public = public || r.access == Public
		if r.access != Public {
			r.unlisted = rapid.Bool().Draw(t, "unlisted")
			if len(scopes) > 0 {
				r.require.Scopes = subset(t, "require", "s0", "webhooks:read")
			}
			r.require.Roles = subset(t, "require role", "r", "viewer")
		}
		if r.access == Authenticated || r.access == SignedIn {
			r.require.Groups = subset(t, "require group", "g", "h")
		}
		s.routes = append(s.routes, r)
	}
	// A guarded route beside the others, so that no endpoint is without a guard.
	s.routes = append(s.routes, slowRoute{path: "/c", access: Authenticated})
	endpoints, _ := drawEndpoints(t)
	for i, text := range endpoints {
		if e, _ := parseEndpoint(text); !public || e.mayServe("/c") {
			scope := fmt.Sprintf("e%d", i%3)
			s.scopes[scope] = append(s.scopes[scope], text)
		}
	}
	for _, scope := range []string{"e0", "e1", "e2"} {
		s.scopes[scope] = append([]string{"PUT /" + scope}, s.scopes[scope]...)
	}
	if public { // only what /c serves is guarded
		for _, scope := range []string{"e0", "e1", "e2"} {
			s.scopes[scope][0] = "PUT /c/" + scope
		}
	}
	for _, name := range []string{"r", "q", "viewer"} {
		s.roles = append(s.roles, slowRole{
			name: name, scopes: drawScopes(t, name+" has", append(scopes, "keys:write", "audit:read")...),
			members: subset(t, name+" member", "K1", "K2", "ann", "ann@example.com"), groups: subset(t, name+" group", "g", "h"),
			tier: rapid.SampledFrom([]string{"", "small", "large"}).Draw(t, name+" tier"),
		})
	}
	for _, id := range subset(t, "rule of", "K1", "K3") {
		s.keys[id] = slowHolding{subset(t, id+" has", scopes...), subset(t, id+" role", "r", "q")}
	}
	if name := rapid.SampledFrom([]string{"r", "developer", ""}).Draw(t, "issuer's role"); name != "" {
		s.issuer = s.role(name)
	} else {
		s.claims = true
	}
	return s
}

// drawCaller draws somebody who asks.
func drawCaller(t *rapid.T) slowCaller {
	c := slowCaller{kind: rapid.SampledFrom([]string{"", "access key", "person", "API key", "issued", "app"}).Draw(t, "caller")}
	switch c.kind {
	case "access key":
		c.id = rapid.SampledFrom([]string{"K1", "K2", "K3", "K4"}).Draw(t, "key")
	case "person":
		c.id = rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "person")
		c.email = rapid.SampledFrom([]string{"ann@example.com", "bob@example.com"}).Draw(t, "email")
		c.groups = subset(t, "in", "g", "h", "x")
	case "API key", "issued":
		c.role = rapid.SampledFrom([]string{"", "r", "q", "viewer", "developer", "account_admin", "gone"}).Draw(t, "role")
		c.scopes = drawScopes(t, "own", "s0", "e0", "e1", "e2", "webhooks:read", "keys:write", "gone:read")
	case "app":
		c.scopes = drawScopes(t, "own", "s0", "e0", "e1", "e2", "webhooks:read", "keys:write", "gone:read", "openid")
	}
	return c
}

// principal makes the caller's Principal as the server does.
func (c slowCaller) principal(p *Policy) *identity.Principal {
	who := &identity.Principal{Subject: c.id, Email: c.email, Groups: c.groups}
	switch c.kind {
	case "access key":
		who.Method, who.KeyID = identity.MethodAccessKey, c.id
		p.Grant(who)
	case "person":
		who.Method = identity.MethodSession
		p.Grant(who)
	case "API key":
		who.Method, who.KeyID = identity.MethodAPIKey, "key_1"
		p.GrantKey(who, c.role, c.scopes)
	case "issued":
		who.Method, who.Subject = identity.MethodToken, "i|1"
		p.GrantIssued(who, &p.Issuers()[0], c.scopes)
	case "app":
		who.Method, who.Subject, who.OAuthClientID = identity.MethodToken, "ann", "client_1"
		who.Scopes = p.GrantToken(c.scopes)
	default:
		return nil
	}
	return who
}

// drawAsk draws a request.
func drawAsk(t *rapid.T, p *Policy) Ask {
	method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT"}).Draw(t, "method")
	path := drawPath(t, []string{"a", "b", "c", "d"}, []string{"a", "b", "d", "e0", ""})
	for strings.Contains(path, "//") { // ServeMux redirects these
		path = strings.ReplaceAll(path, "//", "/")
	}
	return p.AskFor("h", method, path, method == "GET" && rapid.Bool().Draw(t, "ws"))
}

// compileDrawn compiles a drawn policy.
func compileDrawn(t *rapid.T, s slowPolicy) *Policy {
	p, err := Parse("policy.yaml", []byte(s.text()), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.text())
	}
	return p
}
