package server

import (
	"encoding/base64"
	"io"
	"net/http"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// oauthLogout is where an app sends the browser of somebody who wants to sign out
// (OpenID Connect RP-Initiated Logout 1.0, section 2). An app that proves, with an
// ID token that was made for it in this very session, that it is one of theirs signs
// them out at once; for all others they are asked.
func (s *Server) oauthLogout(ex *exchange, r *http.Request) error {
	params, err := logoutParams(ex, r)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	req, err := s.oauth.Logout(ex.ctx, params)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	p, err := s.visitor(ex, r)
	switch {
	case err != nil:
		return err
	case p == nil:
		return s.leave(ex, req)
	case req.SID == "" || req.SID != s.sidFor(p.sess.ID, req.ClientID):
		view := portal.LogoutPage{Account: p.who.Username, Action: s.ownPathOf(confirmPath), Next: params.Encode()}
		return s.pageWith(ex, r, http.StatusOK, s.cspTo(req.Redirect), func(w io.Writer) error { return s.look().Logout(w, view) })
	}
	return s.signOutFor(ex, p, req)
}

// confirmLogout takes the answer of somebody who was asked.
func (s *Server) confirmLogout(ex *exchange, r *http.Request) error {
	form, err := readForm(ex, r)
	if err != nil {
		return err
	}
	params, err := authz.ParseQuery(form.Get("next"))
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	req, err := s.oauth.Logout(ex.ctx, params)
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	p, err := s.visitor(ex, r)
	if err != nil {
		return err
	}
	if p == nil {
		return s.leave(ex, req)
	}
	return s.signOutFor(ex, p, req)
}

// logoutParams reads a request to sign out. A form of another site comes without
// our cookies, so that nobody would be signed out; it says what a link says.
func logoutParams(ex *exchange, r *http.Request) (authz.Params, error) {
	if r.Method != http.MethodPost {
		return authz.ParseQuery(r.URL.RawQuery)
	}
	body, err := io.ReadAll(http.MaxBytesReader(ex, r.Body, maxForm))
	if err != nil {
		return authz.Params{}, fault.New(http.StatusRequestEntityTooLarge, "too_large", "The form is larger than it can be.").Because(err)
	}
	return authz.ParseBody(r.Header.Get("Content-Type"), body)
}

// signOutFor ends the session and goes where the app wants.
func (s *Server) signOutFor(ex *exchange, p *visitor, req *authz.Logout) error {
	d := deed{action: "session.end", target: p.sess.ID, owner: p.who.Owner, details: map[string]string{"client": req.ClientID}}
	if _, err := s.signIn.sessions.End(s.deedOf(ex, p, d), session.Filter{ID: p.sess.ID}); err != nil {
		return storeError(err)
	}
	s.log.Info("signed out", "request_id", ex.ID, "client", req.ClientID, "user", p.sess.UserID, "session", p.sess.ID)
	session.ClearSession(ex.Header(), ex.Scheme == "https")
	return s.leave(ex, req)
}

// leave goes to the address that the app registered for afterwards, or to the page
// after a logout.
func (s *Server) leave(ex *exchange, req *authz.Logout) error {
	target := req.Redirect
	if target == "" {
		target = s.withNext(signedOutPath, "")
	}
	redirect(ex, http.StatusSeeOther, target)
	return nil
}

// sidFor names a session to one client: another one cannot tell that it is the
// same, and it opens nothing.
func (s *Server) sidFor(session, client string) string {
	return base64.RawURLEncoding.EncodeToString(s.signIn.handles.tag(0, session, "sid:"+client))
}
