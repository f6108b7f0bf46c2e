package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// refreshGrace is how long a refresh token that was used is answered once more: the
// answer may have been lost on the way.
const refreshGrace = 10 * time.Second

// redeemRefresh answers a request with a refresh token (RFC 6749, section 6), and
// replaces it (RFC 9700, section 4.14.2). What is refused here uses nothing up.
func (p *Provider) redeemRefresh(ctx context.Context, c *Client, params Params) (*TokenAnswer, error) {
	raw, err := opaqueParam(params, "refresh_token", refreshPrefix)
	if err != nil {
		return nil, err
	}
	_, g, err := p.store.Refresh(ctx, HashOf(raw))
	if err != nil {
		return nil, refusal(err)
	}
	if g.ClientID != c.ID {
		return nil, notGranted(errors.New("the refresh token is another client's"))
	}
	scopes, err := narrowed(g.Scopes, params.Get("scope"))
	if err != nil {
		return nil, err
	}
	who, err := p.person(ctx, g)
	if err != nil {
		return nil, err
	}
	i, err := p.prepare(c, who, g, scopes, params.All("resource"), p.now())
	if err != nil {
		return nil, err
	}
	if err := p.rotate(ctx, i, raw); err != nil {
		return nil, err
	}
	return p.issue(ctx, i)
}

// narrowed returns the scopes that a refresh asks for: all that were granted where
// it does not say. The error is InvalidScope.
func narrowed(granted []string, text string) ([]string, error) {
	asked, err := scopesOf(text)
	if err != nil {
		return nil, err
	}
	for _, s := range asked {
		if !slices.Contains(granted, s) {
			return nil, fail(InvalidScope, "The scope "+shownScope(s)+" was not granted. Leave it out, or ask for authorization again.")
		}
	}
	if len(asked) == 0 {
		return granted, nil
	}
	return asked, nil
}

// rotate replaces a refresh token by its successor, which goes into i with the
// grant as it is afterwards.
func (p *Provider) rotate(ctx context.Context, i *issuance, raw string) error {
	tokens, hashes := p.successors(raw)
	next, ends := p.nextRefresh(i, hashes[0])
	if !i.now.Before(ends) {
		return notGranted(errors.New("the grant is older than grants may become"))
	}
	kept, g, err := p.store.Rotate(ctx, HashOf(raw), i.now, refreshGrace, hashes, next, ends)
	if err != nil {
		return p.replayed(ctx, err, i.grant, GrantRefresh)
	}
	at := slices.Index(hashes, kept.Hash)
	if at < 0 {
		return unavailable(errors.New("the store returned a refresh token that is no successor"))
	}
	i.refresh, i.grant = tokens[at], g
	return nil
}

// successors returns the refresh tokens that can replace one, by each of the keys,
// and their hashes. They are derived, so that whoever asks again gets the same.
func (p *Provider) successors(raw string) ([]string, []Hash) {
	var tokens []string
	var hashes []Hash
	for _, key := range p.cfg.RefreshKeys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(raw))
		next := refreshPrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		tokens, hashes = append(tokens, next), append(hashes, HashOf(next))
	}
	return tokens, hashes
}
