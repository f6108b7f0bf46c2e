package policy

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"wavegate/server/identity"
)

// OAuth says how the server's own authorization server works.
type OAuth struct {
	Enabled bool // true unless the file says otherwise

	AccessLifetime  time.Duration // of access and ID tokens; 10 minutes
	RefreshLifetime time.Duration // of a refresh token that is not used; 30 days
	GrantLifetime   time.Duration // of all tokens of one consent; a year
	KeyLifetime     time.Duration // after which signing keys are replaced; 30 days

	Resources    []string // audiences beside the server itself that may be asked for (RFC 8707)
	Registration Registration
}

// Registration says whether apps may register themselves (RFC 7591). Its zero value
// lets none.
type Registration struct {
	Enabled   bool
	Scopes    []string // that such apps may ask for, beside OpenID's own
	PerIPHour int64    // apps that one address may register in an hour; 5
	Most      int64    // that there may be at a time; 1,000
}

// Bounds of lifetimes. A shorter token would be refreshed all the time; a longer
// one outlives its revocation for too long where somebody else verifies it.
const (
	minTokenLifetime = time.Minute
	maxTokenLifetime = 24 * time.Hour
	minKeyLifetime   = 24 * time.Hour
)

// defaultOAuth is what counts where the file says nothing.
func defaultOAuth() OAuth {
	const day = 24 * time.Hour
	return OAuth{
		Enabled:        true,
		AccessLifetime: 10 * time.Minute, RefreshLifetime: 30 * day, GrantLifetime: 365 * day, KeyLifetime: 30 * day,
		Registration: Registration{PerIPHour: 5, Most: 1000},
	}
}

// OAuth returns what the file says under oauth. The caller must not change its
// lists.
func (p *Policy) OAuth() OAuth {
	if p.oauth == nil {
		return defaultOAuth()
	}
	return *p.oauth
}

// readOAuth reads the section oauth.
func (c *compiler) readOAuth(n *yaml.Node) {
	o := c.object(n, "oauth", "enabled", "access_token_lifetime", "refresh_token_lifetime", "grant_lifetime",
		"signing_key_lifetime", "resources", "registration")
	a := defaultOAuth()
	a.Enabled = o.boolean("enabled", a.Enabled)
	a.AccessLifetime = o.lifetime("access_token_lifetime", a.AccessLifetime, minTokenLifetime, maxTokenLifetime)
	a.RefreshLifetime = o.lifetime("refresh_token_lifetime", a.RefreshLifetime, minTokenLifetime, 0)
	a.GrantLifetime = o.lifetime("grant_lifetime", a.GrantLifetime, minTokenLifetime, 0)
	a.KeyLifetime = o.lifetime("signing_key_lifetime", a.KeyLifetime, minKeyLifetime, 0)
	o.outlives("refresh_token_lifetime", a.RefreshLifetime, "access_token_lifetime", a.AccessLifetime)
	o.outlives("grant_lifetime", a.GrantLifetime, "refresh_token_lifetime", a.RefreshLifetime)
	a.Resources = c.readResources(o)
	if n := o.fields["registration"]; n != nil {
		a.Registration = c.readRegistration(n)
	}
	c.policy.oauth = &a
}

// lifetime returns a field that is a length of time in whole seconds, since tokens
// count in them, from least to most; most 0 is no bound. It is 0 where it cannot be
// read.
func (o object) lifetime(name string, def, least, most time.Duration) time.Duration {
	before := len(o.problems)
	d := o.duration(name, def)
	switch {
	case len(o.problems) > before:
	case d < least:
		o.fail(o.at(name), "%s must be at least %s", name, plainDuration(least))
	case most > 0 && d > most:
		o.fail(o.at(name), "%s must be at most %s", name, plainDuration(most))
	case d%time.Second != 0:
		o.fail(o.at(name), "%s must be of whole seconds", name)
	default:
		return d
	}
	return 0
}

// outlives refuses a lifetime that is shorter than that of what it goes round,
// where both could be read.
func (o object) outlives(name string, d time.Duration, inner string, least time.Duration) {
	if d != 0 && d < least {
		o.fail(o.at(name), "%s of %s is shorter than %s of %s: raise the one or lower the other",
			name, plainDuration(d), inner, plainDuration(least))
	}
}

// plainDuration writes a length of time of whole seconds as a file would.
func plainDuration(d time.Duration) string {
	for _, unit := range [...]struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%unit.length == 0 {
			return fmt.Sprintf("%d%s", d/unit.length, unit.name)
		}
	}
	return d.String()
}

// readResources reads the audiences that may be asked for.
func (c *compiler) readResources(o object) []string {
	var resources []string
	for _, w := range o.list("resources") {
		if err := checkResource(w.text); err != nil {
			c.fail(w.node, "resources: %v", err)
			continue
		}
		resources = append(resources, w.text)
	}
	return resources
}

// checkResource checks an audience: an absolute URI without fragment (RFC 8707,
// section 2), and without query, so that one resource has one name.
func checkResource(s string) error {
	u, err := webURL(s)
	switch {
	case err != nil:
		return err
	case u.RawQuery != "" || u.ForceQuery:
		return fmt.Errorf("%q must not hold a query", redact(s))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%q: write https:// ; only a resource on this machine may do without", redact(s))
	}
	return nil
}

// readRegistration reads how apps register themselves. It must say whether they
// may, so that numbers do not look like a switch.
func (c *compiler) readRegistration(n *yaml.Node) Registration {
	o := c.object(n, "registration", "enabled", "scopes", "per_ip_per_hour", "most")
	if n.Kind == yaml.MappingNode && !o.has("enabled") {
		c.fail(n, "registration: say enabled: true or enabled: false")
	}
	def := defaultOAuth().Registration
	return Registration{
		Enabled:   o.boolean("enabled", false),
		Scopes:    c.readOpenScopes(o),
		PerIPHour: o.count("per_ip_per_hour", def.PerIPHour, 1),
		Most:      o.count("most", def.Most, 1),
	}
}

// readOpenScopes reads the scopes of apps that nobody vouches for. They are of the
// catalogue: neither everything nor what opens the server's own API.
func (c *compiler) readOpenScopes(o object) []string {
	words := o.list("scopes")
	if i := slices.IndexFunc(words, func(w word) bool { return w.text == identity.ScopeAll }); i >= 0 {
		c.fail(words[i].node, `registration: "*" is not for apps that register themselves; name scopes`)
	}
	return c.use("scope", words)
}

// SessionTokens says with which shared secret session tokens are signed (HS256), so
// that apps can check them without asking. The zero value has none.
type SessionTokens struct {
	SecretFile string        // at least 32 bytes; "" is none
	Lifetime   time.Duration // at most; 10 minutes
	Origin     string        // where it was written: "policy.yaml:12"
}

// SessionTokens returns what the file says under session_tokens.
func (p *Policy) SessionTokens() SessionTokens { return p.sessionTokens }

// readSessionTokens reads the section session_tokens.
func (c *compiler) readSessionTokens(n *yaml.Node) {
	o := c.object(n, "session_tokens", "secret_file", "lifetime")
	if n.Kind != yaml.MappingNode {
		return
	}
	if !o.has("secret_file") {
		c.fail(n, "session_tokens needs a secret_file, which holds at least 32 bytes: openssl rand -hex 32 makes some")
	}
	c.policy.sessionTokens = SessionTokens{
		SecretFile: o.text("secret_file"),
		Lifetime:   o.lifetime("lifetime", 10*time.Minute, minTokenLifetime, maxTokenLifetime),
		Origin:     c.origin(n),
	}
}

// GrantToken returns the Scopes of the principal of an access token of this server:
// of those that it was given the ones that there still are, "*" and permissions
// among them; all where the file declares no scopes. OpenID's own are none of them,
// since they open nothing but what the server says of the person. It has no roles.
func (p *Policy) GrantToken(scopes []string) []string {
	var pr identity.Principal
	p.GrantKey(&pr, "", slices.DeleteFunc(slices.Clone(scopes), isOpenID))
	return pr.Scopes
}
