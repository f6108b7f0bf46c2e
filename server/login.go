package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wavegate/keychain"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// The paths of sign-in, below the base URL.
const (
	loginPath     = "/_auth/login"
	initPath      = "/_auth/init"
	callbackPath  = "/_auth/callback"
	logoutPath    = "/_auth/logout"
	signedOutPath = "/_auth/signed-out"
	forgetPath    = "/_auth/signed-out/forget"
)

// hintParam says to the login page what to fill in as the name, and againParam that
// somebody who is signed in has to show once more that it is they.
const (
	hintParam  = "login_hint"
	againParam = "again"
)

const signInAgain = "Sign in again to go on: what you are about to do needs a fresh login."

// maxForm bounds the body of a form of ours, in bytes.
const maxForm = 16 << 10

// withSignIn hides an endpoint of sign-in where there is none.
func (s *Server) withSignIn(serve func(*exchange, *http.Request) error) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		if s.signIn == nil || s.signIn.sessions == nil {
			return fault.NotFound()
		}
		if err := s.requireHTTPS(ex.Scheme); err != nil {
			return err
		}
		return serve(ex, r)
	}
}

// skipsLogin reports whether the login page has nothing to choose from and the
// operator wants none.
func (s *Server) skipsLogin() bool {
	return s.cfg.SignIn.SkipLogin && len(s.signIn.providers.Load().all()) == 1 && s.signIn.users.Len() == 0
}

// login shows the login page, or leads on whoever is signed in already. With
// ?switch=1 somebody wants another account; with again=1 beside it, the same account
// once more.
func (s *Server) login(ex *exchange, r *http.Request) error {
	q := r.URL.Query()
	next := s.safeNext(q.Get("next"))
	who, err := s.signedIn(ex, r)
	if err != nil {
		return err
	}
	switching := q.Get("switch") != ""
	if who != nil && !switching {
		redirect(ex, http.StatusFound, next)
		return nil
	}
	hint, again := q.Get(hintParam), switching && q.Get(againParam) != "" && who != nil
	view := s.loginPage(ex, next, howToSwitch(switching, again)...)
	switch {
	case again:
		view.Message, hint = signInAgain, cmp.Or(hint, who.Username)
	case who != nil:
		view.SwitchFrom = who.Username
	}
	if view.Form != nil {
		view.Form.Username = clip(hint)
	}
	return s.page(ex, r, http.StatusOK, func(w io.Writer) error { return s.look().Login(w, view) })
}

// signedIn returns who the browser is signed in as, without counting it as
// activity, or nil.
func (s *Server) signedIn(ex *exchange, r *http.Request) (*identity.Principal, error) {
	sess, err := s.browserSession(ex, r)
	if sess == nil || err != nil {
		return nil, err
	}
	return s.person(sess, s.state.Load()), nil
}

// browserSession returns the living session of a browser, or nil.
func (s *Server) browserSession(ex *exchange, r *http.Request) (*session.Session, error) {
	cookie := session.ReadSession(r.Header, ex.Scheme == "https")
	if cookie == "" {
		return nil, nil
	}
	sess, err := s.signIn.sessions.Peek(ex.ctx, cookie)
	switch {
	case errors.Is(err, session.ErrNoSession):
		return nil, nil
	case err != nil:
		return nil, storeError(err)
	case !s.vouched(sess.Record()):
		return nil, nil
	}
	return sess, nil
}

// howToSwitch are the parameters that tell a provider's login to ask who it is.
func howToSwitch(switching, again bool) []string {
	switch {
	case again:
		return []string{"switch", "1", againParam, "1"}
	case switching:
		return []string{"switch", "1"}
	}
	return nil
}

// loginPage is what can be chosen from; more are parameters for the providers' buttons.
func (s *Server) loginPage(ex *exchange, next string, more ...string) portal.LoginPage {
	view := portal.LoginPage{Next: next}
	if next != s.cfg.BaseURL {
		view.Where = s.whereTo(ex.ctx, next)
	}
	for _, p := range s.signIn.providers.Load().all() {
		view.Providers = append(view.Providers, portal.ProviderButton{
			Name: p.spec.Name, Label: p.spec.Label,
			URL: s.withNext(initPath, next, append([]string{"provider", p.spec.Name}, more...)...),
		})
	}
	if s.signIn.users.Len() > 0 || len(view.Providers) == 0 {
		view.Form = &portal.LoginForm{Action: s.cfg.BaseURL + loginPath[1:], Next: next}
	}
	return view
}

// whereTo says to people what they go on to: the app that sent them, by its name,
// their device, or the address.
func (s *Server) whereTo(ctx context.Context, next string) string {
	path, query, _ := strings.Cut(next, "?")
	switch {
	case path == s.ownPathOf(portalPath+"resume"):
		return "what you were doing"
	case s.oauth == nil:
		return next
	case path == s.ownPathOf(devicePath):
		return "your device"
	case path != s.ownPathOf(authorizePath):
		return next
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return next
	}
	return cmp.Or(s.appName(ctx, params.Get("client_id")), next)
}

// signInLocally takes the login form: name and password of the users file.
func (s *Server) signInLocally(ex *exchange, r *http.Request) error {
	form, err := readForm(ex, r)
	if err != nil {
		return err
	}
	name, next := form.Get("username"), s.safeNext(form.Get("next"))
	key, err := s.verifyUser(ex, name, form.Get("password"))
	if err == nil {
		err = s.startSession(ex, r, next, session.Login{
			Provider: session.Local, Issuer: session.Local, Subject: key.ID, Stamp: key.Stamp,
			Claims: session.Claims{Username: key.ID}, Proved: true,
		})
		if errors.Is(err, session.ErrDisabled) {
			return s.noAccess(ex, r, portal.NoAccessPage{Account: key.ID, Message: "This account has been disabled by an administrator."}, next)
		}
		return storeError(err)
	}
	e := fault.From(err)
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusTooManyRequests {
		return err
	}
	ex.fault = e
	view := s.loginPage(ex, next)
	if view.Form == nil { // no users are left
		return err
	}
	view.Form.Username, view.Form.Error = clip(name), e.Message
	maps.Copy(ex.Header(), e.Header)
	return s.page(ex, r, e.Status, func(w io.Writer) error { return s.look().Login(w, view) })
}

var errWrongPassword = fault.New(http.StatusUnauthorized, "invalid_credentials", "The name or the password is wrong.").
	WithHeader("WWW-Authenticate", `Bearer realm="wavegate"`) // Basic would open the browser's own window

// verifyUser checks a name and a password, with the same lockouts as access
// keys have. Users and keys of the same name have nothing to do with one another.
func (s *Server) verifyUser(ex *exchange, name, password string) (*keychain.Key, error) {
	account := userAccount(name)
	if wait := s.lockouts.Check(time.Now(), ex.ClientIP, account); wait > 0 {
		s.metrics.auths.WithLabelValues("password", "locked_out").Inc()
		return nil, errLockedOut.RetryAfter(wait)
	}
	key, err := s.verifyPair(ex, pair{in: s.signIn.users, kind: "password", account: account, id: name, secret: password})
	if errors.Is(err, keychain.ErrRefused) {
		return nil, errWrongPassword
	}
	if err != nil {
		return nil, err
	}
	s.metrics.auths.WithLabelValues("password", "ok").Inc()
	return key, nil
}

// userAccount is what lockouts call a local user, without the space around a
// name that lockouts look past in front.
func userAccount(name string) string { return "user:" + strings.TrimSpace(name) }

// startSession signs somebody in, and on to where they wanted to go.
func (s *Server) startSession(ex *exchange, r *http.Request, next string, login session.Login) error {
	if err := s.beginSession(ex, r, login); err != nil {
		return err
	}
	redirect(ex, http.StatusSeeOther, next)
	return nil
}

// beginSession signs somebody in: a new session in the place of the one that this
// browser had, whatever that was.
func (s *Server) beginSession(ex *exchange, r *http.Request, login session.Login) error {
	before, err := s.browserSession(ex, r)
	if err != nil {
		return err
	}
	login.IP, login.UserAgent = addrString(ex), clip(r.UserAgent())
	cookie, sess, err := s.signIn.sessions.SignIn(ex.ctx, login)
	if err != nil {
		return err
	}
	if before != nil {
		if _, err := s.signIn.sessions.End(ex.ctx, session.Filter{ID: before.Record().ID}); err != nil {
			s.log.Warn("the session before could not be ended", "session", before.Record().ID, "error", err)
		}
	}
	ex.Principal = s.person(sess, s.state.Load())
	s.log.Info("signed in", "request_id", ex.ID, "provider", login.Provider, "user", sess.Record().UserID, "session", sess.Record().ID, "client_ip", login.IP)
	session.SetSession(ex.Header(), ex.Scheme == "https", cookie, s.signIn.sessions.Lifetime())
	return nil
}

// readForm reads a form that a page of ours sent.
func readForm(ex *exchange, r *http.Request) (url.Values, error) {
	if err := sameOrigin(ex, r); err != nil {
		return nil, err
	}
	r.Body = http.MaxBytesReader(ex, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, fault.New(http.StatusRequestEntityTooLarge, "too_large", "The form is larger than it can be.")
		}
		return nil, fault.New(http.StatusBadRequest, "invalid_request", "The form could not be read.").Because(err)
	}
	return r.PostForm, nil
}

// sameOrigin refuses a request that changes something and was made by a page of
// another site.
func sameOrigin(ex *exchange, r *http.Request) error {
	asked := *r
	asked.Host = ex.HostPort // as the browser knows it, behind a trusted proxy too
	if err := http.NewCrossOriginProtection().Check(&asked); err != nil {
		return fault.New(http.StatusForbidden, "cross_origin", "This came from a page of another site. Go back and use the page's own buttons.").Because(err)
	}
	return nil
}

// page answers with a page of ours.
func (s *Server) page(ex *exchange, r *http.Request, status int, render func(io.Writer) error) error {
	return s.pageWith(ex, r, status, s.look().CSP(), render)
}

func (s *Server) pageWith(ex *exchange, r *http.Request, status int, csp string, render func(io.Writer) error) error {
	var body bytes.Buffer
	if err := render(&body); err != nil {
		return err
	}
	writePage(ex, r, status, csp, body.Bytes())
	return nil
}
