package provider

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// Bounds of the groups in an ID token, which travels in headers and forms. UserInfo
// has more of them.
const (
	maxTokenGroups     = 100
	maxTokenGroupsText = 4 << 10 // bytes, together
)

// idToken signs the ID token that goes with an access token (OpenID Connect Core 2
// and 3.1.3.6).
func (p *Provider) idToken(ctx context.Context, i *issuance, access string, expires time.Time) (string, error) {
	claims := idClaims{
		Issuer: p.cfg.Issuer, Subject: i.grant.Subject, Audience: i.client.ID,
		Expiry: expires.Unix(), IssuedAt: i.now.Unix(),
		Nonce: i.nonce, ATHash: leftHash(access), SID: i.grant.SID,
	}
	if !i.grant.AuthTime.IsZero() {
		claims.AuthTime = i.grant.AuthTime.Unix()
	}
	if slices.Contains(i.scopes, ScopeProfile) {
		claims.Username, claims.Name = i.who.Username, i.who.Username
		claims.Groups = firstGroups(i.who.Groups, maxTokenGroups, maxTokenGroupsText)
	}
	if slices.Contains(i.scopes, ScopeEmail) && i.who.Email != "" {
		claims.Email, claims.Verified = i.who.Email, new(true)
	}
	token, err := p.keys.sign(ctx, cmp.Or(i.client.IDTokenAlg, algRS256), typeID, claims)
	if err != nil {
		return "", unavailable(err)
	}
	return token, nil
}

// leftHash is "at_hash": the left half of the SHA-256 of a token, for RS256 and
// ES256 alike.
func leftHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// firstGroups returns the first groups, as many as most and as have at most text
// bytes together.
func firstGroups(groups []string, most, text int) []string {
	for n, g := range groups {
		if text -= len(g); text < 0 || n == most {
			return groups[:n]
		}
	}
	return groups
}
