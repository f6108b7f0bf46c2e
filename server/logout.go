package server

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"wavegate/oidc"
	"wavegate/server/fault"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// logout ends the session on the server, takes the cookie away, and goes on to
// the provider, so that the next login asks for a password again. A link on
// another site cannot sign anybody out: it leads to a page that asks.
func (s *Server) logout(ex *exchange, r *http.Request) error {
	sess, err := s.browserSession(ex, r)
	if r.Method == http.MethodPost {
		if err := sameOrigin(ex, r); err != nil {
			return err
		}
	} else if !comesFromHere(r.Header, ex.HostPort) {
		return s.askLogout(ex, r, sess)
	}
	session.ClearSession(ex.Header(), ex.Scheme == "https")
	if err != nil {
		return err
	}
	target := s.withNext(signedOutPath, "")
	if sess != nil {
		if target, err = s.endSession(ex, sess, target); err != nil {
			return storeError(err)
		}
	}
	ex.Header().Set("Clear-Site-Data", `"cache"`) // what was cached of the app is not shown again; see forget
	redirect(ex, http.StatusSeeOther, target)
	return nil
}

// comesFromHere reports whether a GET was meant by the person: typed, or a link
// of this site, and the page itself, not a picture or a look ahead. On plain
// http browsers do not say Sec-Fetch-Site: there the Referer may tell.
func comesFromHere(h http.Header, host string) bool {
	site, dest := h.Get("Sec-Fetch-Site"), h.Get("Sec-Fetch-Dest")
	if h.Get("Sec-Purpose") != "" || h.Get("Purpose") != "" {
		return false
	}
	if from := h.Get("Referer"); site == "" && from != "" {
		if u, err := url.Parse(from); err != nil || !strings.EqualFold(u.Host, host) {
			return false
		}
	}
	return (site == "" || site == "same-origin" || site == "none") && (dest == "" || dest == "document")
}

func (s *Server) askLogout(ex *exchange, r *http.Request, sess *session.Session) error {
	view := portal.LogoutPage{Action: s.cfg.BaseURL + logoutPath[1:]}
	if sess != nil {
		view.Account = sess.Record().Username
	}
	return s.pageWith(ex, r, http.StatusOK, s.cspWithProviders(), func(w io.Writer) error { return s.look().Logout(w, view) })
}

// endSession ends a session and returns where the browser goes next.
func (s *Server) endSession(ex *exchange, sess *session.Session, fallback string) (string, error) {
	rec := sess.Record()
	tokens, tokensErr := s.signIn.sessions.Tokens(sess)
	if _, err := s.signIn.sessions.End(ex.ctx, session.Filter{ID: rec.ID}); err != nil {
		return "", err
	}
	s.log.Info("signed out", "request_id", ex.ID, "provider", rec.Provider, "user", rec.UserID, "session", rec.ID)
	p := s.signIn.providers.Load().get(rec.Provider)
	if p == nil {
		return fallback, nil
	}
	if tokensErr != nil {
		tokens.ID = "" // the provider asks the person instead
	}
	if target, ok := p.LogoutURL(ex.ctx, oidc.LogoutRequest{IDToken: tokens.ID, RedirectURL: s.absolute(p.spec.PostLogoutRedirectURL, p)}); ok {
		return target, nil
	}
	if p.spec.PostLogoutRedirectURL != "" {
		return p.spec.PostLogoutRedirectURL, nil
	}
	return fallback, nil
}

// absolute completes a path of the operator's with the origin of the provider's
// redirect URL.
func (s *Server) absolute(target string, p *provider) string {
	if !strings.HasPrefix(target, "/") {
		return target
	}
	return origin(p.spec.RedirectURL) + target
}

// signedOut is the page after a logout.
func (s *Server) signedOut(ex *exchange, r *http.Request) error {
	view := portal.SignedOutPage{LoginURL: s.withNext(loginPath, ""), ForgetURL: s.withNext(forgetPath, "")}
	return s.page(ex, r, http.StatusOK, func(w io.Writer) error { return s.look().SignedOut(w, view) })
}

// forget is a picture of nothing on the page after a logout. When the logout
// itself told the browser to forget what it cached, the page of the app was still
// the one on show, and browsers keep such a page whole for their back button: it
// can be forgotten only once another page is there.
func (s *Server) forget(ex *exchange, _ *http.Request) error {
	h := ex.Header()
	h.Set("Clear-Site-Data", `"cache"`)
	h.Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// backchannelLogout takes the provider's word that a person signed out there
// (OpenID Connect Back-Channel Logout 1.0, section 2.8).
func (s *Server) backchannelLogout(ex *exchange, r *http.Request) error {
	r.Body = http.MaxBytesReader(ex, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return badLogoutToken(err)
	}
	raw := r.PostForm.Get("logout_token")
	p, out, err := s.readLogoutToken(ex, raw)
	if err != nil {
		return badLogoutToken(err)
	}
	f := session.Filter{Issuer: p.Issuer(), Subject: out.Subject}
	if out.SID != "" {
		f = session.Filter{Issuer: p.Issuer(), SID: out.SID}
	}
	n, err := s.signIn.sessions.End(ex.ctx, f)
	if err != nil {
		p.Release(out) // the provider may say it again
		return storeError(err)
	}
	s.log.Info("signed out by the provider", "request_id", ex.ID, "provider", p.Name(), "sessions", n)
	ex.Header().Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusOK)
	return nil
}

func badLogoutToken(err error) error {
	return fault.New(http.StatusBadRequest, "invalid_request", "The logout token is missing or not valid.").Because(err)
}

// readLogoutToken returns the provider that signed a logout token.
func (s *Server) readLogoutToken(ex *exchange, raw string) (*provider, oidc.Logout, error) {
	errs := []error{errors.New("no provider of this server signed the logout token")}
	for _, p := range s.signIn.providers.Load().all() {
		out, err := p.LogoutToken(ex.ctx, raw)
		if err == nil {
			return p, out, nil
		}
		errs = append(errs, err)
	}
	return nil, oidc.Logout{}, errors.Join(errs...)
}
