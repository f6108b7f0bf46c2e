package provider

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"
)

// Bounds of a PKCE verifier, in characters (RFC 7636, section 4.1).
const (
	minVerifier = 43
	maxVerifier = 128
)

// redeemCode answers a request with an authorization code (RFC 6749, section
// 4.1.3). A code is used up by its first request, whatever that is answered.
func (p *Provider) redeemCode(ctx context.Context, c *Client, params Params) (*TokenAnswer, error) {
	raw, err := opaqueParam(params, "code", codePrefix)
	if err != nil {
		return nil, err
	}
	h := HashOf(raw)
	_, peeked, err := p.store.Code(ctx, h)
	if err != nil {
		return nil, refusal(err)
	}
	who, err := p.person(ctx, peeked)
	if err != nil {
		return nil, err
	}
	now := p.now()
	var i *issuance
	decide := func(code Code, g Grant) (first Refresh, ends time.Time, err error) {
		if err := redeemable(code, c, params, now); err != nil {
			return Refresh{}, time.Time{}, err
		}
		if i, err = p.prepare(c, who, g, g.Scopes, params.All("resource"), now); err != nil {
			return Refresh{}, time.Time{}, err
		}
		first, ends = p.begin(i)
		return first, ends, nil
	}
	g, err := p.store.RedeemCode(ctx, h, now, mostGrants, decide)
	if err != nil {
		return nil, p.replayed(ctx, err, peeked, GrantCode)
	}
	i.grant, i.nonce = g, g.Nonce
	return p.issue(ctx, i)
}

// redeemable returns why a code gives nothing to a client, nil where it does (RFC
// 6749, section 4.1.3; RFC 7636, section 4.6).
func redeemable(code Code, c *Client, params Params, now time.Time) error {
	uri := params.Get("redirect_uri")
	switch {
	case code.ClientID != c.ID:
		return notGranted(errors.New("the code is another client's"))
	case !now.Before(code.ExpiresAt):
		return notGranted(errors.New("the code has expired"))
	case uri == "" && code.RedirectGiven:
		return fail(InvalidGrant, "The parameter redirect_uri is missing: the authorization request had one. Ask for authorization again.")
	case uri != "" && uri != code.RedirectURI:
		return fail(InvalidGrant, "The redirect_uri is not the one of the authorization request, byte by byte. Ask for authorization again.")
	case code.Challenge == "" && (c.Type != Confidential || !c.PKCEOptional):
		return fail(InvalidGrant, "The authorization request had no code_challenge, which this client needs. Ask for authorization again with one.")
	}
	return checkVerifier(code.Challenge, params.Get("code_verifier"))
}

// checkVerifier returns why a PKCE verifier does not fit to the challenge of the
// authorization request. One without the other is a downgrade (RFC 9700, section
// 4.8.2).
func checkVerifier(challenge, verifier string) error {
	switch {
	case challenge == "" && verifier == "":
		return nil
	case challenge == "":
		return fail(InvalidGrant, "There is a code_verifier, and the authorization request had no code_challenge. Ask for authorization again with one.")
	case verifier == "":
		return fail(InvalidGrant, "The parameter code_verifier is missing. Ask for authorization again.")
	case !isVerifier(verifier):
		return fail(InvalidGrant, "A code_verifier has 43 to 128 of the characters A-Z a-z 0-9 - . _ ~. Ask for authorization again.")
	}
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) != 1 {
		return fail(InvalidGrant, "The code_verifier does not fit to the code_challenge. Ask for authorization again.")
	}
	return nil
}

func isVerifier(s string) bool {
	return len(s) >= minVerifier && len(s) <= maxVerifier && !strings.ContainsFunc(s, notUnreserved)
}

// notUnreserved reports whether a character is not unreserved in URLs (RFC 3986,
// section 2.3).
func notUnreserved(c rune) bool {
	switch {
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
		return false
	}
	return true
}
