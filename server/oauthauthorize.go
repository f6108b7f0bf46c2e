package server

import (
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// authorize is where an app sends the browser of somebody for whom it wants to act
// (RFC 6749, section 3.1): they sign in, are asked, and the browser goes back to
// the app with a code.
func (s *Server) authorize(ex *exchange, r *http.Request) error {
	params, err := authz.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	if client, err := s.oauth.Client(ex.ctx, params.Get("client_id")); err == nil {
		ex.client = client.ID
	}
	req, err := s.oauth.Request(ex.ctx, params.Without(sinceParam))
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	p, err := s.visitor(ex, r)
	if err != nil {
		return err
	}
	if done, err := s.wantsSignInFirst(ex, r, req, p, s.oauth.sinceOf(req, params.Get(sinceParam))); done || err != nil {
		return err
	}
	return s.consent(ex, r, req, p)
}

// authorizeForm takes an authorization request that came as a form (OpenID Connect
// Core 3.1.2.1). Another site sent it, so that no cookie of ours came along: the
// browser is led to the same request as a page of its own.
func (s *Server) authorizeForm(ex *exchange, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(ex, r.Body, maxForm))
	if err != nil {
		return fault.New(http.StatusRequestEntityTooLarge, "too_large", "The form is larger than it can be.").Because(err)
	}
	params, err := authz.ParseBody(r.Header.Get("Content-Type"), body)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	redirect(ex, http.StatusSeeOther, s.ownPathOf(authorizePath)+"?"+params.Encode())
	return nil
}

// ownPathOf is the path of an endpoint, with the base URL.
func (s *Server) ownPathOf(path string) string { return s.cfg.BaseURL + path[1:] }

// A visitor is who sits before the browser.
type visitor struct {
	who    *identity.Principal
	person *authz.Person
	sess   *session.Record
}

// visitor returns who is signed in, or nil.
func (s *Server) visitor(ex *exchange, r *http.Request) (*visitor, error) {
	sess, err := s.browserSession(ex, r)
	if sess == nil || err != nil {
		return nil, err
	}
	who := s.person(sess, s.state.Load())
	if who == nil {
		return nil, nil
	}
	ex.Principal = who
	rec := sess.Record()
	return &visitor{who, s.giver(who, rec.UserID), rec}, nil
}

// sinceParam is added to a request that goes through the login page because the app
// wants a fresh sign-in: it says since when, sealed for this request. Whoever takes it
// away or makes it up is asked again.
const sinceParam = "wavegate_since"

// sinceKind is what it is sealed as.
const sinceKind = "wavegate fresh sign-in"

// sinceFor returns the parameter for a request that is made now.
func (o *oauth) sinceFor(req *authz.Request, now time.Time) (string, error) {
	sealed, err := o.sealing.Seal(sinceKind, req.Params.Encode(), []byte(strconv.FormatInt(now.UnixMilli(), 10)))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// sinceOf returns since when a request waits for a fresh sign-in, zero for none.
func (o *oauth) sinceOf(req *authz.Request, param string) time.Time {
	sealed, err := base64.RawURLEncoding.DecodeString(param)
	if err != nil || param == "" {
		return time.Time{}
	}
	plain, err := o.sealing.Open(sinceKind, req.Params.Encode(), sealed)
	if err != nil {
		return time.Time{}
	}
	ms, err := strconv.ParseInt(string(plain), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// wantsSignInFirst leads to the login page whoever has to sign in, or to sign in
// once more, before they are asked anything; or back to the app, if it wants no
// page to be shown. It reports whether it answered.
func (s *Server) wantsSignInFirst(ex *exchange, r *http.Request, req *authz.Request, p *visitor, since time.Time) (done bool, err error) {
	quiet := req.Wants("none")
	afresh := req.Wants("login") || req.Wants("select_account")
	switch {
	case p == nil && quiet:
		return true, s.refuse(ex, req, authz.LoginRequired, "Nobody is signed in.")
	case p == nil: // the sign-in that follows is as fresh as any
		return true, s.toLogin(ex, r, req, afresh || req.MaxAge >= 0)
	case req.IDTokenHint != "" && req.IDTokenHint != p.who.Subject && quiet:
		return true, s.refuse(ex, req, authz.LoginRequired, "Somebody else is signed in.")
	}
	stale := req.MaxAge >= 0 && ex.start.Sub(p.sess.CreatedAt) > req.MaxAge
	switch {
	case stale && quiet:
		return true, s.refuse(ex, req, authz.LoginRequired, "The sign-in is older than max_age.")
	case (stale || afresh) && !p.cameFor(since, ex.start):
		return true, s.toLogin(ex, r, req, true)
	}
	return false, nil
}

// cameFor reports whether somebody signed in because a request wanted it, which was
// first made at a time.
func (p *visitor) cameFor(since, now time.Time) bool {
	return !since.IsZero() && !p.sess.CreatedAt.Before(since) && now.Sub(since) <= freshFor
}

// freshFor is how long a request waits for a fresh sign-in.
const freshFor = time.Hour

// toLogin leads to the login page and back to the request.
func (s *Server) toLogin(ex *exchange, r *http.Request, req *authz.Request, afresh bool) error {
	target := s.ownPathOf(authorizePath) + "?" + req.Params.Encode()
	if afresh {
		since, err := s.oauth.sinceFor(req, ex.start)
		if err != nil {
			return err
		}
		target += "&" + sinceParam + "=" + since
	}
	if s.safeNext(target) != target {
		return s.authorizeFail(ex, r, &authz.Error{
			Code: authz.InvalidRequest, Description: "The request is too long for the way through the sign-in. Push it (RFC 9126).",
		})
	}
	page, more := loginPath, []string(nil)
	switch {
	case afresh:
		more = []string{"switch", "1"}
	case s.skipsLogin():
		page = initPath
	}
	if req.LoginHint != "" && page == loginPath {
		more = append(more, hintParam, req.LoginHint)
	}
	redirect(ex, http.StatusSeeOther, s.withNext(page, target, more...))
	return nil
}

// consent asks a person, or goes on where nobody has to be asked.
func (s *Server) consent(ex *exchange, r *http.Request, req *authz.Request, p *visitor) error {
	scopes := s.oauth.Grantable(req, p.person)
	if len(scopes) == 0 && len(req.Scopes) > 0 {
		return s.refuse(ex, req, authz.AccessDenied, "The account holds none of the scopes that were asked for.")
	}
	given, err := s.oauth.Consented(ex.ctx, req, p.person)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	if given {
		return s.approve(ex, r, req, p, authz.Approval{Scopes: scopes})
	}
	if req.Wants("none") {
		return s.refuse(ex, req, authz.ConsentRequired, "The person has to be asked.")
	}
	return s.askConsent(ex, r, req, p, scopes)
}

// askConsent shows the page. The request goes with it, and what was shown.
func (s *Server) askConsent(ex *exchange, r *http.Request, req *authz.Request, p *visitor, scopes []string) error {
	sealed, err := s.oauth.sealForm(consentKind, p, url.Values{
		shownAt: {strconv.FormatInt(ex.start.UnixMilli(), 10)}, shownScopes: {strings.Join(scopes, " ")}, shownRequest: {req.Params.Encode()},
	})
	if err != nil {
		return err
	}
	goes, local := destination(req.RedirectURI)
	view := portal.ConsentPage{
		App: req.Client.Name, AppURI: req.Client.URI, Goes: goes, Local: local, Account: p.who.Username,
		SwitchURL: s.withNext(loginPath, s.safeNext(s.ownPathOf(authorizePath)+"?"+req.Params.Encode()), "switch", "1"),
		Scopes:    s.describe(scopes), Resources: req.Resources, Action: s.ownPathOf(decisionPath),
		Request: sealed, Remember: req.Client.Type == authz.Confidential || !local,
		Registered: req.Client.CreatedAt,
	}
	return s.pageWith(ex, r, http.StatusOK, s.cspTo(req.RedirectURI), func(w io.Writer) error { return s.look().Consent(w, view) })
}

// consentKind is what consent forms are sealed as.
const consentKind = "wavegate consent"

// consentFor is how long a consent page may be looked at.
const consentFor = 30 * time.Minute

// cspTo is the content security policy of a page whose form ends at an app. Where
// an app on https leads on to is not known, and browsers hold that to the policy too.
func (s *Server) cspTo(redirectURI string) string {
	o := formTarget(redirectURI)
	if strings.HasPrefix(o, "https:") {
		return s.look().CSPWithForms("https:")
	}
	return s.look().CSPWithForms(o)
}

// destination says to people where a redirect URI leads.
func destination(uri string) (goes string, local bool) {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return "", false
	case u.Host == "":
		return u.Scheme, true
	case u.Scheme == "http":
		return u.Host, true // loopback alone can be registered
	}
	return u.Host, false
}

// describe puts the words of the catalogue to scopes.
func (s *Server) describe(scopes []string) []portal.ConsentScope {
	catalogue := s.state.Load().policy.Scopes()
	list := make([]portal.ConsentScope, 0, len(scopes))
	for _, name := range scopes {
		scope := portal.ConsentScope{Name: name}
		for _, c := range catalogue {
			if c.Name == name {
				scope.Description, scope.Risk = c.Description, c.Risk
			}
		}
		if name == identity.ScopeAll {
			scope.Description, scope.Risk = "Do everything that you can do here", "high"
		}
		list = append(list, scope)
	}
	return list
}

// decide takes what the person said on the page: from their own browser, from a
// page of ours, and for the request that they were shown.
func (s *Server) decide(ex *exchange, r *http.Request) error {
	form, err := readApproval(ex, r)
	if err != nil {
		return err
	}
	p, err := s.visitor(ex, r)
	if err != nil {
		return err
	}
	shown, _ := s.oauth.openForm(consentKind, form.Get("request"))
	if l := lapseOf(shown, p, ex.start); l != nil {
		return s.lapsed(ex, r, l, s.consentAgain(ex.ctx, shown))
	}
	params, err := authz.ParseQuery(shown.Get(shownRequest))
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	req, err := s.oauth.Request(ex.ctx, params)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	ex.client = req.Client.ID
	switch form.Get("decision") {
	case "allow":
		a := authz.Approval{Scopes: onlyShown(s.oauth.Grantable(req, p.person), shown), Remember: form.Get("remember") != ""}
		return s.approve(ex, r, req, p, a)
	case "deny":
		d := deed{action: "grant.deny", target: req.Client.ID, owner: p.who.Owner}
		if err := s.noteDeed(ex, p.who, d); err != nil {
			return err
		}
		return s.refuse(ex, req, authz.AccessDenied, "The person said no.")
	}
	return fault.New(http.StatusBadRequest, "invalid_request", "The form does not say what was decided.")
}

// readApproval is readForm for forms that give something away: a request that does
// not say which page it came from is no browser's.
func readApproval(ex *exchange, r *http.Request) (url.Values, error) {
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return nil, fault.New(http.StatusForbidden, "cross_origin",
			"The request does not say which page it came from (Origin, Sec-Fetch-Site). Use the page's own buttons, in a browser of today.")
	}
	return readForm(ex, r)
}

// approve gives the app its code.
func (s *Server) approve(ex *exchange, r *http.Request, req *authz.Request, p *visitor, a authz.Approval) error {
	a.Who, a.AuthTime, a.SID = p.person, p.sess.CreatedAt, s.sidFor(p.sess.ID, req.Client.ID)
	d := deed{"grant.create", req.Client.ID, p.who.Owner, map[string]string{"scopes": strings.Join(a.Scopes, " "), "redirect_to": formTarget(req.RedirectURI)}}
	target, err := s.oauth.Approve(s.deedOf(ex, p, d), req, a)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	redirect(ex, http.StatusSeeOther, target)
	return nil
}

// refuse sends the browser back to the app with an error.
func (s *Server) refuse(ex *exchange, req *authz.Request, code, description string) error {
	ex.fault = &fault.Error{Status: http.StatusSeeOther, Code: code, Message: description}
	redirect(ex, http.StatusSeeOther, s.oauth.Refuse(req, code, description))
	return nil
}

// authorizeFail answers a request that cannot be followed: the app hears of it
// where its address is known to be its own, otherwise the person does.
func (s *Server) authorizeFail(ex *exchange, r *http.Request, err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok {
		return storeError(err)
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	ex.fault = &fault.Error{Status: status, Code: e.Code, Message: e.Description, Cause: e.Cause}
	if e.Redirect != "" {
		redirect(ex, http.StatusSeeOther, e.Redirect)
		return nil
	}
	if e.RetryAfter > 0 {
		ex.fault = ex.fault.RetryAfter(e.RetryAfter)
	}
	if status >= http.StatusInternalServerError { // not the app's fault
		return ex.fault
	}
	maps.Copy(ex.Header(), ex.fault.Header)
	view := portal.AppErrorPage{
		Message: e.Description, Code: e.Code, App: s.appName(ex.ctx, r.URL.Query().Get("client_id")),
		Over: e.Code == authz.InvalidRequestURI, RequestID: ex.ID,
	}
	return s.page(ex, r, status, func(w io.Writer) error { return s.look().AppError(w, view) })
}
