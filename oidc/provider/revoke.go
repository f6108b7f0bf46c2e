package provider

import (
	"context"
	"errors"
	"strings"
)

// Revoke ends a token of the client (RFC 7009): a refresh token with all that came
// of the same consent, an access token alone. Tokens that are not there, or not the
// client's, are no error. The error is an *Error: InvalidRequest, Unavailable.
func (p *Provider) Revoke(ctx context.Context, c *Client, params Params) error {
	raw := params.Get("token")
	switch {
	case raw == "":
		return missing("token")
	case strings.HasPrefix(raw, refreshPrefix): // token_type_hint says no more than that
		return p.revokeRefresh(ctx, c, raw)
	}
	return p.revokeAccess(ctx, c, raw)
}

func (p *Provider) revokeRefresh(ctx context.Context, c *Client, raw string) error {
	if !isOpaque(refreshPrefix, raw) {
		return nil
	}
	_, g, err := p.store.Refresh(ctx, HashOf(raw))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return unavailable(err)
	case g.ClientID != c.ID:
		return nil
	}
	return p.revokeGrant(ctx, g.ID)
}

func (p *Provider) revokeAccess(ctx context.Context, c *Client, raw string) error {
	t, err := p.Lookup(ctx, raw)
	switch {
	case isNoToken(err):
		return nil
	case err != nil:
		return unavailable(err)
	case t.ClientID != c.ID:
		return nil
	}
	if err := p.store.RevokeToken(ctx, t.ID, t.ExpiresAt); err != nil {
		return unavailable(err)
	}
	p.Apply([]Change{{ChangedToken, t.ID}})
	return nil
}

// isNoToken reports whether an error of Lookup says that the token opens nothing,
// rather than that it cannot be known.
func isNoToken(err error) bool {
	return errors.Is(err, ErrForeign) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired)
}
