package provider

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what a request may ask for. All of it ends up in access tokens, which
// have to fit a header.
const (
	maxAsked      = 100  // scopes
	maxAskedBytes = 2048 // of all their names
	maxResources  = 5
	maxResource   = 300 // bytes of one
)

// checkResources returns the resources that were asked for, each once. A resource
// is the issuer, lies below the issuer's origin, or is named by the policy. None is
// nil: the token is for this server. The error is InvalidTarget (RFC 8707, section 2).
func checkResources(p *Provider, asked []string) ([]string, error) {
	var resources []string
	for _, r := range asked {
		if r == "" || slices.Contains(resources, r) {
			continue
		}
		if e := p.checkResource(r); e != nil {
			return nil, e
		}
		resources = append(resources, r)
	}
	if len(resources) > maxResources {
		return nil, fail(InvalidTarget, "A request may name "+strconv.Itoa(maxResources)+" resources at most.")
	}
	return resources, nil
}

func (p *Provider) checkResource(r string) *Error {
	switch {
	case len(r) > maxResource:
		return fail(InvalidTarget, "A resource has "+strconv.Itoa(maxResource)+" bytes at most.")
	case strings.Contains(r, "#"):
		return fail(InvalidTarget, "A resource is a URL without a fragment.")
	case r == p.cfg.Issuer, slices.Contains(p.cfg.Rules().Resources, r), below(p.cfg.Issuer, r):
		return nil
	}
	return fail(InvalidTarget, "There is no such resource here. Ask for the address of this server, of something below it, or leave resource out.")
}

// below reports whether a URL lies at the origin of the issuer and names one path
// in one way: whoever compares it with the path of a request compares bytes.
func below(issuer, resource string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return false
	}
	path, ok := strings.CutPrefix(resource, u.Scheme+"://"+u.Host)
	if !ok || path == "" {
		return ok
	}
	if path[0] != '/' || strings.ContainsFunc(path, notPlain) {
		return false
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && path != "/" {
			return false
		}
	}
	return true
}

// notPlain reports whether a character of a path could mean something else
// elsewhere: encoded, a query, a separator of some system, outside ASCII.
func notPlain(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`%?\;"<>`, c) }

// scopesOf splits a scope parameter, each scope once, in their order (RFC 6749,
// section 3.3). No text is no scope. The error is InvalidScope.
func scopesOf(text string) ([]string, error) {
	var scopes []string
	bytes := 0
	for s := range strings.SplitSeq(text, " ") {
		if s == "" || slices.Contains(scopes, s) {
			continue
		}
		if !isScopeToken(s) {
			return nil, fail(InvalidScope, "Name scopes with spaces between them, in printable ASCII without quotes, each of "+strconv.Itoa(maxScope)+" bytes at most.")
		}
		if bytes += len(s); bytes > maxAskedBytes || len(scopes) == maxAsked {
			return nil, fail(InvalidScope, "A request may name "+strconv.Itoa(maxAsked)+" scopes of "+strconv.Itoa(maxAskedBytes)+" bytes together.")
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// askedScopes returns the scopes that a request of a client asks for: all that the
// client was given and that there still are where it names none (RFC 6749, section
// 3.3). The error names the first one that nobody knows or that the client may not
// ask for.
func (p *Provider) askedScopes(c *Client, text string) ([]string, error) {
	scopes, err := scopesOf(text)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		if scopes = p.knownScopes(c); len(scopes) == 0 {
			return nil, fail(InvalidScope, "Name the scopes that are asked for: the client has none of its own.")
		}
		return scopes, nil
	}
	for _, s := range scopes {
		switch {
		case !isOwnScope(s) && !p.cfg.Rules().Known(s):
			return nil, fail(InvalidScope, "There is no scope "+shownScope(s)+".")
		case !c.MayAsk(s):
			return nil, fail(InvalidScope, "This client may not ask for the scope "+shownScope(s)+". Add it to the client.")
		}
	}
	return scopes, nil
}

// knownScopes are those of a client's own scopes that there still are.
func (p *Provider) knownScopes(c *Client) []string {
	return slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return !p.cfg.Rules().Known(s) })
}
