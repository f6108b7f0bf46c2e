package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Config describes a provider and what this client of it is called there. Name,
// Issuer, ClientID and ClientSecret are needed.
type Config struct {
	Name   string // short, for logs and for telling several providers apart: "main"
	Issuer string // exactly as the provider calls itself, without a trailing slash unless it has one

	ClientID, ClientSecret string

	Scopes        []string // "openid" is added when it is missing
	AuthURLParams []Param  // added to the address that people are sent to
	EndSessionURL string   // where people sign out; "" is what discovery says

	// UsernameClaim names the claim that holds the user name; "" tries
	// preferred_username, e-mail, name and sub. Both claims here may be paths
	// into objects ("realm_access.roles"). A claim whose whole name is the text,
	// dots included, comes first.
	UsernameClaim string
	GroupsClaim   string // "" is "groups"

	// InsecureSkipVerify accepts any certificate from this provider. Whoever sits
	// between can then sign in as anybody.
	InsecureSkipVerify bool

	Now     func() time.Time // nil is time.Now
	Timeout time.Duration    // of one request to the provider; 0 is 10 s
}

// A Param is one parameter of a URL's query.
type Param struct{ Key, Value string }

// reservedParams are set by this package, or would change what comes back.
var reservedParams = []string{
	"state", "nonce", "redirect_uri", "response_type", "response_mode", "client_id", "client_secret", "scope",
	"code", "code_verifier", "code_challenge", "code_challenge_method", "request", "request_uri", "registration",
}

// Validate reports every problem of c at once. It makes no request.
func (c Config) Validate() error {
	var problems []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("oidc provider %q: "+format, append([]any{c.Name}, args...)...))
		}
	}
	add(!isName(c.Name), "the name must be 1 to 64 letters, digits, dots, hyphens or underscores")
	if why := issuerProblem(c.Issuer); why != "" {
		add(true, "issuer %q: %s", c.Issuer, why)
	}
	add(c.ClientID == "", "the client ID is missing")
	add(c.ClientSecret == "", "the client secret is missing")
	for _, s := range c.Scopes {
		add(!isScope(s), "scope %q: a scope is printable ASCII without spaces, quotes and backslashes", s)
	}
	for _, param := range c.AuthURLParams {
		add(param.Key == "", "a parameter of the authorization URL has no name")
		add(slices.Contains(reservedParams, param.Key), "parameter %q of the authorization URL: it is set by wavegate itself", param.Key)
	}
	if c.EndSessionURL != "" {
		if why := endpointProblem(c.EndSessionURL); why != "" {
			add(true, "end-session URL %q: %s", c.EndSessionURL, why)
		}
	}
	add(!isClaimPath(c.UsernameClaim), "the name of the claim for user names is over 256 bytes or has control characters")
	add(!isClaimPath(c.GroupsClaim), "the name of the claim for groups is over 256 bytes or has control characters")
	add(c.Timeout < 0, "the timeout %s is negative", c.Timeout)
	return errors.Join(problems...)
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) < 0
}

// isScope follows scope-token of RFC 6749 §3.3.
func isScope(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	}) < 0
}

func isClaimPath(s string) bool { return len(s) <= 256 && strings.IndexFunc(s, unicode.IsControl) < 0 }

// issuerProblem says what is wrong with the address of an issuer (OpenID
// Connect Discovery 1.0 §2), or "".
func issuerProblem(s string) string {
	if s == "" {
		return "it is missing"
	}
	if why := endpointProblem(s); why != "" {
		return why
	}
	if strings.ContainsAny(s, "?#") {
		return "an issuer has no query and no fragment"
	}
	if strings.Contains(s, "/.well-known/") {
		return "give the issuer alone, without /.well-known/openid-configuration"
	}
	return ""
}

// endpointProblem says why no token may be sent to s, or "".
func endpointProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return "want an address such as https://id.example.com"
	case u.User != nil:
		return "an address with a user name in it"
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		return "an address with a fragment"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "plain http would send passwords and tokens in the clear: use https (http is for this machine alone, as in http://localhost:8080)"
	case u.Scheme != "https" && u.Scheme != "http":
		return "want https"
	}
	return ""
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
