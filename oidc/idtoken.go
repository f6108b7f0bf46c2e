package oidc

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// logoutEvent is the event of a logout token (Back-Channel Logout 1.0 §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// idToken checks an ID token as Core 1.0 §3.1.3.7 asks, but for the nonce. It
// came straight from the token endpoint, with accessToken.
func (p *Provider) idToken(ctx context.Context, raw, accessToken string) (claims, error) {
	token, err := p.verify(ctx, raw, maxToken, restForOwn)
	if err != nil {
		return nil, err
	}
	c := token.claims
	if strings.HasSuffix(token.typ, "+jwt") || c.isLogout() {
		return nil, failure(Untrusted, "a token of another kind where an ID token belongs")
	}
	checked, err := p.checkParties(ctx, raw, token)
	if err != nil {
		return nil, err
	}
	if err := p.checkTimes(c); err != nil {
		return nil, err
	}
	if !isLine(c.text("sub")) {
		return nil, failure(Untrusted, "the ID token names no subject")
	}
	return c, checkAccessToken(checked, c, accessToken)
}

// isLogout reports whether the claims have the event of a logout token.
func (c claims) isLogout() bool {
	events, _ := c["events"].(map[string]any)
	_, ok := events[logoutEvent]
	return ok
}

// checkedKeys hands go-oidc a token whose signature was checked before, with keys
// that are fetched within bounds of time and number.
type checkedKeys []byte

// VerifySignature implements oidc.KeySet.
func (payload checkedKeys) VerifySignature(context.Context, string) ([]byte, error) {
	return payload, nil
}

// checkParties has go-oidc check who made the token and for whom, and looks at
// the authorized party, which go-oidc leaves to its callers.
func (p *Provider) checkParties(ctx context.Context, raw string, token *signed) (*oidc.IDToken, error) {
	checked, err := oidc.NewVerifier(p.cfg.Issuer, checkedKeys(token.payload), &oidc.Config{
		ClientID:             p.cfg.ClientID,
		SupportedSigningAlgs: []string{string(token.alg)},
		SkipExpiryCheck:      true, // checkTimes knows how far clocks may differ, and says by how much they do
	}).Verify(ctx, raw)
	if err != nil {
		return nil, failure(Untrusted, "the token does not hold: %s", foreign(err.Error())).
			advise("compare -oidc-provider-url and -oidc-client-id with the provider's settings")
	}
	// go-oidc reads names of claims without regard to case, and takes another
	// spelling of Google's name: what counts is the claim as it is registered.
	if token.claims.text("iss") != p.cfg.Issuer || !slices.Contains(token.claims.audience(), p.cfg.ClientID) {
		return nil, failure(Untrusted, "the token does not hold: issuer %s, audience %s",
			foreign(token.claims.text("iss")), foreign(strings.Join(token.claims.audience(), " ")))
	}
	azp, there := token.claims["azp"]
	if there && azp != p.cfg.ClientID || !there && len(checked.Audience) > 1 {
		return nil, failure(Untrusted, "the token was given to %s and not to the client %s", foreign(token.claims.text("azp")), p.cfg.ClientID)
	}
	return checked, nil
}

// checkTimes compares exp, iat and nbf with the clock. A token that was just
// made and looks wrong is most often a clock that is wrong, so it says by how much.
func (p *Provider) checkTimes(c claims) error {
	exp, hasExp := c.instant("exp")
	iat, hasIat := c.instant("iat")
	if !hasExp || !hasIat {
		return failure(Untrusted, "the token lacks exp or iat")
	}
	now := p.cfg.Now()
	const advice = "compare the clocks of this machine and of the provider; at most %s is allowed for"
	if ahead := iat.Sub(now); ahead > clockSkew {
		return failure(Untrusted, "the token was made %s in the future: the clocks differ by that much", ahead.Round(time.Second)).advise(advice, clockSkew)
	}
	if late := now.Sub(exp); late > clockSkew {
		return failure(Untrusted, "the token expired %s ago, and was made %s ago by this machine's clock: the clocks differ by as much if it is new",
			late.Round(time.Second), now.Sub(iat).Round(time.Second)).advise(advice, clockSkew)
	}
	if nbf, ok := c.instant("nbf"); ok && nbf.Sub(now) > clockSkew {
		return failure(Untrusted, "the token is not valid for another %s", nbf.Sub(now).Round(time.Second)).advise(advice, clockSkew)
	}
	return nil
}

// checkAccessToken compares at_hash (Core 1.0 §3.1.3.6), where there is one.
func checkAccessToken(checked *oidc.IDToken, c claims, accessToken string) error {
	if _, there := c["at_hash"]; !there {
		return nil
	}
	if accessToken == "" || checked.VerifyAccessToken(accessToken) != nil {
		return failure(Untrusted, "the access token does not belong to the ID token (at_hash)")
	}
	return nil
}

// checkNonce compares the nonce of an ID token with the one that was sent.
func checkNonce(c claims, want string) error {
	if want == "" || subtle.ConstantTimeCompare([]byte(c.text("nonce")), []byte(want)) != 1 {
		return failure(Untrusted, "the ID token belongs to another sign-in (nonce)")
	}
	return nil
}

// unverified returns the claims of a token that was verified when it was new.
func unverified(raw string) claims {
	jws, err := parse(raw, maxToken, signatures())
	if err != nil {
		return nil
	}
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil
	}
	return c
}
