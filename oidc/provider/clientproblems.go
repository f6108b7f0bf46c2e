package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a client may have.
const (
	maxClientName = 200 // characters
	maxRedirects  = 50
	maxScopes     = 64
	maxScope      = 128     // bytes of one
	maxScopeText  = 2 << 10 // bytes of all of them: they end up in tokens
	maxGrants     = 4
)

// A Problem is a field of a client and what is wrong with it. The names are those
// of the API: redirect_uris, grant_types.
type Problem struct{ Field, Message string }

// problems gathers them.
type problems []Problem

func (p *problems) add(bad bool, field, format string, args ...any) {
	if bad {
		*p = append(*p, Problem{field, fmt.Sprintf(format, args...)})
	}
}

// nth names an entry of a list.
func nth(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// Problems reports everything that is wrong with a client as it is to be kept, for
// an administrator or not. It looks at how scopes are written and not at whether
// they exist or may be given: policy and owner decide about those. Messages are
// ASCII without quotes, and repeat nothing of what was sent.
func (c *Client) Problems() []Problem {
	var p problems
	p.add(!isClientName(c.Name), "name", "a name has 1 to %d printable characters", maxClientName)
	p.add(c.Type != Confidential && c.Type != Public, "type", "want confidential or public")
	c.redirectProblems(&p)
	c.scopeProblems(&p)
	c.grantProblems(&p)
	p.add(c.PKCEOptional && c.Type != Confidential, "pkce", "only a confidential client may do without PKCE")
	p.add(c.FirstParty && c.Dynamic, "first_party", "a client that registered itself cannot be a first party")
	if len(c.JWKS) > 0 {
		p.add(c.Type != Confidential, "jwks", "only a confidential client has keys")
		_, why := readJWKS(c.JWKS)
		p.add(why != "", "jwks", "%s", why)
	}
	p.add(!slices.Contains([]string{"", "RS256", "ES256"}, c.IDTokenAlg), "id_token_signed_response_alg", "want RS256 or ES256")
	p.add(c.URI != "" && !isHomePage(c.URI), "client_uri", "want an https address of at most %d bytes without user name, such as https://app.example.com", maxRedirectURI)
	return p
}

func isClientName(s string) bool {
	n := utf8.RuneCountInString(s)
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	return 0 < n && n <= maxClientName && strings.TrimSpace(s) != "" && strings.IndexFunc(s, odd) < 0
}

// isHomePage reports whether people can be sent to uri from a page.
func isHomePage(uri string) bool {
	return strings.HasPrefix(uri, "https://") && addressProblem(uri) == ""
}

func (c *Client) redirectProblems(p *problems) {
	p.add(c.MayUse(GrantCode) && len(c.RedirectURIs) == 0, "redirect_uris", "the grant authorization_code needs one")
	for _, list := range []struct {
		field string
		uris  []string
	}{{"redirect_uris", c.RedirectURIs}, {"post_logout_redirect_uris", c.PostLogoutRedirectURIs}} {
		if len(list.uris) > maxRedirects {
			p.add(true, list.field, "there are %d, want %d at most", len(list.uris), maxRedirects)
			continue
		}
		for i, uri := range list.uris {
			why := redirectProblem(uri, c.Type)
			p.add(why != "", nth(list.field, i), "%s", why)
			p.add(slices.Index(list.uris, uri) < i, nth(list.field, i), "is there twice")
		}
	}
}

func (c *Client) scopeProblems(p *problems) {
	if len(c.Scopes) > maxScopes {
		p.add(true, "scopes", "there are %d, want %d at most", len(c.Scopes), maxScopes)
		return
	}
	all := len(strings.Join(c.Scopes, " "))
	p.add(all > maxScopeText, "scopes", "they have %d characters together, want %d at most", all, maxScopeText)
	for i, s := range c.Scopes {
		p.add(!isScopeToken(s), nth("scopes", i), "a scope has 1 to %d characters of printable ASCII, and neither blanks nor quotes nor backslashes", maxScope)
		p.add(slices.Index(c.Scopes, s) < i, nth("scopes", i), "is there twice")
	}
}

// isScopeToken follows scope-token of RFC 6749, section 3.3.
func isScopeToken(s string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	return s != "" && len(s) <= maxScope && strings.IndexFunc(s, odd) < 0
}

func (c *Client) grantProblems(p *problems) {
	const field = "grant_types"
	if len(c.GrantTypes) > maxGrants {
		p.add(true, field, "there are %d, want %d at most", len(c.GrantTypes), maxGrants)
		return
	}
	p.add(len(c.GrantTypes) == 0 && !c.Introspect, field, "a client needs one: %s, %s, %s or %s", GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice)
	for i, grant := range c.GrantTypes {
		switch grant {
		case GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice:
		default:
			p.add(true, nth(field, i), "is not known: want %s, %s, %s or %s", GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice)
		}
		p.add(slices.Index(c.GrantTypes, grant) < i, nth(field, i), "is there twice")
	}
	p.add(c.MayUse(GrantRefresh) && !c.MayUse(GrantCode) && !c.MayUse(GrantDevice), field, "refresh_token needs authorization_code or the device code beside it")
	if c.MayUse(GrantClientCredentials) {
		p.add(c.Type != Confidential, field, "client_credentials is for confidential clients alone")
		p.add(c.Dynamic, field, "client_credentials is not for clients that registered themselves")
	}
}
