package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// Bounds of the groups in the answer of UserInfo.
const (
	maxUserInfoGroups     = 1000
	maxUserInfoGroupsText = 64 << 10 // bytes, together
)

// UserInfo returns the claims that the scopes of an access token allow (OpenID
// Connect Core 5.3). The error is an *Error: InvalidToken, InsufficientScope,
// Unavailable.
func (p *Provider) UserInfo(ctx context.Context, t *AccessToken) (map[string]any, error) {
	switch {
	case t.GrantID == "":
		return nil, badToken("This token is a client's own, and says nothing about a person.", nil)
	case !slices.Contains(t.Audience, p.cfg.Issuer):
		return nil, badToken("This token is for another resource.", nil)
	case !slices.Contains(t.Scopes, ScopeOpenID):
		return nil, &Error{Code: InsufficientScope, Description: "This needs the scope openid.", Status: http.StatusForbidden}
	}
	who, err := p.cfg.Person(ctx, t.UserID)
	switch {
	case errors.Is(err, ErrNoPerson):
		return nil, badToken("The token is not valid any more.", err)
	case err != nil:
		return nil, unavailable(err)
	}
	return personClaims(t.Subject, t.Scopes, who), nil
}

// badToken is the answer to an access token that opens nothing here (RFC 6750,
// section 3.1).
func badToken(description string, cause error) *Error {
	return &Error{Code: InvalidToken, Description: description, Status: http.StatusUnauthorized, Cause: cause}
}

// personClaims returns what scopes say about a person (OpenID Connect Core 5.4).
func personClaims(subject string, scopes []string, who *Person) map[string]any {
	claims := map[string]any{"sub": subject}
	if slices.Contains(scopes, ScopeProfile) {
		claims["preferred_username"], claims["name"] = who.Username, who.Username
		if groups := firstGroups(who.Groups, maxUserInfoGroups, maxUserInfoGroupsText); len(groups) > 0 {
			claims["groups"] = groups
		}
	}
	if slices.Contains(scopes, ScopeEmail) && who.Email != "" {
		claims["email"], claims["email_verified"] = who.Email, true
	}
	return claims
}
