package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLifetime is how long a code can be redeemed (RFC 6749, section 4.1.2, has ten
// minutes as the most).
const codeLifetime = 60 * time.Second

// Grantable returns what of the asked scopes a person can give today: scopes that
// the policy has, and that they hold. It is what consent is asked for.
func (p *Provider) Grantable(r *Request, who *Person) []string {
	return p.grantable(r.Client, r.Scopes, who)
}

// grantable leaves offline_access out where the client cannot refresh (OpenID Connect
// Core 11).
func (p *Provider) grantable(c *Client, asked []string, who *Person) []string {
	rules := p.cfg.Rules()
	var scopes []string
	for _, s := range asked {
		holds := isOwnScope(s) || rules.Known(s) && who.May(s)
		if holds && c.MayAsk(s) && (s != ScopeOfflineAccess || c.MayUse(GrantRefresh)) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// Consented reports whether nobody has to be asked: a first-party client, or one
// that was allowed all of this before. Either has to be one that can be told apart
// from others (RFC 8252, section 8.6). A device is always asked about. The error is
// Unavailable.
func (p *Provider) Consented(ctx context.Context, r *Request, who *Person) (bool, error) {
	switch {
	case r.RedirectURI == "", r.Wants("consent"):
		return false, nil
	case !tellable(r):
		return false, nil
	case r.Client.FirstParty:
		return true, nil
	}
	given, err := p.store.Consent(ctx, who.UserID, r.Client.ID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	return within(p.Grantable(r, who), given.Scopes) && within(p.audience(r.Resources), given.Resources), nil
}

// audience returns whom tokens are for: without resources this server.
func (p *Provider) audience(resources []string) []string {
	if len(resources) == 0 {
		return []string{p.cfg.Issuer}
	}
	return resources
}

// tellable reports whether the answer reaches the client that is named and no other
// one: it proves itself when it redeems the code, or owns the address. Anybody can
// listen on a loopback address or claim a scheme.
func tellable(r *Request) bool {
	return r.Client.Type == Confidential || strings.HasPrefix(r.RedirectURI, "https://")
}

// within reports whether all of a are among b.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// An Approval is what a person said to a request.
type Approval struct {
	Who      *Person
	Scopes   []string // that they agreed to: some of Grantable
	Remember bool
	AuthTime time.Time // when they signed in
	SID      string    // names the browser session to the client; "" for none
}

// Approve issues a code and returns where the browser goes with it. The context
// carries the journal. The error is an *Error; one with Redirect goes there.
func (p *Provider) Approve(ctx context.Context, r *Request, a Approval) (string, error) {
	c, err := p.asker(ctx, r.Client.ID)
	if err != nil {
		return "", err
	}
	if !c.Redirects(r.RedirectURI) || !c.MayUse(GrantCode) {
		return "", fail(InvalidRequest, "The app was changed meanwhile. Go back to it and begin again.")
	}
	now := p.now()
	grant, e := p.agreed(ctx, c, r, a, now.Add(codeLifetime))
	if e != nil {
		return "", p.decline(r, e)
	}
	code := newSecret("wgac_")
	authorization := Authorization{Grant: grant, Consent: p.remembered(grant, a), Pushed: r.pushed, Code: Code{
		Hash: HashOf(code), GrantID: grant.ID, ClientID: c.ID, RedirectURI: r.RedirectURI, RedirectGiven: r.RedirectGiven,
		Challenge: r.Challenge, ExpiresAt: grant.ExpiresAt,
	}}
	if err := p.store.Authorize(ctx, authorization, now); err != nil {
		return "", authorizeError(err)
	}
	return p.answer(r, url.Values{"code": {code}}), nil
}

// decline sends the refusal of a person's request to the client. Where nothing
// could be found out, a page says so, and they can say it again.
func (p *Provider) decline(r *Request, e *Error) *Error {
	if e.Code != Unavailable {
		e.Redirect = p.Refuse(r, e.Code, e.Description)
	}
	return e
}

// agreed returns the grant that an approval makes, of what client and person may
// have at this moment.
func (p *Provider) agreed(ctx context.Context, c *Client, r *Request, a Approval, ends time.Time) (Grant, *Error) {
	who, err := p.cfg.Person(ctx, a.Who.UserID)
	switch {
	case errors.Is(err, ErrNoPerson):
		return Grant{}, fail(AccessDenied, "This account may not let anybody in.")
	case err != nil:
		return Grant{}, unavailable(err)
	case r.IDTokenHint != "" && r.IDTokenHint != who.Subject: // OpenID Connect Core 3.1.2.1
		return Grant{}, fail(LoginRequired, "Somebody else is signed in than the id_token_hint says.")
	}
	scopes := slices.DeleteFunc(p.grantable(c, r.Scopes, who), func(s string) bool { return !slices.Contains(a.Scopes, s) })
	if len(scopes) == 0 {
		return Grant{}, fail(AccessDenied, "This account can give nothing of what was asked for.")
	}
	return Grant{
		ID: "grt_" + strings.ToLower(rand.Text()), ClientID: c.ID, UserID: who.UserID, Subject: who.Subject,
		Scopes: scopes, Resources: r.Resources, Nonce: r.Nonce, SID: a.SID,
		AuthTime: stamp(a.AuthTime), CreatedAt: stamp(p.now()), ExpiresAt: stamp(ends),
	}, nil
}

// remembered returns the consent that is kept with a grant, nil for none. It names
// this server too, so that consent to one audience is none to another.
func (p *Provider) remembered(g Grant, a Approval) *Consent {
	if !a.Remember {
		return nil
	}
	return &Consent{
		UserID: g.UserID, ClientID: g.ClientID, Scopes: g.Scopes, Resources: p.audience(g.Resources), GivenAt: g.CreatedAt,
	}
}

// authorizeError explains on a page why an approval was not written. It is not for
// the client: another tab may have answered it already.
func authorizeError(err error) *Error {
	switch {
	case errors.Is(err, ErrUsed):
		return fail(InvalidRequestURI, "This request has expired or was answered before. Go back to the app and begin again.")
	case errors.Is(err, ErrEnded):
		return fail(AccessDenied, "The app or this account was switched off meanwhile.")
	}
	return unavailable(err)
}
