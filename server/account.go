package server

import (
	"io"
	"net/http"
	"net/url"
	"slices"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/portal"
	"wavegate/server/session"
)

// accountPageSize is how many sessions the account page shows at once.
const accountPageSize = 50

// account shows a person who they are here, where they are signed in, and, for
// local users, the way to another password.
func (s *Server) account(ex *exchange, r *http.Request) error {
	form := portal.PasswordForm{}
	if r.URL.Query().Has("changed") {
		form.Done = "Your password is changed, and you are signed out everywhere else."
	}
	return s.showAccount(ex, r, http.StatusOK, form)
}

func (s *Server) showAccount(ex *exchange, r *http.Request, status int, form portal.PasswordForm) error {
	sess, err := s.browserSession(ex, r)
	if err != nil {
		return err
	}
	var who *identity.Principal
	if sess != nil {
		who = s.person(sess, s.state.Load()) // nobody, if the settings changed this moment
	}
	if who == nil {
		redirect(ex, http.StatusFound, s.withNext(loginPath, s.cfg.BaseURL+accountPath[1:]))
		return nil
	}
	rec := sess.Record()
	ex.Principal = who
	list, err := s.signIn.sessions.Sessions(ex.ctx, session.Filter{UserID: rec.UserID}, r.URL.Query().Get("after"), accountPageSize+1)
	if err != nil {
		return storeError(err)
	}
	view := portal.AccountPage{
		Username: who.Username, Email: who.Email, Subject: who.Subject, Groups: who.Groups, Roles: who.Roles,
		Provider: s.providerLabel(rec.Provider), SignOutURL: s.cfg.BaseURL + logoutPath[1:],
		EndURL: s.cfg.BaseURL + "_auth/account/end", EndOthersURL: s.cfg.BaseURL + "_auth/account/end-others",
	}
	if view.Apps, err = s.connectedApps(ex, rec.UserID); err != nil {
		return err
	}
	if s.oauth != nil {
		view.WithdrawURL = s.ownPathOf(withdrawPath)
	}
	if len(list) > accountPageSize {
		list = list[:accountPageSize]
		view.More = s.withNext(accountPath, "", "after", list[len(list)-1].ID)
	}
	if i := slices.IndexFunc(list, func(l session.Record) bool { return l.ID == rec.ID }); i > 0 {
		list = slices.Concat(list[i:i+1], list[:i], list[i+1:]) // this browser first
	}
	for _, l := range list {
		view.Sessions = append(view.Sessions, portal.SessionRow{
			ID: l.ID, Where: l.IP, Browser: l.UserAgent, Created: l.CreatedAt, Seen: l.SeenAt, Current: l.ID == rec.ID,
		})
	}
	if rec.Provider == session.Local {
		form.Action = s.cfg.BaseURL + "_auth/account/password"
		view.Password = &form
	}
	return s.pageWith(ex, r, status, s.cspWithProviders(), func(w io.Writer) error { return s.look().Account(w, view) })
}

func (s *Server) providerLabel(name string) string {
	if p := s.signIn.providers.Load().get(name); p != nil {
		return p.spec.Label
	}
	return "a password of this service"
}

// ownForm reads a form of the account page and returns whose session sent it.
func (s *Server) ownForm(ex *exchange, r *http.Request) (url.Values, *session.Record, error) {
	form, err := readForm(ex, r)
	if err != nil {
		return nil, nil, err
	}
	sess, err := s.browserSession(ex, r)
	if err != nil {
		return nil, nil, err
	}
	if sess == nil {
		return nil, nil, errSignInNeeded
	}
	return form, sess.Record(), nil
}

// behind is whoever a session stands for, in what is written down.
func (s *Server) behind(rec *session.Record) *identity.Principal {
	return &identity.Principal{
		Method: identity.MethodSession, Owner: "sub:" + s.signIn.providers.Load().subject(rec.Provider, rec.Subject),
	}
}

// endOwn ends one of the sessions of the person who asks, or all others.
func (s *Server) endOwn(others bool) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		form, rec, err := s.ownForm(ex, r)
		if err != nil {
			return err
		}
		f := session.Filter{UserID: rec.UserID, ID: form.Get("id")}
		switch {
		case others:
			f = session.Filter{UserID: rec.UserID, NotID: rec.ID}
		case f.ID == "":
			return fault.New(http.StatusBadRequest, "invalid_request", "The form does not say which session to end.")
		}
		who := s.behind(rec)
		d := deed{action: "session.end", target: f.ID, owner: who.Owner}
		if _, err := s.signIn.sessions.End(s.withDeed(ex, who, d), f); err != nil {
			return storeError(err)
		}
		if f.ID == rec.ID {
			session.ClearSession(ex.Header(), ex.Scheme == "https")
			redirect(ex, http.StatusSeeOther, s.withNext(signedOutPath, ""))
			return nil
		}
		redirect(ex, http.StatusSeeOther, s.withNext(accountPath, ""))
		return nil
	}
}
