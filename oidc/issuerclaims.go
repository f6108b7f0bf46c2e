package oidc

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// IssuerClaims are what an access token says, checked.
type IssuerClaims struct {
	Subject  string   // with the issuer it identifies an account; never empty
	Email    string   // "" unless the issuer says that it has verified it
	Username string   // never empty: the subject, where nothing better is known
	Groups   []string // without duplicates
	Scopes   []string // without duplicates

	IssuedAt time.Time // zero when the token does not say
	Expiry   time.Time
	ID       string // "jti"; "" when the token has none
}

// describe reads what the claims say about their subject.
func (i *Issuer) describe(c claims) IssuerClaims {
	said := IssuerClaims{Subject: c.text("sub"), Email: c.email(), Username: i.username(c), Scopes: i.scopes(c), ID: c.name("jti")}
	said.Expiry, _ = c.instant("exp")
	said.IssuedAt, _ = c.instant("iat")
	if value, ok := c.find(cmp.Or(i.cfg.GroupsClaim, "groups")); ok {
		said.Groups, _ = groupsOf(value)
	}
	return said
}

func (i *Issuer) username(c claims) string {
	tries := []string{"preferred_username", "email", "name"}
	if i.cfg.UsernameClaim != "" {
		tries = []string{i.cfg.UsernameClaim}
	}
	for _, claim := range tries {
		name := c.name(claim)
		if claim == "email" { // one that is not verified names nobody
			name = c.email()
		}
		if name != "" {
			return name
		}
	}
	return c.text("sub")
}

// scopes returns the scopes of the claim that is configured, or of "scope" (RFC
// 9068 §2.2.3) and otherwise "scp", as several issuers call it.
func (i *Issuer) scopes(c claims) []string {
	if i.cfg.ScopeClaim != "" {
		value, _ := c.find(i.cfg.ScopeClaim)
		return scopesOf(value)
	}
	if value, ok := c["scope"]; ok {
		return scopesOf(value)
	}
	return scopesOf(c["scp"])
}

// scopesOf reads a string of scopes with spaces between, or a list of scopes. What
// is none is left out.
func scopesOf(value any) []string {
	var words []string
	switch value := value.(type) {
	case string:
		words = strings.Split(value, " ")
	case []any:
		for _, v := range value {
			s, _ := v.(string)
			words = append(words, s)
		}
	}
	var scopes []string
	for _, s := range words {
		if isScope(s) && len(s) <= maxName && !slices.Contains(scopes, s) && len(scopes) < maxGroups {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// PeekIssuer returns what a token says that its issuer is, to choose who checks
// it. Nothing is checked here, and nothing may be concluded from it.
func PeekIssuer(raw string) (iss string, ok bool) {
	if len(raw) > maxIssuerToken || strings.Count(raw, ".") != 2 {
		return "", false
	}
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", false
	}
	c, err := parseClaims(data)
	if err != nil {
		return "", false
	}
	iss = c.text("iss")
	return iss, iss != ""
}
