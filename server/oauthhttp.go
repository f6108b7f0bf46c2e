package server

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
)

// withOAuth hides an endpoint of the authorization server where there is none.
func (s *Server) withOAuth(serve func(*exchange, *http.Request) error) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		if err := s.requireHTTPS(ex.Scheme); err != nil {
			return err
		}
		if !s.hasOAuth() {
			return errNoOAuth
		}
		return serve(ex, r)
	}
}

// hasOAuth reports whether there is an authorization server that the policy wants.
func (s *Server) hasOAuth() bool { return s.oauth != nil && !s.state.Load().oauthOff }

var errNoOAuth = fault.New(http.StatusNotFound, "not_found",
	"There is no authorization server here. Whoever runs this server can set --public-url, and oauth: enabled in its policy.")

// withOAuthSignIn is withOAuth for what needs people who can sign in.
func (s *Server) withOAuthSignIn(serve func(*exchange, *http.Request) error) func(*exchange, *http.Request) error {
	return s.withOAuth(s.withSignIn(serve))
}

// A clientCall is a request of a client to one of its endpoints.
type clientCall struct {
	client *authz.Client
	params authz.Params
}

// forClients serves an endpoint that clients ask with a credential of their own.
// What goes wrong is said in the words of RFC 6749, section 5.2.
func (s *Server) forClients(serve func(*exchange, *http.Request, clientCall) error) func(*exchange, *http.Request) error {
	return s.withOAuth(func(ex *exchange, r *http.Request) error {
		anyOrigin(ex.Header())
		call, err := s.readClientCall(ex, r)
		if err == nil {
			err = serve(ex, r, call)
		}
		return s.oauthFail(ex, err)
	})
}

// readClientCall reads a request and finds out which client it is from. Everybody
// who pays for the client is charged.
func (s *Server) readClientCall(ex *exchange, r *http.Request) (clientCall, error) {
	var call clientCall
	body, err := io.ReadAll(http.MaxBytesReader(ex, r.Body, authz.MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return call, &authz.Error{Code: authz.InvalidRequest, Status: http.StatusRequestEntityTooLarge, Description: "The body is larger than 64 KB."}
	}
	if err != nil {
		return call, &authz.Error{Code: authz.InvalidRequest, Description: "The body broke off.", Cause: err}
	}
	if r.URL.RawQuery != "" { // RFC 6749, sections 2.3.1 and 3.2: what is secret stays out of addresses
		return call, &authz.Error{Code: authz.InvalidRequest, Description: "Send the parameters in the body, not in the address."}
	}
	if call.params, err = authz.ParseBody(r.Header.Get("Content-Type"), body); err != nil {
		return call, err
	}
	creds := authz.Credentials{Params: call.params}
	if values := r.Header["Authorization"]; len(values) > 0 {
		creds.ID, creds.Secret, creds.Basic = r.BasicAuth()
		if !creds.Basic || len(values) > 1 {
			return call, &authz.Error{Code: authz.InvalidClient, Status: http.StatusUnauthorized, Basic: true, Description: "The Authorization header is not one of HTTP Basic. Send client_id and client_secret with it, or in the body."}
		}
	}
	call.client, err = s.authenticateClient(ex, creds)
	return call, err
}

// authenticateClient checks who a client is, with the same lockouts as keys have.
func (s *Server) authenticateClient(ex *exchange, creds authz.Credentials) (*authz.Client, error) {
	account, id := "", creds.ClientID()
	if id != "" {
		account = "client:" + id
	}
	ex.offered = true
	if wait := s.lockouts.Check(ex.start, ex.ClientIP, account); wait > 0 {
		s.metrics.auths.WithLabelValues("client", "locked_out").Inc()
		return nil, errLockedOut.RetryAfter(wait)
	}
	client, err := s.oauth.Authenticate(ex.ctx, creds)
	if err != nil {
		if e, ok := errors.AsType[*authz.Error](err); ok && e.Code == authz.InvalidClient && !errors.Is(err, authz.ErrEnded) {
			s.countWrongClient(ex, id, account)
		}
		return nil, err
	}
	if client.Type == authz.Confidential { // whoever claims to be a public one proves nothing
		s.lockouts.Succeeded(ex.start, ex.ClientIP, account)
		ex.Principal = &identity.Principal{Method: identity.MethodClient, Subject: client.ID, OAuthClientID: client.ID}
	}
	ex.client = client.ID
	s.metrics.auths.WithLabelValues("client", "ok").Inc()
	return client, s.take(ex, s.clientAccounts(client, ex))
}

// countWrongClient counts a wrong credential of whoever claims to be a client. A public
// client has none that could be guessed: that counts against the source alone, as
// strangers could lock it for everybody otherwise.
func (s *Server) countWrongClient(ex *exchange, id, account string) {
	c, err := s.oauth.Client(ex.ctx, id)
	known := err == nil
	if known {
		ex.client = id
		if c.Type == authz.Public {
			account = ""
		}
	}
	s.countWrong(ex, "client", account, known)
}

// clientAccounts are who pays for the requests of a client. Of a public one each
// source pays for itself: nobody else can spend what it has.
func (s *Server) clientAccounts(c *authz.Client, ex *exchange) []*limit.Account {
	name := "client:" + c.ID
	if c.Type == authz.Public {
		name += "@" + limit.Source(ex.ClientIP).String()
	}
	return bounded([]*limit.Account{{Name: name, Tier: s.state.Load().policy.ClientTier(c.Tier)}})
}

// oauthFail answers with an error of OAuth; what is none is left to the one
// renderer, in the same words.
func (s *Server) oauthFail(ex *exchange, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*authz.Error](err)
	if !ok {
		e = asOAuth(fault.From(err))
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	ex.fault = &fault.Error{Status: status, Code: e.Code, Message: e.Description, Cause: e.Cause}
	h := ex.Header()
	if f, ok := errors.AsType[*fault.Error](err); ok {
		maps.Copy(h, f.Header)
	}
	if status == http.StatusUnauthorized && (e.Basic || e.Code == authz.InvalidClient) {
		h["WWW-Authenticate"] = []string{`Basic realm="wavegate", charset="UTF-8"`}
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int((e.RetryAfter+time.Second-1)/time.Second))))
	}
	return writeOAuth(ex, status, struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}{e.Code, e.Description})
}

// asOAuth is one of this server's own errors in the words of OAuth.
func asOAuth(f *fault.Error) *authz.Error {
	e := &authz.Error{Code: authz.InvalidRequest, Description: plainASCII(f.Message), Status: f.Status, Cause: f.Cause}
	if n, err := strconv.Atoi(f.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	switch {
	case f.Status == http.StatusServiceUnavailable:
		e.Code = authz.Unavailable
	case f.Status >= http.StatusInternalServerError:
		e.Code = authz.ServerError
	case f.Status == http.StatusTooManyRequests:
		e.Code = "slow_down"
	case f.Status == http.StatusUnauthorized:
		e.Code = authz.InvalidClient
	case f.Status == http.StatusForbidden:
		e.Code = authz.AccessDenied
	}
	return e
}

// plainASCII keeps what error_description may hold (RFC 6749, section 5.2).
func plainASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// writeOAuth answers a client. Nothing of it may be kept by anybody between (RFC
// 6749, section 5.1).
func writeOAuth(ex *exchange, status int, v any) error {
	ex.Header().Set("Pragma", "no-cache")
	return writeJSON(ex, status, v)
}

// anyOrigin lets scripts of every origin read the answer. No cookie counts at these
// endpoints, so that a script gets nothing that its own credential would not give.
func anyOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-Id")
}

// isForScripts reports whether scripts of every origin may use an endpoint.
func isForScripts(path string) bool {
	switch path {
	case "/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/par", devicePath, "/oauth/register", "/oauth/jwks":
		return true
	}
	return false
}

// speaksOAuth reports whether errors of an endpoint are those of RFC 6749, section
// 5.2, also where its own handler was not reached.
func (s *Server) speaksOAuth(ex *exchange, r *http.Request) bool {
	path, own := s.ownPath(ex.Path)
	if !own || !s.hasOAuth() || wantsPage(r.Method, r.Header) {
		return false
	}
	return path == "/oauth/introspect" || isForScripts(path) && path != "/oauth/userinfo" && path != "/oauth/jwks"
}

// oauthPreflight answers browsers that ask whether a script may send a request to
// an endpoint of clients. The pages among the endpoints are for nobody's scripts.
func (s *Server) oauthPreflight(ex *exchange, r *http.Request) error {
	if path, _ := s.ownPath(ex.Path); !isForScripts(path) {
		return fault.MethodNotAllowed("GET, POST")
	}
	h := ex.Header()
	anyOrigin(h)
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "86400")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// discovery publishes what the authorization server can do (RFC 8414, OpenID
// Connect Discovery).
func (s *Server) discovery(ex *exchange, _ *http.Request) error {
	h := ex.Header()
	anyOrigin(h)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	ex.WriteHeader(http.StatusOK)
	_, _ = ex.Write(s.oauth.Metadata())
	return nil
}

// jwks publishes the keys that verify what this server signs (RFC 7517):
// Wave-Assertion, access tokens, ID tokens.
func (s *Server) jwks(ex *exchange, _ *http.Request) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(s.signer.JWKS(), &set); err != nil {
		return err
	}
	if s.oauth != nil {
		own, err := s.oauth.JWKS(ex.ctx)
		if err != nil {
			return fault.From(storeError(err))
		}
		var keys []json.RawMessage
		if err := json.Unmarshal(own, &keys); err != nil {
			return err
		}
		set.Keys = append(keys, set.Keys...)
	}
	body, err := json.Marshal(set)
	if err != nil {
		return err
	}
	h := ex.Header()
	anyOrigin(h)
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	ex.WriteHeader(http.StatusOK)
	_, _ = ex.Write(body)
	return nil
}
