package server

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"wavegate/oidc"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// beginLogin sends the browser to a provider, with everything that the way back
// will be checked against in a sealed cookie of its own: tabs do not disturb one
// another, and the server keeps nothing for strangers.
func (s *Server) beginLogin(ex *exchange, r *http.Request) error {
	q := r.URL.Query()
	next := s.safeNext(q.Get("next"))
	p, err := s.chosenProvider(q.Get("provider"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(p.spec.RedirectURL, "https:") && ex.Scheme == "http" && !s.warnedPlain.Swap(true) {
		s.log.Warn("browsers come by plain http although the redirect URL is https: name the proxy that ends TLS with --trusted-proxies, or cookies go without Secure")
	}
	back, elsewhere := s.redirectURL(ex, p)
	if elsewhere != "" && q.Get("here") == "" {
		more := append([]string{"provider", p.spec.Name, "here", "1"}, howToSwitch(q.Get("switch") != "", q.Get(againParam) != "")...)
		redirect(ex, http.StatusFound, elsewhere+s.withNext(initPath, next, more...))
		return nil
	}
	attempt := session.NewAttempt(p.spec.Name, back, next, time.Now())
	ask := oidc.AuthRequest{State: attempt.State, Nonce: attempt.Nonce, Verifier: attempt.Verifier, RedirectURL: back}
	if q.Get("switch") != "" {
		attempt.Again = q.Get(againParam) != ""
		ask.Prompt = promptToSwitch(p.Issuer(), attempt.Again)
	}
	target, err := p.AuthURL(ex.ctx, ask)
	if err != nil {
		return s.signInFailed(ex, r, p, next, err)
	}
	sealed, err := s.signIn.sessions.SealAttempt(attempt)
	if err != nil {
		return err
	}
	session.SetAttempt(ex.Header(), r.Header, ex.Scheme == "https", attempt.State, sealed, session.KeepAttempt)
	redirect(ex, http.StatusFound, target)
	return nil
}

// promptToSwitch is how a provider is asked to let somebody choose another
// account (OpenID Connect Core 1.0, section 3.1.2.1), or again to prove who they are.
// Google refuses "login", and Microsoft asks for the password of the same account then.
func promptToSwitch(issuer string, again bool) string {
	u, err := url.Parse(issuer)
	if err == nil && (u.Host == "accounts.google.com" || u.Host == "login.microsoftonline.com" && !again) {
		return "select_account"
	}
	return "login"
}

// chosenProvider returns the provider with the name; "" is the first.
func (s *Server) chosenProvider(name string) (*provider, error) {
	set := s.signIn.providers.Load()
	if name == "" && len(set.all()) > 0 {
		return set.list[0], nil
	}
	if p := set.get(name); p != nil {
		return p, nil
	}
	return nil, fault.New(http.StatusNotFound, "not_found", "There is no such way to sign in.")
}

// redirectURL is where the provider shall send this browser back. Cookies belong
// to one host, so it is the host that the browser is on, as long as the operator
// named it: in the redirect URL itself or as the host of a route. Otherwise
// elsewhere is the origin of the redirect URL, where the login has to begin.
func (s *Server) redirectURL(ex *exchange, p *provider) (back, elsewhere string) {
	u, err := url.Parse(p.spec.RedirectURL)
	if err != nil || strings.EqualFold(u.Host, ex.HostPort) {
		return p.spec.RedirectURL, ""
	}
	if s.servesHost(ex.Host) {
		here := *u
		here.Host = ex.HostPort
		return here.String(), ""
	}
	return p.spec.RedirectURL, u.Scheme + "://" + u.Host
}

// servesHost reports whether a route of the policy is for this very host.
func (s *Server) servesHost(host string) bool {
	for _, rt := range s.state.Load().policy.Routes() {
		if rt.Host != "" && rt.Host == host {
			return true
		}
	}
	return false
}

// maxState bounds what is looked at as a state, in bytes.
const maxState = 256

// callback is where the provider sends the browser back.
func (s *Server) callback(ex *exchange, r *http.Request) error {
	q := r.URL.Query()
	state := q.Get("state")
	if state == "" || len(state) > maxState {
		return s.signInProblem(ex, r, http.StatusBadRequest, problemStale, nil, "", nil)
	}
	attempt, err := s.attemptOf(ex, r, state)
	if err != nil {
		return s.staleCallback(ex, r, attempt, err)
	}
	p := s.signIn.providers.Load().get(attempt.Provider)
	if p == nil {
		return s.signInProblem(ex, r, http.StatusBadRequest, problemStale, nil, attempt.Next, errors.New("the provider of this login left the settings meanwhile"))
	}
	switch s.signIn.codes.enter(ex.ctx, time.Now(), ex.ClientIP, attempt) {
	case usedUp:
		return s.staleCallback(ex, r, attempt, session.ErrAttemptUsed)
	case crowded:
		s.metrics.auths.WithLabelValues("sign-in", problemBusy.code).Inc()
		return s.signInProblem(ex, r, http.StatusServiceUnavailable, problemBusy, p, attempt.Next, nil)
	}
	login, err := s.exchangeCode(ex, q, p, attempt)
	if err != nil {
		session.ClearAttempt(ex.Header(), ex.Scheme == "https", state)
		if e, ok := errors.AsType[*oidc.Error](err); ok && e.Kind == oidc.Stale {
			return s.staleCallback(ex, r, attempt, err)
		}
		return s.signInFailed(ex, r, p, attempt.Next, err)
	}
	s.logWarnings(p, login)
	return s.finishLogin(ex, r, p, attempt, login)
}

// exchangeCode asks the provider who came back, and leaves the gate.
func (s *Server) exchangeCode(ex *exchange, q url.Values, p *provider, attempt session.Attempt) (*oidc.Login, error) {
	defer s.signIn.codes.leave(ex.ClientIP)
	return p.Exchange(ex.ctx, oidc.Callback{
		Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), ErrorDescription: q.Get("error_description"),
		Nonce: attempt.Nonce, Verifier: attempt.Verifier, RedirectURL: attempt.RedirectURL,
	})
}

// attemptOf opens the login attempt that a state belongs to.
func (s *Server) attemptOf(ex *exchange, r *http.Request, state string) (session.Attempt, error) {
	sealed := session.ReadAttempt(r.Header, ex.Scheme == "https", state)
	attempt, err := s.signIn.sessions.OpenAttempt(state, sealed)
	if errors.Is(err, session.ErrForeign) {
		s.log.Warn("a login attempt was sealed by another secret: all replicas need the same --secret-file", "request_id", ex.ID)
	}
	return attempt, err
}

// finishLogin signs in the person that a provider vouched for.
func (s *Server) finishLogin(ex *exchange, r *http.Request, p *provider, attempt session.Attempt, login *oidc.Login) error {
	https := ex.Scheme == "https"
	if !p.spec.Admits(login.Email, login.Groups) {
		session.ClearAttempt(ex.Header(), https, attempt.State)
		s.log.Info("sign-in refused: the provider's settings do not admit the person", "request_id", ex.ID, "provider", p.spec.Name, "subject", login.Subject)
		return s.noAccess(ex, r, portal.NoAccessPage{
			Account: cmp.Or(login.Email, login.Username), Provider: p.spec.Label,
			Message: "This account may not sign in here.",
		}, attempt.Next)
	}
	s.consume(ex, r, attempt)
	err := s.startSession(ex, r, attempt.Next, session.Login{
		Provider: p.spec.Name, Issuer: login.Issuer, Subject: login.Subject, SID: login.SID,
		Claims: claimsOf(login), Tokens: tokensOf(login), RenewAt: renewalTime(login, time.Now()), Attempt: attempt,
		Proved: attempt.Again,
	})
	switch {
	case errors.Is(err, session.ErrAttemptUsed):
		return s.staleCallback(ex, r, attempt, err)
	case errors.Is(err, session.ErrDisabled):
		return s.noAccess(ex, r, portal.NoAccessPage{
			Account: cmp.Or(login.Email, login.Username), Provider: p.spec.Label,
			Message: "This account has been disabled by an administrator.",
		}, attempt.Next)
	case err != nil:
		return storeError(err)
	}
	return nil
}

// consume makes the attempt's cookie one that only remembers where the login
// led: should the provider send the browser here again, it goes there.
func (s *Server) consume(ex *exchange, r *http.Request, attempt session.Attempt) {
	attempt.Ends = time.Now()
	attempt.Nonce, attempt.Verifier = "", ""
	if sealed, err := s.signIn.sessions.SealAttempt(attempt); err == nil {
		session.SetAttempt(ex.Header(), r.Header, ex.Scheme == "https", attempt.State, sealed, session.KeepUsed)
	}
}

// staleCallback answers a callback that comes too late or a second time: a
// restored tab, a form at the provider that was left open. Whoever is signed in
// goes where they wanted, everybody else begins anew.
func (s *Server) staleCallback(ex *exchange, r *http.Request, attempt session.Attempt, cause error) error {
	who, err := s.signedIn(ex, r)
	if err != nil {
		return err
	}
	next := s.safeNext(attempt.Next)
	if who != nil {
		redirect(ex, http.StatusFound, next)
		return nil
	}
	if attempt.Next != "" && errors.Is(cause, session.ErrNoAttempt) && s.signIn.providers.Load().get(attempt.Provider) != nil {
		redirect(ex, http.StatusFound, s.withNext(initPath, next, "provider", attempt.Provider, "here", "1"))
		return nil
	}
	return s.signInProblem(ex, r, http.StatusBadRequest, problemStale, nil, next, cause)
}

// signInFailed says why a provider did not let somebody in: a page that explains
// for the person, one log line with the mending for the operator.
func (s *Server) signInFailed(ex *exchange, r *http.Request, p *provider, next string, err error) error {
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return err
	}
	status, problem := http.StatusBadGateway, problemMisconfigured
	switch e.Kind {
	case oidc.Denied:
		status, problem = http.StatusForbidden, problemDenied
	case oidc.Unreachable:
		status, problem = http.StatusServiceUnavailable, problemUnreachable
	case oidc.Untrusted:
		problem = problemUntrusted
	case oidc.Stale:
		status, problem = http.StatusBadRequest, problemStale
	}
	s.metrics.auths.WithLabelValues("sign-in", problem.code).Inc()
	return s.signInProblem(ex, r, status, problem, p, next, err)
}

// A signInTrouble is one way in which a login fails, in words for the person.
type signInTrouble struct {
	code, title, message string
	advice               []string
}

var (
	problemStale = signInTrouble{
		"stale_login", "This sign-in has ended", "It took too long, was used before, or was begun in another browser.",
		[]string{"Start again: it takes a moment, and you may not have to type anything.", "Allow cookies for this site, should it happen each time."},
	}
	problemDenied = signInTrouble{
		"sign_in_denied", "You weren’t signed in", "The sign-in service said no, or you cancelled.",
		[]string{"Try again, or choose another account.", "If you should have access, ask whoever runs this service."},
	}
	problemBusy = signInTrouble{
		"busy", "Too many people are signing in", "The sign-in service is being asked about others right now.",
		[]string{"Try again in a moment.", "If it stays like this, tell whoever runs this service, with the request ID."},
	}
	problemUnreachable = signInTrouble{
		"provider_unreachable", "The sign-in service isn’t answering", "It cannot be reached right now. Whoever is signed in already can go on.",
		[]string{"Try again in a minute.", "If it stays like this, tell whoever runs this service, with the request ID."},
	}
	problemMisconfigured = signInTrouble{
		"sign_in_misconfigured", "Signing in doesn’t work right now", "This service and its sign-in service don’t agree on their settings. It is not your fault.",
		[]string{"Tell whoever runs this service, with the request ID: the log says what to mend."},
	}
	problemUntrusted = signInTrouble{
		"sign_in_untrusted", "The sign-in couldn’t be verified", "The sign-in service answered, but not in a way that can be trusted, so you were not signed in.",
		[]string{"Try again.", "If it happens each time, tell whoever runs this service, with the request ID."},
	}
)

// signInProblem answers with the page of one kind of trouble, and has the cause
// in the log.
func (s *Server) signInProblem(ex *exchange, r *http.Request, status int, t signInTrouble, p *provider, next string, cause error) error {
	e := fault.New(status, t.code, t.message)
	if cause != nil {
		e = e.Because(cause)
	}
	if status == http.StatusServiceUnavailable {
		e = e.RetryAfter(30 * time.Second)
	}
	if !wantsPage(r.Method, r.Header) {
		return e
	}
	ex.fault = e
	view := portal.SignInErrorPage{
		Title: t.title, Message: t.message, Advice: t.advice, Home: s.cfg.BaseURL, RequestID: ex.ID,
		RetryURL: s.withNext(loginPath, s.safeNext(next)),
	}
	if p != nil {
		view.Provider = p.spec.Label
	}
	maps.Copy(ex.Header(), e.Header)
	return s.page(ex, r, status, func(w io.Writer) error { return s.look().SignInError(w, view) })
}

// noAccess says which account may not enter, and offers to take another.
func (s *Server) noAccess(ex *exchange, r *http.Request, view portal.NoAccessPage, next string) error {
	e := fault.New(http.StatusForbidden, "access_denied", view.Message)
	if !wantsPage(r.Method, r.Header) {
		return e
	}
	if ex.fault == nil {
		ex.fault = e
	}
	view.Home, view.RequestID = s.cfg.BaseURL, ex.ID
	view.SwitchURL = s.withNext(loginPath, s.safeNext(next), "switch", "1")
	return s.pageWith(ex, r, http.StatusForbidden, s.cspWithProviders(), func(w io.Writer) error { return s.look().NoAccess(w, view) })
}

// refusedPerson describes somebody who is signed in and may not do what they
// asked for.
func (s *Server) refusedPerson(who *identity.Principal, e *fault.Error) portal.NoAccessPage {
	view := portal.NoAccessPage{
		Account: cmp.Or(who.Email, who.Username), Message: e.Message, Need: e.Need, SignOutURL: s.cfg.BaseURL + logoutPath[1:],
	}
	switch e.Code {
	case "insufficient_scope", "insufficient_role":
		view.Message = "This account may not do what you asked for."
	case "key_required":
		view.Message = "This address is for programs with a key. No account opens it."
	}
	return view
}

// cspWithProviders is the content security policy of pages with a button that
// signs out: the form leads to the provider in the end, and from there to
// wherever the provider has its people sign out.
func (s *Server) cspWithProviders() string {
	origins := []string{"https:"}
	for _, p := range s.signIn.providers.Load().all() {
		for _, raw := range []string{p.spec.Issuer, p.spec.EndSessionURL, p.spec.PostLogoutRedirectURL} {
			if o := origin(raw); o != "" && !slices.Contains(origins, o) {
				origins = append(origins, o)
			}
		}
	}
	return s.look().CSPWithForms(origins...)
}

// origin returns the origin of an absolute URL, or "".
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
