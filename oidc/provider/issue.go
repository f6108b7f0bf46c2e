package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
)

// mostGrants bounds the grants of one person to one client that live at the same
// time: a command-line tool on that many machines.
const mostGrants = 100

// An issuance is what the tokens of one answer to a person's client are made of.
type issuance struct {
	client   *Client
	who      *Person // as they are known now
	grant    Grant
	scopes   []string // of the access token
	audience []string // of the access token
	nonce    string   // of the ID token, "" for none
	refresh  string   // "" for none
	now      time.Time
}

// person returns the person of a grant as they are known now. The grant of somebody
// who may have no tokens any more is ended.
func (p *Provider) person(ctx context.Context, g Grant) (*Person, error) {
	who, err := p.cfg.Person(ctx, g.UserID)
	switch {
	case errors.Is(err, ErrNoPerson):
		if err := p.revokeGrant(ctx, g.ID); err != nil {
			return nil, err
		}
		return nil, notGranted(err)
	case err != nil:
		return nil, unavailable(err)
	}
	return who, nil
}

// revokeGrant ends a grant, for this process at once. The error is Unavailable.
func (p *Provider) revokeGrant(ctx context.Context, id string) error {
	if err := p.store.RevokeGrant(ctx, id, p.now()); err != nil {
		return unavailable(err)
	}
	p.Apply([]Change{{ChangedGrant, id}})
	return nil
}

// prepare decides what can be given today of what a grant allows: to scopes and
// resources (none is all) it is narrowed. Errors: InvalidTarget, InvalidScope,
// InvalidGrant.
func (p *Provider) prepare(c *Client, who *Person, g Grant, scopes, resources []string, now time.Time) (*issuance, error) {
	to, err := p.narrowedAudience(g, resources)
	if err != nil {
		return nil, err
	}
	i := &issuance{client: c, who: who, grant: g, audience: to, now: now}
	if i.scopes = p.grantable(c, scopes, who); len(i.scopes) > 0 {
		return i, nil
	}
	if len(scopes) < len(g.Scopes) {
		return nil, fail(InvalidScope, "None of these scopes can be given any more. Ask for others, or for authorization again.")
	}
	return nil, fail(InvalidGrant, "None of what was allowed can be given any more. Ask for authorization again.")
}

// narrowedAudience returns the audience of an access token: the asked ones of the
// resources that were granted (RFC 8707, section 2.2), all of those that the policy
// still has where none is asked for. The error is InvalidTarget.
func (p *Provider) narrowedAudience(g Grant, asked []string) ([]string, error) {
	granted := p.audience(g.Resources)
	asked, err := checkResources(p, asked)
	if err != nil {
		return nil, err
	}
	if !within(asked, granted) {
		return nil, fail(InvalidTarget, "A resource is not among those that were authorized. Leave resource out, or ask for authorization again.")
	}
	if len(asked) > 0 {
		return asked, nil
	}
	left := slices.DeleteFunc(slices.Clone(granted), func(r string) bool { return p.checkResource(r) != nil })
	if len(left) == 0 {
		return nil, fail(InvalidTarget, "None of the authorized resources is there any more. Ask for authorization again.")
	}
	return left, nil
}

// refreshes reports whether refresh tokens come of a grant: for plain OAuth, and
// with OpenID Connect where offline_access was allowed (Core, section 11).
func refreshes(c *Client, g Grant) bool {
	return c.MayUse(GrantRefresh) &&
		(slices.Contains(g.Scopes, ScopeOfflineAccess) || !slices.Contains(g.Scopes, ScopeOpenID))
}

// begin returns the first refresh token of a grant, zero where it gets none, and
// when the grant ends: no later than the last of its tokens.
func (p *Provider) begin(i *issuance) (Refresh, time.Time) {
	if !refreshes(i.client, i.grant) {
		return Refresh{}, p.ends(i, p.cfg.Rules().AccessLifetime)
	}
	i.refresh = newSecret(refreshPrefix)
	return p.nextRefresh(i, HashOf(i.refresh))
}

// nextRefresh returns the record of a refresh token, and when its grant ends.
func (p *Provider) nextRefresh(i *issuance, h Hash) (Refresh, time.Time) {
	ends := p.ends(i, p.cfg.Rules().RefreshLifetime)
	return Refresh{Hash: h, GrantID: i.grant.ID, CreatedAt: i.now, ExpiresAt: ends}, ends
}

// ends returns when a grant ends whose last token has a lifetime from now on.
func (p *Provider) ends(i *issuance, lifetime time.Duration) time.Time {
	return earlier(i.now.Add(lifetime), i.grant.CreatedAt.Add(p.cfg.Rules().GrantLifetime))
}

// issue signs the tokens. The grant is the one that the store returned: no token
// outlives it.
func (p *Provider) issue(ctx context.Context, i *issuance) (*TokenAnswer, error) {
	expires := earlier(i.now.Add(p.cfg.Rules().AccessLifetime), i.grant.ExpiresAt)
	a, err := p.bearer(ctx, expires, accessClaims{
		Audience: i.audience, Subject: i.grant.Subject, ClientID: i.client.ID, IssuedAt: i.now.Unix(),
		Scope: strings.Join(i.scopes, " "), GrantID: i.grant.ID,
	})
	if err != nil {
		return nil, err
	}
	a.RefreshToken = i.refresh
	if slices.Contains(i.scopes, ScopeOpenID) {
		if a.IDToken, err = p.idToken(ctx, i, a.AccessToken, expires); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// bearer returns the answer with an access token, of which issuer, ID and expiry
// are filled in.
func (p *Provider) bearer(ctx context.Context, expires time.Time, claims accessClaims) (*TokenAnswer, error) {
	claims.Issuer, claims.ID, claims.Expiry = p.cfg.Issuer, rand.Text(), expires.Unix()
	token, err := p.mintAccess(ctx, claims)
	if err != nil {
		return nil, unavailable(err)
	}
	if len(token) > maxAccess {
		return nil, fail(InvalidScope, "The access token would become too large. Ask for fewer scopes and resources.")
	}
	return &TokenAnswer{AccessToken: token, TokenType: "Bearer", ExpiresIn: claims.Expiry - claims.IssuedAt, Scope: claims.Scope}, nil
}
