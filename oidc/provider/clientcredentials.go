package provider

import (
	"context"
	"strings"
)

// clientCredentials answers a client that asks on its own behalf (RFC 6749, section
// 4.4). Nothing is written and, for a client that is remembered, nothing is read:
// such a token belongs to no grant.
func (p *Provider) clientCredentials(ctx context.Context, c *Client, params Params) (*TokenAnswer, error) {
	if c.Type != Confidential {
		return nil, fail(UnauthorizedClient, "A public client cannot have tokens of its own: it cannot prove who it is.")
	}
	scopes, err := p.ownScopes(c, params.Get("scope"))
	if err != nil {
		return nil, err
	}
	resources, err := checkResources(p, params.All("resource"))
	if err != nil {
		return nil, err
	}
	now := p.now()
	return p.bearer(ctx, now.Add(p.cfg.Rules().AccessLifetime), accessClaims{
		Audience: p.audience(resources), Subject: c.ID, ClientID: c.ID, IssuedAt: now.Unix(), Scope: strings.Join(scopes, " "),
	})
}

// ownScopes returns the scopes of a client's own token: all that it may have where
// it does not say. The error is InvalidScope.
func (p *Provider) ownScopes(c *Client, text string) ([]string, error) {
	asked, err := scopesOf(text)
	if err != nil {
		return nil, err
	}
	known := p.cfg.Rules().Known
	for _, s := range asked {
		switch {
		case isOwnScope(s):
			return nil, fail(InvalidScope, "The scope "+s+" is about a person, and client_credentials are about none.")
		case !c.MayAsk(s) || !known(s):
			return nil, fail(InvalidScope, "The client may not ask for the scope "+shownScope(s)+".")
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	return p.allOwn(c)
}

// allOwn returns all scopes of a client that are known. A client that has none gets
// a token without: it says who it is, and opens what needs no scope.
func (p *Provider) allOwn(c *Client) ([]string, error) {
	scopes := p.knownScopes(c)
	if len(scopes) == 0 && len(c.Scopes) > 0 {
		return nil, fail(InvalidScope, "None of the scopes of the client is known any more. Register others for it.")
	}
	return scopes, nil
}
