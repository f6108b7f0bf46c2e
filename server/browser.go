package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/oidc"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/token"
)

var (
	errSignInNeeded = fault.New(http.StatusUnauthorized, "credential_required",
		"You are not signed in, or your session has ended. Sign in, or send an access key with HTTP Basic authentication.")
	errStoreUnavailable = fault.New(http.StatusServiceUnavailable, "store_unavailable",
		"Sessions cannot be checked right now. Try again in a moment.")
)

// bySession returns who the browser session of a request belongs to, or nil for
// a request without a living one. The cookie alone decides: it is the only
// credential of a browser.
func (s *Server) bySession(ex *exchange, cookie string, st *state) (*identity.Principal, error) {
	get := s.signIn.sessions.Get
	if ex.unattended {
		get = s.signIn.sessions.Look
	}
	sess, err := get(ex.ctx, cookie)
	switch {
	case errors.Is(err, session.ErrNoSession):
		return nil, nil
	case err != nil:
		return nil, storeError(err)
	}
	who := s.person(sess, st)
	if who == nil {
		s.endUnvouched(ex.ctx, sess.Record())
		return nil, nil
	}
	s.metrics.people.Inc()
	return who, nil
}

// endUnvouched ends a session for which nobody vouches any more.
func (s *Server) endUnvouched(ctx context.Context, r *session.Record) {
	s.log.Info("session ended: who vouched for it does not any more", "provider", r.Provider, "session", r.ID)
	if _, err := s.signIn.sessions.End(ctx, session.Filter{ID: r.ID}); err != nil {
		s.log.Warn("session could not be ended", "session", r.ID, "error", err)
	}
}

// recheckSessions ends the sessions for which nobody vouches any more, their
// sockets with them, after users or providers changed.
func (s *Server) recheckSessions() {
	if s.signIn == nil || s.signIn.sessions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.signIn.sessions.EndUnless(ctx, s.vouched); err != nil {
		s.log.Warn("sessions ended here but not yet in the store, it is tried again", "error", err)
	}
}

// storeError is the answer where the store could not be asked: nothing opens.
func storeError(err error) error {
	if errors.Is(err, session.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return errStoreUnavailable.RetryAfter(time.Second).Because(err)
	}
	return err
}

// person returns the Principal of a session, made once for each policy and
// renewal. It is nil when who vouched for the person does not count any more: a
// provider that left the settings, a user whose password was changed.
func (s *Server) person(sess *session.Session, st *state) *identity.Principal {
	if !s.vouched(sess.Record()) {
		return nil
	}
	return sess.Principal(st, func(sess *session.Session) *identity.Principal {
		r := sess.Record()
		p := &identity.Principal{
			Method: identity.MethodSession, Subject: s.signIn.providers.Load().subject(r.Provider, r.Subject),
			Username: r.Username, Email: r.Email, Groups: r.Groups, Assigned: r.Roles,
			SessionID: r.ID, ClientID: r.ClientID, Ended: sess.Ended(),
			Active: func() { s.signIn.sessions.Touch(sess) },
		}
		if from := s.signIn.providers.Load().get(r.Provider); from != nil && from.spec.Foreign {
			p.Email, p.Groups = "", nil
		}
		if len(r.Sealed) > 0 {
			p.Tokens = func() identity.Tokens { return s.providerTokens(sess) }
		}
		p.Owner = "sub:" + p.Subject
		st.policy.Grant(p)
		p.Accounts = accountsOf(p, st)
		return p
	})
}

// vouched reports whether who vouched for a session still may.
func (s *Server) vouched(r *session.Record) bool {
	if r.Provider == session.Local {
		stamp, ok := s.signIn.users.Stamp(r.Subject)
		return ok && stamp == r.Stamp
	}
	p := s.signIn.providers.Load().get(r.Provider)
	return p != nil && p.Issuer() == r.Issuer && p.spec.Admits(r.Email, r.Groups)
}

// providerTokens opens the tokens of a session for an upstream that gets them.
func (s *Server) providerTokens(sess *session.Session) identity.Tokens {
	t, err := s.signIn.sessions.Tokens(sess)
	if err != nil {
		s.log.Warn("tokens of a session cannot be opened: was a line taken out of the secret file?", "session", sess.Record().ID, "error", err)
		return identity.Tokens{}
	}
	return identity.Tokens{Access: t.Access, Refresh: t.Refresh}
}

// renewAfter bounds how long what a provider said of a person is believed
// where it can be asked again: somebody who lost an account is out after it.
const renewAfter = 5 * time.Minute

// renewalTime is when the provider is asked again about a session; zero where it
// gave no refresh token, so that it cannot be.
func renewalTime(login *oidc.Login, now time.Time) time.Time {
	if login.RefreshToken == "" {
		return time.Time{}
	}
	at := now.Add(renewAfter)
	if end := login.Expiry.Add(-10 * time.Second); !login.Expiry.IsZero() && end.Before(at) && end.After(now) {
		at = end
	}
	return at
}

// renewSession asks the provider of a session whether the person is still who
// they were. The error is session.ErrRefused when the provider says no.
func (s *Server) renewSession(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
	p := s.signIn.providers.Load().get(r.Provider)
	if p == nil || p.Issuer() != r.Issuer {
		return session.Renewal{}, session.ErrRefused
	}
	login, err := p.Refresh(ctx, t.Refresh, t.ID, r.Subject)
	switch {
	case errors.Is(err, oidc.ErrRefused):
		s.log.Info("session ended by the provider", "provider", r.Provider, "session", r.ID, "error", err)
		return session.Renewal{}, session.ErrRefused
	case err != nil:
		s.log.Warn("session could not be renewed, it goes on", "provider", r.Provider, "session", r.ID, "error", err)
		return session.Renewal{}, err
	}
	s.logWarnings(p, login)
	if !p.spec.Admits(login.Email, login.Groups) {
		s.log.Info("session ended: the provider's word does not admit the person any more", "provider", r.Provider, "session", r.ID)
		return session.Renewal{}, session.ErrRefused
	}
	return session.Renewal{
		Claims: claimsOf(login), Tokens: tokensOf(login), RenewAt: renewalTime(login, time.Now()),
	}, nil
}

func claimsOf(l *oidc.Login) session.Claims {
	return session.Claims{Username: l.Username, Email: l.Email, Groups: l.Groups}
}

func tokensOf(l *oidc.Login) session.Tokens {
	return session.Tokens{ID: l.IDToken, Access: l.AccessToken, Refresh: l.RefreshToken, Expiry: l.Expiry}
}

func (s *Server) logWarnings(p *provider, l *oidc.Login) {
	for _, w := range l.Warnings {
		s.log.Warn("provider", "provider", p.Name(), "warning", w)
	}
}

// orSignIn turns the refusal of a browser that navigates into the way to the
// login page; target is the address that the browser wanted. Everybody else gets
// the refusal.
func (s *Server) orSignIn(ex *exchange, r *http.Request, err error, method, target string) error {
	if s.signIn == nil || err == nil || fault.From(err).Code != errNoCredential.Code {
		return err
	}
	if !wantsPage(method, r.Header) {
		return withoutPrompt(r.Header)
	}
	page := loginPath
	if s.skipsLogin() {
		page = initPath
	}
	redirect(ex, http.StatusFound, s.withNext(page, s.safeNext(target)))
	return nil
}

// noCredential is the 401 of an endpoint of our own.
func (s *Server) noCredential(h http.Header) error {
	if s.signIn == nil {
		return errNoCredential
	}
	return withoutPrompt(h)
}

// withoutPrompt is the 401 of a server with sign-in. A script in a page must not
// make the browser ask for a password in a window of its own, which the Basic
// challenge does.
func withoutPrompt(h http.Header) error {
	if h.Get("Sec-Fetch-Mode") != "" || strings.EqualFold(h.Get("X-Requested-With"), "XMLHttpRequest") {
		return errSignInNeeded.WithHeader("WWW-Authenticate", `Bearer realm="wavegate"`)
	}
	return errSignInNeeded.WithHeader("WWW-Authenticate", basicChallenge)
}

// redirect answers with a Location on this origin, or at a provider.
func redirect(ex *exchange, status int, target string) {
	h := ex.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	ex.WriteHeader(status)
}

// carriesOwn reports whether the request brings a credential of this server
// beside its session cookie; one that is not ours belongs to the app behind.
func (s *Server) carriesOwn(h http.Header) bool {
	if !carriesCredential(h) {
		return false
	}
	c, err := readCredential(h)
	if err != nil {
		return false
	}
	return s.isOwn(c)
}

func carriesCredential(h http.Header) bool { return len(h["Authorization"])+len(h["X-Api-Key"]) > 0 }

// isOwn reports whether a credential is one that this server knows.
func (s *Server) isOwn(c credential) bool {
	switch {
	case c.kind == credentialBasic:
		return s.keychain.Has(c.id)
	case c.kind != credentialBearer:
		return false
	}
	if parts, ok := apikey.Parse(c.secret); ok {
		return parts.Brand == s.cfg.KeyBrand
	}
	if s.oauth != nil && s.oauth.Claims(c.secret) {
		return true
	}
	if shared := s.state.Load().shared; shared != nil && token.IsShared(c.secret) {
		_, err := shared.Verify(c.secret)
		return err == nil
	}
	if s.signIn == nil {
		return false
	}
	_, err := s.signIn.tokens.Verify(c.secret)
	return err == nil
}

// useSession reports whether the session cookie of a request decides, and
// returns it. A key of ours beside the cookie was put there on purpose; on a route
// for keys so was whatever looks like one.
func (s *Server) useSession(ex *exchange, h http.Header, access policy.Access) string {
	if s.signIn == nil || s.signIn.sessions == nil {
		return ""
	}
	cookie := session.ReadSession(h, ex.Scheme == "https")
	if cookie == "" || access == policy.Keys && carriesCredential(h) || s.carriesOwn(h) {
		return ""
	}
	return cookie
}
