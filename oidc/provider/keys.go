package provider

import (
	"context"
	"encoding/json"
	"time"
)

// clockSkew is how far the clocks of those who share the keys may differ.
const clockSkew = time.Minute

// RotateKeys makes new signing keys that are used at once; the ones before verify
// until their tokens have expired.
func (p *Provider) RotateKeys(ctx context.Context) error {
	return p.keys.rotate(ctx)
}

// mintAccess signs an access token (RFC 9068, section 2).
func (p *Provider) mintAccess(ctx context.Context, t accessClaims) (string, error) {
	return p.keys.sign(ctx, algES256, typeAccess, t)
}

// accessClaims are the payload of an access token.
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Expiry   int64    `json:"exp"`
	Audience audience `json:"aud"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	Scope    string   `json:"scope,omitempty"`
	GrantID  string   `json:"grant_id,omitempty"`
}

// verifyID returns the claims of an ID token of this server, also of one that has
// expired: hints are good for long (OpenID Connect Core 3.1.2.1). Errors:
// ErrInvalid, or the store's.
func (p *Provider) verifyID(ctx context.Context, raw string) (idClaims, error) {
	h, ok := peek(raw, maxID)
	if typ := h.typ(); !ok || typ != "jwt" && typ != "" {
		return idClaims{}, ErrInvalid
	}
	key, err := p.keys.find(ctx, h.KeyID)
	if err != nil {
		return idClaims{}, err
	}
	if key == nil || h.Algorithm != key.Algorithm {
		return idClaims{}, ErrInvalid
	}
	payload, ok := openJWT(raw, key)
	var c idClaims
	if !ok || json.Unmarshal(payload, &c) != nil || !p.holds(c) {
		return idClaims{}, ErrInvalid
	}
	return c, nil
}

// holds reports whether the claims of an ID token can be those of a session that
// still counts.
func (p *Provider) holds(c idClaims) bool {
	now, issued := p.now(), time.Unix(c.IssuedAt, 0)
	return c.Issuer == p.cfg.Issuer && c.Subject != "" && c.Audience != "" && c.Expiry > 0 &&
		!issued.After(now.Add(clockSkew)) && now.Sub(issued) <= p.cfg.Rules().GrantLifetime
}

// idClaims are the payload of an ID token (OpenID Connect Core 2).
type idClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expiry   int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	AuthTime int64    `json:"auth_time,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
	ATHash   string   `json:"at_hash,omitempty"`
	SID      string   `json:"sid,omitempty"`
	Username string   `json:"preferred_username,omitempty"`
	Name     string   `json:"name,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Email    string   `json:"email,omitempty"`
	Verified *bool    `json:"email_verified,omitempty"`
}
