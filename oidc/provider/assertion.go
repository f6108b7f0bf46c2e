package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Bounds of assertions.
const (
	maxAssertion     = 8 << 10 // bytes
	maxAssertionLife = time.Hour
	maxAssertionID   = 256 // bytes
	assertionSkew    = 60 * time.Second
)

// assertionClaims are the payload of a client's assertion (RFC 7523, section 3).
type assertionClaims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  jwt.Audience     `json:"aud"`
	ID        string           `json:"jti"`
	Expiry    *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
}

// parseAssertion reads an assertion and verifies nothing.
func parseAssertion(raw string) (*jwt.JSONWebToken, error) {
	if len(raw) > maxAssertion {
		return nil, fmt.Errorf("it has %d bytes, over %d", len(raw), maxAssertion)
	}
	token, err := jwt.ParseSigned(raw, assertionAlgs)
	if err != nil {
		return nil, errors.New("it is no JWT that one of the allowed algorithms signed")
	}
	return token, nil
}

// assertionSubject returns whom an assertion claims to be from, or "".
func assertionSubject(raw string) string {
	token, err := parseAssertion(raw)
	if err != nil {
		return ""
	}
	var c assertionClaims
	if token.UnsafeClaimsWithoutVerification(&c) != nil {
		return ""
	}
	return c.Subject
}

// byAssertion returns the client if the assertion proves it. a is nil where there
// is no such client.
func (p *Provider) byAssertion(ctx context.Context, cl claim, a *app) (*Client, error) {
	switch {
	case a == nil:
		return nil, notClient(false, errNoClient)
	case a.client.Type == Public:
		return nil, notClient(false, errPublic)
	case len(a.client.JWKS) == 0:
		return nil, notClient(false, errWantsSecret)
	}
	c, err := p.verifyAssertion(cl.assertion, a)
	if err != nil {
		return nil, notClient(false, fmt.Errorf("%w: %w", errAssertion, err))
	}
	// Last of all: who cannot sign uses nothing up.
	err = p.store.UseAssertion(ctx, a.client.ID, c.ID, c.Expiry.Time())
	switch {
	case errors.Is(err, ErrUsed):
		return nil, notClient(false, errAssertedOnce)
	case err != nil:
		return nil, unavailable(err)
	}
	return a.client, nil
}

// verifyAssertion returns the claims of an assertion that one of the client's keys
// signed and that is for this server, now.
func (p *Provider) verifyAssertion(raw string, a *app) (*assertionClaims, error) {
	token, err := parseAssertion(raw)
	if err != nil {
		return nil, err
	}
	header := token.Headers[0]
	if !isAssertionType(header) {
		return nil, errors.New("its typ is that of another kind of token")
	}
	var c assertionClaims
	if !signedBy(token, header, a.keys, &c) {
		return nil, errors.New("none of the client's keys signed it, or its claims cannot be read")
	}
	return &c, p.checkAssertion(&c, a.client.ID)
}

// isAssertionType reports whether a token says that it is an assertion, or nothing:
// an access token or a logout token is none (RFC 8725, section 3.11).
func isAssertionType(header jose.Header) bool {
	raw, given := header.ExtraHeaders[jose.HeaderType]
	if !given {
		return true
	}
	typ, _ := raw.(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return typ == "jwt" || typ == "client-authentication+jwt"
}

// signedBy verifies the signature with those keys that can have made it, and reads
// the claims.
func signedBy(token *jwt.JSONWebToken, header jose.Header, keys []jose.JSONWebKey, into *assertionClaims) bool {
	alg := jose.SignatureAlgorithm(header.Algorithm)
	for _, key := range keys {
		named := header.KeyID == "" || key.KeyID == "" || header.KeyID == key.KeyID
		if !named || !slices.Contains(algsOf(key.Key), alg) || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		*into = assertionClaims{}
		if token.Claims(key.Key, into) == nil {
			return true
		}
	}
	return false
}

// checkAssertion follows RFC 7523, section 3.
func (p *Provider) checkAssertion(c *assertionClaims, id string) error {
	now := p.now()
	switch {
	case c.Issuer != id || c.Subject != id:
		return errors.New("iss and sub have to be the client_id")
	case len(c.Audience) != 1 || !p.isAudience(c.Audience[0]):
		return errors.New("aud has to be the issuer or the token endpoint, and nothing beside it")
	case c.Expiry == nil || !now.Before(c.Expiry.Time()):
		return errors.New("it has expired, or does not say when it does")
	case c.Expiry.Time().Sub(now) > maxAssertionLife:
		return errors.New("it expires in more than an hour")
	case c.NotBefore != nil && c.NotBefore.Time().Sub(now) > assertionSkew, c.IssuedAt != nil && c.IssuedAt.Time().Sub(now) > assertionSkew:
		return errors.New("it is of the future: compare the clocks")
	case c.ID == "" || len(c.ID) > maxAssertionID || !isText(c.ID):
		return fmt.Errorf("jti has to have 1 to %d bytes", maxAssertionID)
	}
	return nil
}

// isAudience reports whether an assertion may name this server so: as the issuer,
// the token endpoint (RFC 7523, section 3), or the one for pushed requests (RFC
// 9126, section 2).
func (p *Provider) isAudience(aud string) bool {
	e := &p.cfg.Endpoints
	return aud != "" && (aud == p.cfg.Issuer || aud == e.Token || aud == e.PAR)
}
