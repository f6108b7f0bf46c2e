package policy

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of what stands on the login page, in bytes.
const (
	maxProviderName = 32
	maxLabel        = 100
)

// A Provider is an OpenID provider at which people may sign in.
type Provider struct {
	Name     string // of a-z, 0-9 and "-"; unique
	Label    string // what the login page calls it
	Issuer   string // absolute; https unless it is on this machine
	ClientID string

	ClientSecret     string `json:"-"` // or ClientSecretFile, exactly one of the two
	ClientSecretFile string // relative to where the server was started

	RedirectURL   string      // "" is the callback below the public URL
	Scopes        []string    // openid, profile, email where the file says nothing
	AuthURLParams [][2]string // name and value, in the file's order
	EndSessionURL string      // "" is what the provider announces

	PostLogoutRedirectURL string // where it sends browsers after signing out; "" leaves it to the provider

	UsernameClaim, GroupsClaim string // "" are the usual ones

	EmailDomains []string // see Admits
	Groups       []string // see Admits

	// Foreign leaves this provider's word on e-mail addresses and groups out of
	// account, for roles, routes, administrators and apps alike: its people are
	// known by subject alone. It is for providers at which anybody can have an
	// account, beside one that is the operator's own. Admits still looks at both.
	Foreign bool

	InsecureSkipVerify bool   // accept any certificate of the provider's
	Origin             string // where it was written: "policy.yaml:12"
}

// Format implements fmt.Formatter: whatever the verb, the secret is not shown.
func (pr Provider) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "provider "+pr.Name) // fmt gathers it in memory
}

// LogValue implements slog.LogValuer, so that no log shows the secret.
func (pr Provider) LogValue() slog.Value { return slog.StringValue("provider " + pr.Name) }

// Admits reports whether somebody whom the provider let in may sign in here.
// Where EmailDomains names hosts, the address, which must be a verified one or
// "", has to be at one of them: the whole host, letter case aside, so that
// example.com admits nobody of sub.example.com. Where Groups names groups, one
// of them must be among the given ones, letter by letter. Where both do, both
// must be true, and where neither does, everybody is admitted.
func (pr Provider) Admits(email string, groups []string) bool {
	if len(pr.EmailDomains) > 0 {
		_, host, _ := strings.Cut(foldEmail(email), "@")
		at := func(domain string) bool { return foldASCII(domain) == host }
		if host == "" || !slices.ContainsFunc(pr.EmailDomains, at) {
			return false
		}
	}
	return len(pr.Groups) == 0 || haveCommon(pr.Groups, groups)
}

// ParseEmailDomain returns a host of e-mail addresses in the form that
// Provider.EmailDomains wants. The error names what was given.
func ParseEmailDomain(s string) (string, error) {
	if strings.Contains(s, "@") {
		return "", fmt.Errorf("%q: write the part behind the @ alone, such as example.com", s)
	}
	if strings.ContainsAny(s, "*[") {
		return "", fmt.Errorf("%q: patterns and addresses match nothing; name each host, subdomains too", s)
	}
	return parseHost(s)
}

// readProviders reads the section providers.
func (c *compiler) readProviders(n *yaml.Node) {
	if !c.kind(n, yaml.SequenceNode, "providers", "a list of providers") {
		return
	}
	lines := map[string]int{}
	for _, item := range n.Content {
		pr, ok := c.readProvider(item)
		if !ok {
			continue
		}
		if first, taken := lines[pr.Name]; taken {
			c.fail(item, "provider %s was named already in line %d", pr.Name, first)
			continue
		}
		lines[pr.Name] = item.Line
		c.policy.providers = append(c.policy.providers, pr)
	}
}

// readProvider reads one provider and reports whether it has a name.
func (c *compiler) readProvider(n *yaml.Node) (pr Provider, ok bool) {
	o := c.object(n, "a provider",
		"name", "label", "issuer", "client_id", "client_secret", "client_secret_file", "redirect_url", "scopes",
		"auth_url_params", "end_session_url", "post_logout_redirect_url", "username_claim", "groups_claim", "email_domains", "groups", "trust", "insecure_skip_verify")
	if n.Kind != yaml.MappingNode {
		return pr, false
	}
	pr = Provider{
		Name: c.readProviderName(o), Origin: c.origin(n),
		ClientID: o.text("client_id"), ClientSecret: o.secret("client_secret"), ClientSecretFile: o.text("client_secret_file"),
		RedirectURL: parsed(o, "redirect_url", "", parseWebURL), EndSessionURL: parsed(o, "end_session_url", "", parseWebURL),
		PostLogoutRedirectURL: parsed(o, "post_logout_redirect_url", "", parseWebURL),
		UsernameClaim:         o.text("username_claim"), GroupsClaim: o.text("groups_claim"),
		Foreign:            choice(o, "trust", []string{"claims", "subject"}, []bool{false, true}),
		InsecureSkipVerify: o.boolean("insecure_skip_verify", false),
	}
	pr.Label = cmp.Or(o.text("label"), pr.Name)
	if len(pr.Label) > maxLabel {
		c.fail(o.at("label"), "label is longer than %d bytes", maxLabel)
	}
	pr.Issuer = parsed(o, "issuer", "", parseIssuer)
	c.checkProvider(o)
	c.readRequest(o, &pr)
	c.readAdmission(o, &pr)
	return pr, pr.Name != ""
}

// readProviderName reads the name of a provider, "" where it cannot be one.
// Names stand in addresses and before subjects.
func (c *compiler) readProviderName(o object) string {
	if !o.has("name") {
		c.fail(o.node, "a provider needs a name, such as google")
		return ""
	}
	name := o.text("name")
	strange := func(r rune) bool { return !isLower(r) && !isDigit(r) && r != '-' }
	switch {
	case name == "":
		return ""
	case len(name) > maxProviderName || strings.ContainsFunc(name, strange):
		c.fail(o.at("name"), "provider %q: a name is up to %d of a-z, 0-9 and -; what people see is label", name, maxProviderName)
		return ""
	case name == "main":
		c.fail(o.at("name"), `provider "main" is the one of the -oidc-* flags: choose another name`)
		return ""
	case name == "local":
		c.fail(o.at("name"), `provider "local" stands for the users of --users-file: choose another name`)
		return ""
	}
	return name
}

// checkProvider asks for the fields without which nobody could sign in.
func (c *compiler) checkProvider(o object) {
	if !o.has("issuer") {
		c.fail(o.node, "a provider needs an issuer, such as https://accounts.google.com")
	}
	if !o.has("client_id") {
		c.fail(o.node, "a provider needs the client_id that it gave to this server")
	}
	switch inline, file := o.has("client_secret"), o.has("client_secret_file"); {
	case inline && file:
		c.fail(o.fields["client_secret_file"], "client_secret and client_secret_file are two secrets for one provider: keep one")
	case !inline && !file:
		c.fail(o.node, "a provider needs a client_secret or a client_secret_file")
	}
}

// readRequest reads what is asked of the provider.
func (c *compiler) readRequest(o object, pr *Provider) {
	pr.Scopes = []string{"openid", "profile", "email"}
	if o.has("scopes") {
		words := c.some(o, "scopes", "the default is openid, profile, email")
		for _, w := range words {
			if strings.ContainsFunc(w.text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
				c.fail(w.node, "scope %q: write one scope an entry, without spaces and quotes", w.text)
			}
		}
		pr.Scopes = texts(words)
	}
	params := o.fields["auth_url_params"]
	if params == nil {
		return
	}
	for _, p := range c.pairs(params, "auth_url_params") {
		value, ok := c.text(p.value, "parameter "+p.name)
		if slices.Contains(ownAuthParams(), strings.ToLower(p.name)) {
			c.fail(p.key, "auth_url_params: %s is set by the server itself", p.name)
			continue
		}
		if ok {
			pr.AuthURLParams = append(pr.AuthURLParams, [2]string{p.name, value})
		}
	}
}

// ownAuthParams are the parameters of an authorization request on which its
// security rests (RFC 6749, 7636, 9101; OpenID Connect Core).
func ownAuthParams() []string {
	return []string{
		"client_id", "client_secret", "code_challenge", "code_challenge_method", "nonce", "redirect_uri",
		"request", "request_uri", "response_mode", "response_type", "scope", "state",
	}
}

// readAdmission reads who of those whom the provider knows may sign in.
func (c *compiler) readAdmission(o object, pr *Provider) {
	if o.has("email_domains") {
		for _, w := range c.some(o, "email_domains", "then everybody whom the provider lets in may sign in") {
			host, err := ParseEmailDomain(w.text)
			if err != nil {
				c.fail(w.node, "email_domains: %v", err)
				continue
			}
			if slices.Contains(pr.EmailDomains, host) {
				c.fail(w.node, "email_domains lists %q twice", w.text)
				continue
			}
			pr.EmailDomains = append(pr.EmailDomains, host)
		}
	}
	if o.has("groups") {
		c.some(o, "groups", "then everybody whom the provider lets in may sign in")
		pr.Groups = c.groups(o)
	}
}

// some reads a list that says one thing when it is empty and another to those
// who read it: it must be left out or hold something.
func (c *compiler) some(o object, name, without string) []word {
	if n := o.fields[name]; n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		c.fail(n, "%s is empty: leave it out (%s), or name some", name, without)
		return nil
	}
	return o.list(name)
}

// parseIssuer checks the address by which a provider calls itself.
func parseIssuer(s string) (string, error) {
	u, err := webURL(s)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", fmt.Errorf("%q: an issuer has no query", redact(s))
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return "", fmt.Errorf("%q: write https:// ; only a provider on this machine may do without", redact(s))
	}
	return s, nil
}

// parseWebURL checks an absolute http or https URL.
func parseWebURL(s string) (string, error) {
	_, err := webURL(s)
	if err != nil {
		return "", err
	}
	return s, nil
}

// webURL reads an absolute http or https URL without user and fragment. The
// error does not show what may be a password.
func webURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsAny(s, ` \`) {
		return nil, fmt.Errorf("%q: want an absolute URL, such as https://id.example.com", redact(s))
	}
	if u.User != nil {
		return nil, fmt.Errorf("%q must not hold a user or password", redact(s))
	}
	if strings.Contains(s, "#") {
		return nil, fmt.Errorf("%q must not hold a fragment", redact(s))
	}
	return u, nil
}

// isLoopback reports whether a host of a URL is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
