package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// userInfo asks the userinfo endpoint (Core 1.0 §5.3) about the person of l. It
// returns nil when the provider has none.
func (p *Provider) userInfo(ctx context.Context, l *Login) (claims, error) {
	m, err := p.metadata.get(ctx)
	if err != nil || m.UserInfo == "" || l.AccessToken == "" {
		return nil, err
	}
	a, err := p.get(ctx, "userinfo", m.UserInfo, l.AccessToken)
	if err != nil {
		return nil, err
	}
	c, err := p.readClaims(ctx, a)
	if err != nil {
		return nil, err
	}
	// Without this somebody else's token would make somebody else of the person.
	if c.text("sub") != l.Subject {
		return nil, failure(Untrusted, "the answer is about another subject and is not used")
	}
	return c, nil
}

// readClaims reads an answer that is a JSON object, or one in a signed token.
func (p *Provider) readClaims(ctx context.Context, a answer) (claims, error) {
	if a.mediaType != "application/jwt" {
		c, err := parseClaims(a.body)
		if err != nil {
			return nil, failure(Untrusted, "%w", err)
		}
		return c, nil
	}
	token, err := p.verify(ctx, strings.TrimSpace(string(a.body)), maxToken, restForOwn)
	if err != nil {
		return nil, err
	}
	if iss, ok := token.claims["iss"]; ok && iss != p.cfg.Issuer {
		return nil, failure(Untrusted, "a token of another issuer")
	}
	if aud := token.claims.audience(); token.claims["aud"] != nil && !slices.Contains(aud, p.cfg.ClientID) {
		return nil, failure(Untrusted, "a token for another client")
	}
	return token.claims, nil
}

// isUnauthorized reports whether err is a 401.
func isUnauthorized(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.status == http.StatusUnauthorized
}

// source returns the name of the place where a distributed claim is to be had
// (Core 1.0 §5.6.2), or "".
func (c claims) source(claim string) string {
	names, _ := c["_claim_names"].(map[string]any)
	return claims(names).text(claim)
}

// distributedGroups fetches the groups from the source of that name, which must
// be on the host of the issuer: a token tells us to ask there, and would
// otherwise choose where this server sends requests.
func (p *Provider) distributedGroups(ctx context.Context, l *Login, c claims, claim, name string) {
	sources, _ := c["_claim_sources"].(map[string]any)
	source, _ := sources[name].(map[string]any)
	endpoint := claims(source).text("endpoint")
	if !sameOrigin(endpoint, p.cfg.Issuer) {
		l.warn("no groups: the provider refers to %s for them, which is not on its own host and is not asked; "+
			"limit the groups of this application at the provider so that they fit into the token", foreign(host(endpoint)))
		return
	}
	a, err := p.get(ctx, "distributed claims", endpoint, claims(source).text("access_token"))
	if err != nil {
		l.warn("no groups: %s", p.named(err))
		return
	}
	a.mediaType = "application/jwt" // Core 1.0 §5.6.2.2 leaves nothing else
	more, err := p.readClaims(ctx, a)
	if err != nil {
		l.warn("no groups: distributed claims: %s", p.named(err))
		return
	}
	if sub, ok := more["sub"]; ok && sub != l.Subject {
		l.warn("no groups: the distributed claims are about another subject")
		return
	}
	value, _ := more.find(claim)
	groups, warnings := groupsOf(value)
	l.Groups, l.Warnings = groups, append(l.Warnings, warnings...)
}

// sameOrigin reports whether both addresses have the same scheme, host and port.
func sameOrigin(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && ua.User == nil && ua.Host != "" && ua.Scheme == ub.Scheme && strings.EqualFold(ua.Host, ub.Host)
}

// host is the host of an address, or "" when it has none.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
