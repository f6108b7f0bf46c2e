package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/token"
)

// readShared makes what signs and checks session tokens under the secret that the
// policy names, nil where it names none.
func readShared(p *policy.Policy) (*token.Shared, error) {
	rule := p.SessionTokens()
	if rule.SecretFile == "" {
		return nil, nil
	}
	secret, err := readSmallFile(rule.SecretFile, 4<<10)
	if err != nil {
		return nil, fmt.Errorf("%s: session_tokens: secret_file: %w", rule.Origin, err)
	}
	shared, err := token.NewShared(bytes.TrimSpace(secret), rule.Lifetime)
	if err != nil {
		return nil, SettingsError{fmt.Errorf("%s: session_tokens: secret_file %s: %w", rule.Origin, rule.SecretFile, err)}
	}
	return shared, nil
}

// byShared returns who a token under the shared secret stands for. Whoever has that
// secret can name anybody, so such a token is nobody's owner: it opens apps by its
// scopes, and what it makes with the API belongs to itself.
func (s *Server) byShared(ex *exchange, raw string, st *state) (*identity.Principal, error) {
	claims, err := st.shared.Verify(raw)
	switch {
	case errors.Is(err, token.ErrExpired):
		return nil, errExpiredToken
	case err != nil:
		return nil, errWrongToken.Because(err)
	}
	p := &identity.Principal{
		Method: identity.MethodToken, Subject: claims.Subject, Username: claims.Subject, Owner: "shared:" + claims.Subject,
		Scopes: st.policy.GrantToken(claims.Scopes),
	}
	p.Ended, ex.letGo = context.WithDeadline(context.Background(), claims.Expiry) // sockets and streams too
	p.Accounts = bounded([]*limit.Account{{Name: "shared:" + claims.Subject, Tier: st.policy.UserTier(p)}})
	return p, nil
}

// sharedToken answers whoever asks for a session token under the shared secret.
func (s *Server) sharedToken(ex *exchange, who *identity.Principal) error {
	shared := s.state.Load().shared
	if shared == nil {
		return fault.New(http.StatusBadRequest, "invalid_request", "format: HS256 tokens are not set up here. Whoever runs this server can name a secret_file under session_tokens in its policy.")
	}
	raw, lifetime, err := shared.Issue(who.Subject, who.Scopes)
	if err != nil {
		return fault.New(http.StatusBadRequest, "invalid_request", "The token would be too long: there are too many scopes for it.").Because(err)
	}
	return writeJSON(ex, http.StatusOK, tokenAnswer{raw, "Bearer", int(lifetime.Seconds()), strings.Join(who.Scopes, " ")})
}

// A tokenAnswer is what asking for a session token is answered with.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope,omitempty"` // of a token under the shared secret
}
