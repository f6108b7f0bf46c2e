package provider

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// NewClientID returns the ID of a new client.
func NewClientID() string { return "client_" + strings.ToLower(rand.Text()) }

// NewSecret returns a new secret, which begins with "wgcs_", and its record.
// Expires is zero for one that lives for ever.
func NewSecret(now, expires time.Time) (string, Secret) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret := "wgcs_" + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, Secret{
		ID: "sec_" + strings.ToLower(rand.Text()), Hash: HashOf(secret), Hint: secret[len(secret)-4:],
		CreatedAt: stamp(now), ExpiresAt: stamp(expires),
	}
}

// stamp returns a time as records have it.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Live reports whether the secret has not expired.
func (s *Secret) Live(now time.Time) bool { return s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt) }

// Disabled reports whether the client may not do anything.
func (c *Client) Disabled() bool { return !c.DisabledAt.IsZero() }

// MayUse reports whether the client has a grant type.
func (c *Client) MayUse(grant string) bool { return slices.Contains(c.GrantTypes, grant) }

// MayAsk reports whether the client may ask for a scope.
func (c *Client) MayAsk(scope string) bool {
	return isOwnScope(scope) || slices.Contains(c.Scopes, scope)
}

// isOwnScope reports whether OpenID Connect gives the scope a meaning.
func isOwnScope(scope string) bool {
	switch scope {
	case ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOfflineAccess:
		return true
	}
	return false
}
