package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"wavegate/keychain"
	"wavegate/keychain/apikey"
	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/token"
)

// A state is what requests are decided by: the policy, and the principals that
// were made under it. A reload swaps the pointer, so a principal never outlives
// the policy that gave it its scopes.
type state struct {
	policy     *policy.Policy
	loadedAt   time.Time     // when the policy was read
	oauth      *authz.Rules  // what the policy says to the authorization server
	oauthOff   bool          // the policy wants no authorization server
	shared     *token.Shared // session tokens under a secret of the policy; nil for none
	principals sync.Map      // *keychain.Key → *identity.Principal; as many as there are keys
}

const basicChallenge = `Basic realm="wavegate"`

var (
	errNoCredential = fault.New(http.StatusUnauthorized, "credential_required",
		"This address needs a credential. Send an API key or a token (Authorization: Bearer …), or an access key with HTTP Basic authentication.").
		WithHeader("WWW-Authenticate", basicChallenge)
	// errNoKey is apart from errNoCredential because no sign-in opens such a route.
	errNoKey = fault.New(http.StatusUnauthorized, "key_required",
		"This address is for keys. Send an API key (Authorization: Bearer …), or an access key with HTTP Basic authentication.").
		WithHeader("WWW-Authenticate", basicChallenge)
	errWrongAccessKey = fault.New(http.StatusUnauthorized, "invalid_access_key",
		"The access key ID or its secret is wrong.").
		WithHeader("WWW-Authenticate", basicChallenge)
	errWrongAPIKey = fault.New(http.StatusUnauthorized, "invalid_api_key",
		"The API key is not valid here.").
		WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token"`)
	errLockedOut = fault.New(http.StatusTooManyRequests, "locked_out",
		"Too many wrong credentials. Wait, then try again with the right one.")
	errChecksBusy = fault.New(http.StatusServiceUnavailable, "busy",
		"Too many credentials are being checked right now. Try again in a moment.")
)

// authenticate is the one place that decides who asks a route of that access. It
// returns nil for a request without a credential, and an error for a wrong one.
//
// A browser's session comes first, unless a key of ours stands beside it. A
// session that has ended leaves nobody: what else the browser sends then is
// between its page and the app, and is no guess at a key.
func (s *Server) authenticate(ex *exchange, h http.Header, st *state, access policy.Access) (*identity.Principal, error) {
	if cookie := s.useSession(ex, h, access); cookie != "" {
		return s.bySession(ex, cookie, st)
	}
	c, err := readCredential(h)
	if err != nil || c.kind == credentialNone {
		return nil, err
	}
	ex.offered = true
	if parts, ok := apikey.Parse(c.secret); ok && c.kind == credentialBearer {
		c.id = parts.Prefix
	}
	if wait := s.lockouts.Check(ex.start, ex.ClientIP, c.id); wait > 0 {
		s.metrics.auths.WithLabelValues(c.kind.String(), "locked_out").Inc()
		return nil, errLockedOut.RetryAfter(wait)
	}
	if c.kind == credentialBearer {
		return s.authenticateBearer(ex, c, st)
	}
	return s.authenticateBasic(ex, h, c, st)
}

func (s *Server) authenticateBearer(ex *exchange, c credential, st *state) (*identity.Principal, error) {
	if !token.LooksLike(c.secret) {
		return s.authenticateKey(ex, c, st)
	}
	who, err := s.authenticateToken(ex, c.secret, st)
	if isGuess(err) {
		s.countWrong(ex, "token", "", false)
	}
	return who, err
}

// authenticateToken returns who a JWT stands for: one of this server's own (an
// access token, or a session token), or of an issuer that the policy trusts.
func (s *Server) authenticateToken(ex *exchange, raw string, st *state) (*identity.Principal, error) {
	if issuer := s.issuers.Load().of(raw); issuer != nil {
		return s.byIssuer(ex, issuer, raw, st)
	}
	if st.shared != nil && token.IsShared(raw) {
		return s.byShared(ex, raw, st)
	}
	if who, err := s.byAccessToken(ex, raw, st); who != nil || err != nil {
		return who, err
	}
	if s.signIn == nil || s.signIn.sessions == nil {
		return nil, errWrongToken
	}
	return s.byToken(ex, raw, st)
}

func (s *Server) authenticateBasic(ex *exchange, h http.Header, c credential, st *state) (*identity.Principal, error) {
	key, err := s.verifyPair(ex, pair{
		in: s.keychain, kind: c.kind.String(), account: c.id, id: c.id, secret: c.secret,
		header: h,
	})
	if errors.Is(err, keychain.ErrRefused) {
		return nil, errWrongAccessKey
	}
	if err != nil {
		return nil, err
	}
	s.metrics.accepted.Inc()
	return s.principal(st, key), nil
}

// A pair is an ID and a secret to check: an access key, or the name and password
// of a local user.
type pair struct {
	in         *keychain.Keychain
	kind       string // for metrics
	account    string // what lockouts call it
	id, secret string
	header     http.Header // of the request, which says whether the published key counts
}

// verifyPair checks a pair and counts the outcome. The error is
// keychain.ErrRefused for a wrong one, otherwise an answer.
func (s *Server) verifyPair(ex *exchange, p pair) (*keychain.Key, error) {
	begun := 0
	key, err := p.in.Verify(ex.ctx, p.id, p.secret, func() error {
		// Asked again right before the expensive check: guesses that waited
		// while others of their kind failed are not checked at all.
		if wait := s.lockouts.Begin(time.Now(), ex.ClientIP, p.account); wait > 0 {
			return errLockedOut.RetryAfter(wait)
		}
		begun++
		return nil
	})
	for range begun {
		defer s.lockouts.End(ex.ClientIP, p.account)
	}
	if err == nil && key.Published && !isDirectLoopback(ex, p.header) {
		err = keychain.ErrRefused
	}
	switch {
	case err == nil:
		s.lockouts.Succeeded(ex.start, ex.ClientIP, p.account)
		return key, nil
	case errors.Is(err, keychain.ErrRefused):
		s.countWrong(ex, p.kind, p.account, p.in.Has(p.id))
	case errors.Is(err, keychain.ErrBusy), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.metrics.auths.WithLabelValues(p.kind, "busy").Inc()
		return nil, errChecksBusy.RetryAfter(time.Second).Because(err)
	}
	return nil, err
}

// countWrong counts a wrong credential against its account and its source.
func (s *Server) countWrong(ex *exchange, kind, account string, known bool) {
	s.metrics.auths.WithLabelValues(kind, "wrong").Inc()
	for _, lock := range s.lockouts.Failed(time.Now(), ex.ClientIP, account, known) {
		s.metrics.lockouts.WithLabelValues(string(lock.Kind)).Inc()
		s.log.Warn("lockout", "request_id", ex.ID, "kind", string(lock.Kind), "subject", lockSubject(lock), "until", lock.Until)
		s.tellLockout(ex, kind, account, lock)
	}
}

// principal returns the Principal of an access key, made once per key and
// policy.
func (s *Server) principal(st *state, key *keychain.Key) *identity.Principal {
	if p, ok := st.principals.Load(key); ok {
		return p.(*identity.Principal)
	}
	p := &identity.Principal{
		Method: identity.MethodAccessKey, Subject: key.ID, Owner: "key:" + key.ID, Username: key.ID, KeyID: key.ID, Ended: key.Ended(),
	}
	st.policy.Grant(p)
	p.Accounts = accountsOf(p, st)
	kept, _ := st.principals.LoadOrStore(key, p)
	if _, known := s.keys.LoadOrStore(key, true); !known {
		context.AfterFunc(key.Ended(), func() {
			s.keys.Delete(key)
			s.lockouts.Forget(key.ID)
		})
	}
	return kept.(*identity.Principal)
}

// isDirectLoopback reports whether the request comes from this machine, was
// meant for it, and nobody stands between: a proxy here would make all the world
// look local, and so would a page of the world whose name resolves to here.
func isDirectLoopback(ex *exchange, h http.Header) bool {
	for name := range h {
		if gateway.IsProxyHeader(name) {
			return false
		}
	}
	host, err := netip.ParseAddr(ex.Host)
	return ex.ClientIP.IsLoopback() && !ex.Forwarded && (ex.Host == "localhost" || err == nil && host.IsLoopback())
}

// String names the kind for metrics.
func (k credentialKind) String() string {
	switch k {
	case credentialBasic:
		return "access-key"
	case credentialBearer:
		return "api-key"
	}
	return "none"
}
