package server

import (
	"errors"
	"net/http"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/audit"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// The endpoints that clients ask, beside the pages that people see.

// token gives tokens (RFC 6749, section 3.2).
func (s *Server) token(ex *exchange, _ *http.Request, call clientCall) error {
	answer, err := s.oauth.Token(ex.ctx, call.client, call.params)
	if err != nil {
		return err
	}
	return writeOAuth(ex, http.StatusOK, answer)
}

// revoke ends a token (RFC 7009).
func (s *Server) revoke(ex *exchange, _ *http.Request, call clientCall) error {
	d := deed{action: "token.revoke", target: call.client.ID, owner: call.client.Owner}
	by := &apiCaller{who: &identity.Principal{Method: identity.MethodClient}, owner: "client:" + call.client.ID}
	if err := s.oauth.Revoke(store.WithJournal(ex.ctx, s.journal(ex, by, d)), call.client, call.params); err != nil {
		return err
	}
	h := ex.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", "0")
	ex.WriteHeader(http.StatusOK)
	return nil
}

// introspect says what a token is (RFC 7662).
func (s *Server) introspect(ex *exchange, _ *http.Request, call clientCall) error {
	answer, err := s.oauth.Introspect(ex.ctx, call.client, call.params)
	if err != nil {
		return err
	}
	return writeOAuth(ex, http.StatusOK, answer)
}

// push takes an authorization request ahead of the browser (RFC 9126).
func (s *Server) push(ex *exchange, _ *http.Request, call clientCall) error {
	uri, expires, err := s.oauth.Push(ex.ctx, call.client, call.params, sourceOf(ex, call.client))
	if err != nil {
		return err
	}
	return writeOAuth(ex, http.StatusCreated, struct {
		URI       string `json:"request_uri"`
		ExpiresIn int64  `json:"expires_in"`
	}{uri, int64(expires.Seconds())})
}

// sourceOf is who has to share a bound on open requests: a client that proved who
// it is, however many addresses it has, or everybody at one address.
func sourceOf(ex *exchange, c *authz.Client) string {
	if c.Type == authz.Confidential {
		return c.ID
	}
	return limit.Source(ex.ClientIP).String()
}

// startDevice begins what a person finishes in their browser (RFC 8628, section
// 3.1).
func (s *Server) startDevice(ex *exchange, _ *http.Request, call clientCall) error {
	answer, err := s.oauth.StartDevice(ex.ctx, call.client, call.params, limit.Source(ex.ClientIP).String())
	if err != nil {
		return err
	}
	return writeOAuth(ex, http.StatusOK, answer)
}

// oauthUserinfo says who the person behind an access token is, as far as its scopes
// allow (OpenID Connect Core 5.3).
func (s *Server) oauthUserinfo(ex *exchange, r *http.Request) error {
	anyOrigin(ex.Header())
	c, err := readCredential(r.Header)
	if err != nil {
		return err
	}
	if c.kind != credentialBearer {
		return fault.New(http.StatusUnauthorized, "credential_required", "Send an access token: Authorization: Bearer …").
			WithHeader("WWW-Authenticate", `Bearer realm="wavegate"`)
	}
	ex.offered = true
	if wait := s.lockouts.Check(ex.start, ex.ClientIP, ""); wait > 0 {
		return errLockedOut.RetryAfter(wait)
	}
	t, err := s.holdToken(ex, c.secret)
	if err != nil {
		if isGuess(err) {
			s.countWrong(ex, "token", "", false)
		}
		return err
	}
	if t == nil {
		s.countWrong(ex, "token", "", false)
		return errWrongToken
	}
	who := s.tokenPrincipal(t, s.state.Load())
	if who == nil {
		return errEndedToken
	}
	ex.Principal = who
	if err := s.take(ex, paced(who.Accounts)); err != nil {
		return err
	}
	claims, err := s.oauth.UserInfo(ex.ctx, t)
	if e, ok := errors.AsType[*authz.Error](err); ok {
		return userinfoError(e)
	}
	if err != nil {
		return storeError(err)
	}
	return writeOAuth(ex, http.StatusOK, claims)
}

// userinfoError is a refusal in the words of RFC 6750, section 3.1.
func userinfoError(e *authz.Error) error {
	switch e.Code {
	case authz.InsufficientScope:
		return fault.New(http.StatusForbidden, "insufficient_scope", e.Description).WithHeader("WWW-Authenticate", scopeChallenge("openid")).Because(e.Cause)
	case authz.InvalidToken:
		return errWrongToken.Because(e)
	}
	return errStoreUnavailable.RetryAfter(time.Second).Because(e)
}

// tooManyRegistrations refuses a registration for now.
func tooManyRegistrations(wait time.Duration) error {
	return &authz.Error{
		Code: authz.AccessDenied, Status: http.StatusTooManyRequests, RetryAfter: wait,
		Description: "Too many clients were registered. Try again later.",
	}
}

// registerClient lets a client register itself, where the policy says so (RFC
// 7591, section 3.1). Nobody vouches for it, so it gets no more than the policy
// gives to such clients.
func (s *Server) registerClient(ex *exchange, r *http.Request) error {
	anyOrigin(ex.Header())
	rules := s.state.Load().policy.OAuth().Registration
	if !rules.Enabled {
		return errNoRegistration
	}
	return s.oauthFail(ex, s.tryRegister(ex, r, rules))
}

var errNoRegistration = fault.New(http.StatusNotFound, "not_found", "Clients cannot register themselves here. Ask whoever runs this server.")

func (s *Server) tryRegister(ex *exchange, r *http.Request, rules policy.Registration) error {
	source := limit.Source(ex.ClientIP).String()
	at, wait := s.registrations.take(source, int(rules.PerIPHour), ex.start)
	if wait > 0 {
		return tooManyRegistrations(wait)
	}
	err := s.register(ex, r, rules)
	if err != nil {
		s.registrations.giveBack(source, at)
	}
	return err
}

// register keeps a client that registers itself, and answers it.
func (s *Server) register(ex *exchange, r *http.Request, rules policy.Registration) error {
	body, err := readBody(ex, r, maxAPIBody)
	if err != nil {
		return err
	}
	client, answer, err := s.oauth.ReadRegistration(ex.ctx, body, rules.Scopes)
	if err != nil {
		return err
	}
	client.Owner = "registration"
	entry := audit.Entry{
		At: ex.start, Actor: "anonymous", IP: addrString(ex), RequestID: ex.ID, Action: "client.register",
		Target: client.ID, Owner: client.Owner, Outcome: "ok", Details: map[string]string{"name": client.Name},
	}
	j := store.Journal{Audit: []audit.Entry{entry}, Events: []webhook.Event{clientEvent(client)}}
	if _, err := s.store.AddClient(ex.ctx, *client, int(rules.Most), j); errors.Is(err, authz.ErrTooMany) {
		return tooManyRegistrations(time.Hour)
	} else if err != nil {
		return storeError(err)
	}
	s.wrote()
	return writeOAuth(ex, http.StatusCreated, answer)
}
