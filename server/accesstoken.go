package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wavegate/keychain/apikey"
	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
)

// byAccessToken returns who an access token of this server stands for; nil for what
// is none. Its audience must be this server, or what is asked for must lie in it.
func (s *Server) byAccessToken(ex *exchange, raw string, st *state) (*identity.Principal, error) {
	t, err := s.holdToken(ex, raw)
	if t == nil || err != nil {
		return nil, err
	}
	if !s.oauth.Covers(t, ex.Host, ex.Path) {
		return nil, errEndedToken
	}
	who := s.tokenPrincipal(t, st)
	if who == nil {
		return nil, errEndedToken
	}
	return who, nil
}

// holdToken verifies an access token, which finish lets go of. It is nil for what
// is no access token of this server. One that ended between the look-up and the hold
// is looked up again: nobody would tell its holder any more.
func (s *Server) holdToken(ex *exchange, raw string) (*authz.AccessToken, error) {
	if !s.hasOAuth() {
		return nil, nil
	}
	const most = 5 // ends in a row
	for range most {
		t, err := s.oauth.Lookup(ex.ctx, raw)
		if errors.Is(err, authz.ErrForeign) {
			return nil, nil
		}
		if err != nil {
			return nil, accessTokenError(err)
		}
		t.Hold()
		if t.Ended().Err() == nil {
			ex.token = t
			return t, nil
		}
		t.Release()
	}
	return nil, errEndedToken
}

// accessTokenError is the answer to an access token that opens nothing.
func accessTokenError(err error) error {
	switch {
	case errors.Is(err, authz.ErrExpired):
		return errExpiredToken
	case errors.Is(err, authz.ErrInvalid):
		return errWrongToken.Because(err)
	}
	return errTokensUnavailable.RetryAfter(time.Second).Because(err)
}

var errTokensUnavailable = fault.New(http.StatusServiceUnavailable, "store_unavailable",
	"Access tokens cannot be checked right now. Try again in a moment.")

// tokenPrincipal is who an access token stands for under a policy: the person who
// allowed it, or the client itself. Like an API key it holds what it was given and
// nothing else, so it has neither roles nor groups. It is nil where the person has
// no account any more.
func (s *Server) tokenPrincipal(t *authz.AccessToken, st *state) *identity.Principal {
	if t.GrantID != "" && !s.tokenStands(t) {
		return nil
	}
	who, _ := t.Value(st, func(t *authz.AccessToken) any { return s.makeTokenPrincipal(t, st) }).(*identity.Principal)
	return who
}

// tokenStands reports whether the person behind a token is somebody still, as it is
// with the owner of an API key.
func (s *Server) tokenStands(t *authz.AccessToken) bool {
	return t.GrantID == "" || s.ownerStands(&apikey.Record{Owner: "sub:" + t.Subject})
}

func (s *Server) makeTokenPrincipal(t *authz.AccessToken, st *state) *identity.Principal {
	p := &identity.Principal{
		Method: identity.MethodToken, Subject: t.Subject, Username: t.Subject, OAuthClientID: t.ClientID,
		Owner: "client:" + t.ClientID, Scopes: st.policy.GrantToken(t.Scopes), Tier: s.clientTier(t.ClientID), Ended: t.Ended(),
	}
	accounts := []*limit.Account{{Name: "client:" + t.ClientID, Tier: st.policy.ClientTier(p.Tier)}}
	if t.GrantID != "" {
		p.Owner = "sub:" + t.Subject
		accounts = append(accounts, s.personAccount(t.Subject, t.UserID, st))
	}
	p.Accounts = bounded(accounts)
	return p
}

// recheckTokens ends the access tokens of people who have no account any more.
func (s *Server) recheckTokens() {
	if s.oauth != nil {
		s.oauth.EndUnless(s.tokenStands)
	}
}

// clientTier is the tier that a client was given, "" for none.
func (s *Server) clientTier(id string) string {
	if c, err := s.oauth.Client(context.Background(), id); err == nil {
		return c.Tier
	}
	return ""
}
