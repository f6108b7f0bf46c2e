package oidc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Login is what the provider says about a person who has signed in, checked.
// The pair of Issuer and Subject is the account; nothing else identifies it.
type Login struct {
	Issuer, Subject string
	SID             string // the provider's session, for back-channel logout; "" when it gives none

	Username string   // never empty: the subject, where nothing better is known
	Email    string   // "" unless the provider says that it has verified it
	Groups   []string // without duplicates; at most 1,000, each of at most 256 bytes

	IDToken      string // for LogoutURL and Refresh
	AccessToken  string
	RefreshToken string    // "" when the provider gave none
	Expiry       time.Time // of AccessToken; zero when the provider does not say
	AuthTime     time.Time // when the person proved who they are; zero when it does not say

	// Warnings are for the operator's log: what was left out of this login, and
	// why. They hold no tokens.
	Warnings []string
}

func (l *Login) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// describe fills in what the claims of idToken and, where they lack something,
// those of userinfo say about the person. A refresh need not bring an ID token:
// then userinfo alone counts, and old, the claims of the last ID token, stand in
// when it does not answer either.
func (p *Provider) describe(ctx context.Context, l *Login, idToken, old claims) error {
	var sources []claims
	if idToken != nil {
		sources = append(sources, idToken)
	}
	missed := false
	if idToken == nil || p.lacks(idToken) {
		info, err := p.userInfo(ctx, l)
		switch {
		case err != nil && idToken == nil && isUnauthorized(err):
			// The access token is new, so it is the person who is gone.
			return &Error{Kind: Denied, err: fmt.Errorf("%w: userinfo knows this account no more", ErrRefused)}
		case err != nil:
			missed = true
			l.warn("userinfo: %s", p.named(err))
		case info != nil:
			sources = append(sources, info)
		}
	}
	if len(sources) == 0 {
		l.warn("the provider sent neither an ID token nor userinfo with the refresh: name, e-mail and groups are those of before")
		sources = append(sources, old)
	}
	p.nameUser(l, append(slices.Clone(sources), namesOf(old, sources)))
	_, had := old.find(p.groupsClaim())
	p.findGroups(ctx, l, sources, missed, had)
	return nil
}

// namesOf is what old may still say about a person of whom sources speak now:
// an e-mail address only while they do not mention any.
func namesOf(old claims, sources []claims) claims {
	if slices.ContainsFunc(sources, func(c claims) bool { return c["email"] != nil }) {
		old = maps.Clone(old)
		delete(old, "email")
	}
	return old
}

// lacks reports whether userinfo may know more than the ID token.
func (p *Provider) lacks(c claims) bool {
	username := p.cfg.UsernameClaim
	if username == "" {
		username = "preferred_username"
	}
	_, groups := c.find(p.groupsClaim())
	return c.name(username) == "" || c.email() == "" || !groups && c.source(p.groupsClaim()) == ""
}

func (p *Provider) groupsClaim() string {
	if p.cfg.GroupsClaim != "" {
		return p.cfg.GroupsClaim
	}
	return "groups"
}

// nameUser sets Username and Email. The address and the flag that it is
// verified come from the same source.
func (p *Provider) nameUser(l *Login, sources []claims) {
	first := func(get func(claims) string) string {
		for _, c := range sources {
			if s := get(c); s != "" {
				return s
			}
		}
		return ""
	}
	claim := func(name string) string {
		if name == "email" { // one that is not verified names nobody
			return first(claims.email)
		}
		return first(func(c claims) string { return c.name(name) })
	}
	l.Email = first(claims.email)
	l.Username = l.Subject
	if p.cfg.UsernameClaim != "" {
		if name := claim(p.cfg.UsernameClaim); name != "" {
			l.Username = name
		} else {
			l.warn("no usable claim %q; the user name is the subject", p.cfg.UsernameClaim)
		}
		return
	}
	for _, name := range []string{"preferred_username", "email", "name"} {
		if s := claim(name); s != "" {
			l.Username = s
			return
		}
	}
}

// findGroups sets Groups from the first source that has the claim. Whatever
// goes wrong, there are fewer groups and not more. missed says that userinfo
// failed, and had that the last ID token had the claim.
func (p *Provider) findGroups(ctx context.Context, l *Login, sources []claims, missed, had bool) {
	claim := p.groupsClaim()
	for _, c := range sources {
		value, ok := c.find(claim)
		if !ok {
			continue
		}
		groups, warnings := groupsOf(value)
		l.Groups, l.Warnings = groups, append(l.Warnings, warnings...)
		return
	}
	for _, c := range sources {
		if name := c.source(claim); name != "" {
			p.distributedGroups(ctx, l, c, claim, name)
			return
		}
		if c["hasgroups"] == true {
			l.warn("the person is in more groups than the provider puts into a token, so there are none: limit the groups of this application at the provider")
			return
		}
	}
	switch {
	case missed:
		l.warn("no groups: the claim %q is not in the ID token, and userinfo did not answer", claim)
	case had:
		l.warn("no groups any more: the claim %q came at sign-in but not with the refresh", claim)
	case p.cfg.GroupsClaim != "":
		l.warn("no groups: the provider sends no claim %q", claim)
	}
}
