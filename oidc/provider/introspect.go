package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// inactive is the whole answer about what is no token, or none of the caller's
// business (RFC 7662, section 2.2).
func inactive() map[string]any { return map[string]any{"active": false} }

// Introspect says what a token is to a client that may know (RFC 7662): its own,
// or any where it has Introspect. What it may not know is not active. The error is
// an *Error: InvalidClient for a public one, InvalidRequest, Unavailable.
func (p *Provider) Introspect(ctx context.Context, c *Client, params Params) (map[string]any, error) {
	if c.Type != Confidential {
		return nil, &Error{
			Code: InvalidClient, Description: "Only a client that proves who it is may ask about tokens.",
			Status: http.StatusUnauthorized,
		}
	}
	raw := params.Get("token")
	switch {
	case raw == "":
		return nil, missing("token")
	case strings.HasPrefix(raw, refreshPrefix): // token_type_hint says no more than that
		return p.introspectRefresh(ctx, c, raw)
	}
	return p.introspectAccess(ctx, c, raw)
}

func (p *Provider) introspectAccess(ctx context.Context, c *Client, raw string) (map[string]any, error) {
	t, err := p.Lookup(ctx, raw)
	switch {
	case isNoToken(err):
		return inactive(), nil
	case err != nil:
		return nil, unavailable(err)
	case t.ClientID != c.ID && !c.Introspect:
		return inactive(), nil
	}
	facts := map[string]any{
		"active": true, "iss": p.cfg.Issuer, "sub": t.Subject, "aud": audience(t.Audience), "client_id": t.ClientID,
		"scope": strings.Join(p.stillKnown(t.Scopes), " "), "iat": t.IssuedAt.Unix(), "exp": t.ExpiresAt.Unix(),
		"jti": t.ID, "token_type": "Bearer",
	}
	return p.withUsername(ctx, t.UserID, facts)
}

// introspectRefresh says what can be had for a refresh token. It is active until it
// was used.
func (p *Provider) introspectRefresh(ctx context.Context, c *Client, raw string) (map[string]any, error) {
	if !isOpaque(refreshPrefix, raw) {
		return inactive(), nil
	}
	r, g, err := p.store.Refresh(ctx, HashOf(raw))
	switch {
	case errors.Is(err, ErrNotFound):
		return inactive(), nil
	case err != nil:
		return nil, unavailable(err)
	case g.ClientID != c.ID && !c.Introspect, !p.redeemableRefresh(r, g):
		return inactive(), nil
	}
	if _, err := p.client(ctx, g.ClientID); errors.Is(err, ErrNotFound) {
		return inactive(), nil
	} else if err != nil {
		return nil, unavailable(err)
	}
	return p.withUsername(ctx, g.UserID, map[string]any{
		"active": true, "iss": p.cfg.Issuer, "sub": g.Subject, "aud": audience(p.audience(g.Resources)), "client_id": g.ClientID,
		"scope": strings.Join(p.stillKnown(g.Scopes), " "), "iat": r.CreatedAt.Unix(), "exp": earlier(r.ExpiresAt, g.ExpiresAt).Unix(),
	})
}

// stillKnown are the scopes that still mean something: the gateway takes the others
// for nothing.
func (p *Provider) stillKnown(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !isOwnScope(s) && !p.cfg.Rules().Known(s) })
}

// redeemableRefresh reports whether neither a refresh token nor its grant has ended.
func (p *Provider) redeemableRefresh(r Refresh, g Grant) bool {
	return r.ConsumedAt.IsZero() && g.RevokedAt.IsZero() && p.now().Before(earlier(r.ExpiresAt, g.ExpiresAt))
}

// withUsername adds the name of a person, where there is one behind the token. A
// token of somebody who may have none is not active.
func (p *Provider) withUsername(ctx context.Context, userID string, facts map[string]any) (map[string]any, error) {
	if userID == "" {
		return facts, nil
	}
	who, err := p.cfg.Person(ctx, userID)
	switch {
	case errors.Is(err, ErrNoPerson):
		return inactive(), nil
	case err != nil:
		return nil, unavailable(err)
	}
	facts["username"] = who.Username
	return facts, nil
}
