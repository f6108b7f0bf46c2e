package server

import (
	"errors"
	"net/http"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/token"
)

// caller is who asks one of this server's own endpoints: a browser session, an
// access key or a session token.
func (s *Server) caller(ex *exchange, r *http.Request) (*identity.Principal, error) {
	if err := s.requireHTTPS(ex.Scheme); err != nil {
		return nil, err
	}
	who, err := s.authenticate(ex, r.Header, s.state.Load(), policy.Authenticated)
	if err != nil {
		return nil, err
	}
	if who == nil {
		return nil, s.noCredential(r.Header)
	}
	ex.Principal = who
	return who, nil
}

// userinfo tells a caller who they are here.
func (s *Server) userinfo(ex *exchange, r *http.Request) error {
	who, err := s.caller(ex, r)
	if err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, struct {
		Subject    string   `json:"sub"`
		Username   string   `json:"preferred_username,omitempty"`
		Email      string   `json:"email,omitempty"`
		Verified   bool     `json:"email_verified,omitempty"`
		Groups     []string `json:"groups,omitempty"`
		Roles      []string `json:"roles,omitempty"`
		Scopes     []string `json:"scopes,omitempty"`
		AuthMethod string   `json:"auth_method"`
		KeyID      string   `json:"key_id,omitempty"`
		SessionID  string   `json:"session_id,omitempty"`
	}{
		who.Subject, who.Username, who.Email, who.Email != "", who.Groups, who.Roles, who.Scopes,
		string(who.Method), who.KeyID, who.SessionID,
	})
}

// sessionToken gives a browser session or an access key a token of ten minutes
// for programs. A token cannot be had with a token: it would never end.
func (s *Server) sessionToken(ex *exchange, r *http.Request) error {
	who, err := s.caller(ex, r)
	if err != nil {
		return err
	}
	var q struct {
		Format string `json:"format"`
	}
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	if q.Format != "" && q.Format != "HS256" {
		p.add("format", "must be HS256, or left out for a token of this server")
	}
	if err := p.err(); err != nil {
		return err
	}
	var claims token.Claims
	switch who.Method {
	case identity.MethodSession:
		if err := sameOrigin(ex, r); err != nil {
			return err
		}
		claims = token.Claims{Subject: who.Subject, SessionID: who.SessionID}
	case identity.MethodAccessKey:
		stamp, ok := s.keychain.Stamp(who.KeyID)
		if key := s.keychain.Key(who.KeyID); !ok || key == nil || key.Published {
			return fault.New(http.StatusForbidden, "access_key_required", "The published default key gets no token: make a key of your own.")
		}
		claims = token.Claims{Subject: who.Subject, KeyID: who.KeyID, Stamp: stamp}
	default:
		return fault.New(http.StatusForbidden, "session_required", "A token is given for a browser session or an access key.")
	}
	if q.Format == "HS256" {
		return s.sharedToken(ex, who)
	}
	raw, lifetime, err := s.signIn.tokens.Issue(claims)
	if err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, tokenAnswer{AccessToken: raw, TokenType: "Bearer", ExpiresIn: int(lifetime.Seconds())})
}

var (
	errWrongToken = fault.New(http.StatusUnauthorized, "invalid_token", "The token is not valid here, or what it stands for has ended.").
			WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token"`)
	// errEndedToken is errWrongToken for a token that is genuine.
	errEndedToken   = errWrongToken.Because(errGenuine)
	errExpiredToken = fault.New(http.StatusUnauthorized, "expired_token", "The token has expired. Get a new one.").
			WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token", error_description="expired"`)
)

// errGenuine says that a token is one of ours, or of an issuer that is trusted, and
// opens nothing (any more) all the same.
var errGenuine = errors.New("the token is genuine, and what it stands for has ended or is something else")

// isGuess reports whether a refused token may be somebody's guess, which counts
// against its source. Whoever shows a genuine one guesses at nothing.
func isGuess(err error) bool {
	return err != nil && fault.From(err).Code == errWrongToken.Code && !errors.Is(err, errGenuine) && !errors.Is(err, authz.ErrRevoked)
}

// byToken returns who a session token stands for. It lives no longer than the
// session or the access key that it was given for.
func (s *Server) byToken(ex *exchange, raw string, st *state) (*identity.Principal, error) {
	claims, err := s.signIn.tokens.Verify(raw)
	switch {
	case errors.Is(err, token.ErrExpired):
		return nil, errExpiredToken
	case err != nil:
		return nil, errWrongToken.Because(err)
	case claims.KeyID != "":
		return s.byTokenOfKey(claims, st)
	}
	sess, err := s.signIn.sessions.ByID(ex.ctx, claims.SessionID)
	if errors.Is(err, session.ErrNoSession) {
		return nil, errEndedToken
	}
	if err != nil {
		return nil, storeError(err)
	}
	person := s.person(sess, st)
	if person == nil {
		return nil, errEndedToken
	}
	return asToken(person), nil
}

func (s *Server) byTokenOfKey(claims token.Claims, st *state) (*identity.Principal, error) {
	key := s.keychain.Key(claims.KeyID)
	stamp, ok := s.keychain.Stamp(claims.KeyID)
	if key == nil || !ok || stamp != claims.Stamp || key.Published {
		return nil, errEndedToken
	}
	return asToken(s.principal(st, key)), nil
}

// asToken is the principal behind a token: the same rights, another method.
func asToken(p *identity.Principal) *identity.Principal {
	t := *p
	t.Method = identity.MethodToken
	return &t
}

var errNotHanded = fault.New(http.StatusNotFound, "not_found", "There is no such session, or it was not handed to an app of this access key.")

// refresh gives an app fresh tokens of a session that it was handed, as waved
// does: the caller proves itself with its access key, names the session in
// Wave-Session-ID, and reads Wave-Access-Token and Wave-Refresh-Token.
func (s *Server) refresh(ex *exchange, r *http.Request) error {
	c, err := readCredential(r.Header)
	if err != nil {
		return err
	}
	if c.kind != credentialBasic {
		return errNoCredential
	}
	who, err := s.authenticateBasic(ex, r.Header, c, s.state.Load())
	if err != nil {
		return err
	}
	ex.Principal = who
	id, ok := s.signIn.handles.open(r.Header.Get("Wave-Session-ID"), who.KeyID)
	if !ok {
		return errNotHanded
	}
	sess, err := s.signIn.sessions.ByID(ex.ctx, id)
	if err == nil && !s.vouched(sess.Record()) {
		err = session.ErrNoSession
	}
	if err == nil {
		sess, err = s.signIn.sessions.Fresh(ex.ctx, sess)
	}
	switch {
	case errors.Is(err, session.ErrNoSession):
		return errNotHanded
	case err != nil:
		return storeError(err)
	}
	t := s.providerTokens(sess)
	h := ex.Header()
	for name, value := range map[string]string{"Wave-Access-Token": t.Access, "Wave-Refresh-Token": t.Refresh} {
		if value != "" {
			h[name] = []string{value}
		}
	}
	h.Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusOK)
	return nil
}

// rfc3339 is how times are written in answers.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
