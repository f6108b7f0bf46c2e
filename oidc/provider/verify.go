package provider

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Lookup verifies an access token (RFC 9068, section 4): type, signature, issuer,
// time, and that nothing behind it has ended. The audience is the caller's to
// check (Covers). It is remembered: the second time costs one hash and one look
// into a map. Errors: ErrForeign, ErrInvalid, ErrExpired, or the store's.
func (p *Provider) Lookup(ctx context.Context, raw string) (*AccessToken, error) {
	if len(raw) > maxAccess {
		return nil, ErrForeign
	}
	hash, now := hashOf(raw), p.ms()
	t := p.tokens.get(&hash)
	switch {
	case t == nil:
		return p.stranger(ctx, raw, hash)
	case t.expires <= now:
		return nil, ErrExpired
	case p.tokens.believes(t, now):
		return t, nil
	}
	return p.ask(ctx, t)
}

// ms is the time in milliseconds since the epoch.
func (p *Provider) ms() int64 { return p.now().UnixMilli() }

// stranger looks up a token that is not remembered. The store hears only of those
// that one of our keys signed.
func (p *Provider) stranger(ctx context.Context, raw string, hash Hash) (*AccessToken, error) {
	c, err := p.verifyAccess(ctx, raw)
	if err != nil {
		return nil, err
	}
	expires := time.Unix(c.Expiry, 0)
	return p.ask(ctx, &AccessToken{
		ID: c.ID, ClientID: c.ClientID, GrantID: c.GrantID, Subject: c.Subject,
		Scopes: strings.Fields(c.Scope), Audience: c.Audience, IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: expires,
		provider: p, hash: hash, expires: expires.UnixMilli(),
	})
}

// receivedClaims are what an access token says that came from outside.
type receivedClaims struct {
	accessClaims
	Confirmation json.RawMessage `json:"cnf"`
}

// verifyAccess returns the claims of an access token of ours. Type and key ID say
// whether it claims to be one; then it is that or broken.
func (p *Provider) verifyAccess(ctx context.Context, raw string) (c receivedClaims, err error) {
	h, ok := peek(raw, maxAccess)
	if !ok || h.typ() != typeAccess {
		return c, ErrForeign
	}
	key, err := p.accessKey(ctx, raw, h)
	if err != nil {
		return c, err
	}
	if h.Algorithm != algES256 || key.Algorithm != algES256 {
		return c, ErrInvalid
	}
	payload, ok := openJWT(raw, key)
	if !ok || json.Unmarshal(payload, &c) != nil {
		return c, ErrInvalid
	}
	return c, p.checkAccess(c)
}

// accessKey returns the key that a token names. One that is not known is looked for
// in the store only for a token that says it is of this issuer: those of others
// need neither a look nor a store that answers.
func (p *Provider) accessKey(ctx context.Context, raw string, h header) (*signer, error) {
	if key := p.keys.known(h.KeyID); key != nil {
		return key, nil
	}
	if peekIssuer(raw) != p.cfg.Issuer {
		return nil, ErrForeign
	}
	key, err := p.keys.find(ctx, h.KeyID)
	if err == nil && key == nil {
		err = ErrForeign
	}
	return key, err
}

// checkAccess checks the claims of a token whose signature is right (RFC 9068,
// section 4).
func (p *Provider) checkAccess(c receivedClaims) error {
	now := p.now()
	required := []string{c.ID, c.ClientID, c.Subject}
	switch {
	case c.Issuer != p.cfg.Issuer, slices.Contains(required, ""), len(c.Audience) == 0:
		return ErrInvalid
	case c.IssuedAt <= 0, time.Unix(c.IssuedAt, 0).After(now.Add(clockSkew)), c.Expiry <= c.IssuedAt:
		return ErrInvalid
	case isConstrained(c):
		return ErrInvalid
	case !now.Before(time.Unix(c.Expiry, 0)):
		return ErrExpired
	}
	return nil
}

// isConstrained reports whether a token is bound to a key of its sender (RFC 7800:
// "cnf"), and so is worth nothing without a proof. Here, and where requests are
// read, proofs would be checked: DPoP (RFC 9449) or the client's certificate (RFC
// 8705). No proof is understood yet, so that no such token is good for anything.
func isConstrained(c receivedClaims) bool { return c.Confirmation != nil }

// hashOf is HashOf, without an allocation for a token of common size.
func hashOf(raw string) Hash {
	var on [2 << 10]byte // the stack
	if len(raw) > len(on) {
		return HashOf(raw)
	}
	return sha256.Sum256(on[:copy(on[:], raw)])
}

// Claims reports whether something says that it is an access token that one of our
// keys signed. Nothing of it is believed by that.
func (p *Provider) Claims(raw string) bool {
	h, ok := peek(raw, maxAccess)
	return ok && h.typ() == typeAccess && p.keys.known(h.KeyID) != nil
}
