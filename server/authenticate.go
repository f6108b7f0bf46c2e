package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"wavegate/keychain"
	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
)

// A state is what requests are decided by: the policy, and the principals that
// were made under it. A reload swaps the pointer, so a principal never outlives
// the policy that gave it its scopes.
type state struct {
	policy     *policy.Policy
	principals sync.Map // *keychain.Key → *identity.Principal; as many as there are keys
}

const basicChallenge = `Basic realm="wavegate"`

var (
	errNoCredential = fault.New(http.StatusUnauthorized, "credential_required",
		"This address needs a credential. Send an access key with HTTP Basic authentication.").
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

// authenticate is the one place that decides who asks. It returns nil for a
// request without a credential, and an error for a wrong one.
func (s *Server) authenticate(ex *exchange, h http.Header, st *state) (*identity.Principal, error) {
	c, err := readCredential(h)
	if err != nil || c.kind == credentialNone {
		return nil, err
	}
	if wait := s.lockouts.Check(ex.start, ex.ClientIP, c.id); wait > 0 {
		s.metrics.auths.WithLabelValues(c.kind.String(), "locked_out").Inc()
		return nil, errLockedOut.RetryAfter(wait)
	}
	if c.kind == credentialBearer {
		s.wrong(ex, c)
		return nil, errWrongAPIKey
	}
	return s.authenticateBasic(ex, h, c, st)
}

func (s *Server) authenticateBasic(ex *exchange, h http.Header, c credential, st *state) (*identity.Principal, error) {
	begun := 0
	key, err := s.keychain.Verify(ex.ctx, c.id, c.secret, func() error {
		// Asked again right before the expensive check: guesses that waited
		// while others of their kind failed are not checked at all.
		if wait := s.lockouts.Begin(time.Now(), ex.ClientIP, c.id); wait > 0 {
			return errLockedOut.RetryAfter(wait)
		}
		begun++
		return nil
	})
	for range begun {
		defer s.lockouts.End(ex.ClientIP, c.id)
	}
	if err == nil && key.Published && !isDirectLoopback(ex, h) {
		err = keychain.ErrRefused
	}
	if err != nil {
		return nil, s.refuseBasic(ex, c, err)
	}
	s.lockouts.Succeeded(ex.start, ex.ClientIP, c.id)
	s.metrics.accepted.Inc()
	return s.principal(st, key), nil
}

func (s *Server) refuseBasic(ex *exchange, c credential, err error) error {
	switch {
	case errors.Is(err, keychain.ErrRefused):
		s.wrong(ex, c)
		return errWrongAccessKey
	case errors.Is(err, keychain.ErrBusy), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.metrics.auths.WithLabelValues("access-key", "busy").Inc()
		return errChecksBusy.RetryAfter(time.Second).Because(err)
	}
	return err
}

// wrong counts a wrong credential against its key and its source.
func (s *Server) wrong(ex *exchange, c credential) {
	s.metrics.auths.WithLabelValues(c.kind.String(), "wrong").Inc()
	known := c.kind == credentialBasic && s.keychain.Has(c.id)
	for _, lock := range s.lockouts.Failed(time.Now(), ex.ClientIP, c.id, known) {
		subject := lock.Subject
		if lock.Kind == limit.KindKey && !known {
			subject = "unknown ID" // what a stranger typed there may be a secret
		}
		s.metrics.lockouts.WithLabelValues(string(lock.Kind)).Inc()
		s.log.Warn("lockout", "request_id", ex.ID, "kind", string(lock.Kind), "subject", subject, "until", lock.Until)
	}
}

// principal returns the Principal of an access key, made once per key and
// policy.
func (s *Server) principal(st *state, key *keychain.Key) *identity.Principal {
	if p, ok := st.principals.Load(key); ok {
		return p.(*identity.Principal)
	}
	p := &identity.Principal{
		Method: identity.MethodAccessKey, Subject: key.ID, Username: key.ID, KeyID: key.ID, Ended: key.Ended(),
	}
	st.policy.Grant(p)
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
