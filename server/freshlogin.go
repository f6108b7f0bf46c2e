package server

import (
	"net/http"
	"time"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/session"
)

// fresh reports whether somebody proved who they are so lately that they need not do so
// again before a dangerous act. A session that goes on for long was perhaps left open, and
// at a provider that remembers the browser a new one takes no proof.
func (s *Server) fresh(rec *session.Record, now time.Time) bool {
	within := s.cfg.SignIn.FreshLogin
	return within == 0 || now.Sub(rec.ProvedAt) < within
}

// needFresh refuses a dangerous act of a browser session that began too long ago.
// Whoever shows a credential with the request is not asked: it was at hand just now.
func (s *Server) needFresh(ex *exchange) error {
	if ex.Principal.Method != identity.MethodSession {
		return nil
	}
	rec, err := s.sessionOf(ex, ex.Principal)
	if err != nil {
		return err
	}
	if !s.fresh(rec, time.Now()) {
		return fault.New(http.StatusForbidden, "fresh_login_required",
			"This needs a fresh login. Sign in again ("+s.ownPathOf(loginPath)+"?switch=1&again=1), then repeat it.")
	}
	return nil
}
