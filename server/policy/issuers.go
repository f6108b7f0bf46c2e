package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// An Issuer is somebody else whose JWTs are taken.
type Issuer struct {
	Name       string // of a-z, 0-9 and "-"; unique, providers' names included; stands before the subject as theirs do
	Issuer     string // iss, byte for byte; https unless it is on this machine
	Audience   string // that aud must hold
	JWKSURL    string // "" is what discovery says
	Role       string // what its people hold; "" is nothing but ScopeClaim's
	ScopeClaim string // of a claim that lists scopes to grant, see GrantIssued; "" is none
	Origin     string // where it was written: "policy.yaml:12"
}

// Issuers returns the trusted issuers of the file, in its order. The caller must
// not change them.
func (p *Policy) Issuers() []Issuer { return p.issuers }

// readIssuers reads the section issuers.
func (c *compiler) readIssuers(n *yaml.Node) {
	if !c.kind(n, yaml.SequenceNode, "issuers", "a list of issuers") {
		return
	}
	for _, item := range n.Content {
		is := c.readIssuer(item)
		same := func(other Issuer) bool { return other.Issuer == is.Issuer && other.Audience == is.Audience }
		if i := slices.IndexFunc(c.policy.issuers, same); i >= 0 && is.Issuer != "" && is.Audience != "" {
			c.fail(item, "issuer %s with this audience was named already (%s)", is.Issuer, c.policy.issuers[i].Origin)
		}
		c.policy.issuers = append(c.policy.issuers, is)
		c.issuerNodes = append(c.issuerNodes, item)
	}
}

// readIssuer reads one issuer; what cannot be read stays empty.
func (c *compiler) readIssuer(n *yaml.Node) Issuer {
	o := c.object(n, "an issuer", "issuer", "audience", "name", "jwks_url", "role", "scope_claim")
	if n.Kind != yaml.MappingNode {
		return Issuer{}
	}
	is := Issuer{
		Issuer: parsed(o, "issuer", "", parseIssuer), Audience: o.text("audience"),
		JWKSURL: parsed(o, "jwks_url", "", parseKeysURL),
		Role:    c.useOne("role", o, "role"), ScopeClaim: o.text("scope_claim"),
		Origin: c.origin(n),
	}
	if !o.has("issuer") {
		c.fail(n, "an issuer needs its issuer, such as https://clerk.example.com")
	}
	if !o.has("audience") {
		c.fail(n, "an issuer needs an audience: what its tokens for this server carry as aud; others are for somebody else")
	}
	if !o.has("role") && !o.has("scope_claim") {
		c.fail(n, "an issuer without role and scope_claim grants nothing: name a role, a claim that lists scopes, or both")
	}
	is.Name = c.readIssuerName(o, is.Issuer)
	return is
}

// readIssuerName returns the issuer's name, made of its host where none is given;
// "" where it cannot be one.
func (c *compiler) readIssuerName(o object, issuer string) string {
	name := o.text("name")
	if !o.has("name") && issuer != "" {
		if name = hostSlug(issuer); !isSlug(name) {
			c.fail(o.node, "an issuer whose host makes no name of up to %d of a-z, 0-9 and - needs one: give it a name", maxProviderName)
			return ""
		}
	}
	switch {
	case name == "":
		return ""
	case !isSlug(name):
		c.fail(o.at("name"), "issuer %q: a name is up to %d of a-z, 0-9 and -", name, maxProviderName)
	case name == "main":
		c.fail(o.at("name"), `issuer "main": that is the provider of the -oidc-* flags: choose another name`)
	case name == "local":
		c.fail(o.at("name"), `issuer "local": that stands for the users of --users-file: choose another name`)
	default:
		return name
	}
	return ""
}

// checkIssuers refuses names that are taken: the same subject at two places would
// be one person.
func (c *compiler) checkIssuers() {
	taken := map[string]string{}
	for _, pr := range c.policy.providers {
		taken[pr.Name] = fmt.Sprintf("provider %s (%s)", pr.Name, pr.Origin)
	}
	for i, is := range c.policy.issuers {
		if is.Name == "" {
			continue
		}
		if first := taken[is.Name]; first != "" {
			c.fail(c.issuerNodes[i], "issuer %s has the name of %s, so their people could not be told apart: give it another name", is.Name, first)
			continue
		}
		taken[is.Name] = fmt.Sprintf("issuer %s (%s)", is.Name, is.Origin)
	}
}

// isSlug reports whether s can be the name of a provider or an issuer.
func isSlug(s string) bool {
	return s != "" && len(s) <= maxProviderName &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isLower(r) && !isDigit(r) && r != '-' })
}

// hostSlug makes a name of an URL's host: "clerk-example-com".
func hostSlug(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	apart := func(r rune) bool { return !isLower(r) && !isDigit(r) }
	return strings.Join(strings.FieldsFunc(foldASCII(u.Hostname()), apart), "-")
}

// parseKeysURL checks the address of an issuer's keys. Whoever can change them on
// the way can make tokens, so it is held to what an issuer is.
func parseKeysURL(s string) (string, error) {
	u, err := webURL(s)
	if err != nil {
		return "", err
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return "", fmt.Errorf("%q: write https:// ; only keys on this machine may do without", redact(s))
	}
	return s, nil
}

// issuer returns the issuer whose name stands before a subject, or nil.
func (p *Policy) issuer(subject string) *Issuer {
	name, _, ok := strings.Cut(subject, "|")
	i := slices.IndexFunc(p.issuers, func(is Issuer) bool { return is.Name == name })
	if !ok || i < 0 {
		return nil
	}
	return &p.issuers[i]
}
