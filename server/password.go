package server

import (
	"errors"
	"net/http"

	"wavegate/keychain"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/session"
)

var (
	errNoPassword = fault.New(http.StatusForbidden, "session_required",
		"A password is changed with a session of the person whose it is: sign in first.")
	errPasswordElsewhere = fault.New(http.StatusForbidden, "password_elsewhere",
		"You sign in with a provider, which has your password. Change it there.")
)

// setPassword gives a local user another password, ends the other sessions and goes on
// with a new one.
func (s *Server) setPassword(ex *exchange, r *http.Request) error {
	who, _, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	rec, err := s.passwordSession(ex, who)
	if err != nil {
		return err
	}
	var q struct {
		Current string `json:"current_password"`
		New     string `json:"new_password"`
	}
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	for _, f := range []struct{ field, value string }{{"current_password", q.Current}, {"new_password", q.New}} {
		if f.value == "" && !p.has(f.field) {
			p.add(f.field, "is needed")
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	problem, err := s.tryPassword(ex, rec, q.Current, q.New)
	if err != nil {
		return err
	}
	if problem != nil {
		e := fault.New(http.StatusBadRequest, "invalid_request", problem.Message)
		e.Fields = []fault.Field{*problem}
		return e
	}
	login, err := s.passwordChanged(ex, who, rec)
	if err != nil {
		return err
	}
	if who.Method == identity.MethodSession { // a browser: it goes on
		if err := s.beginSession(ex, r, login); err != nil {
			return storeError(err)
		}
	}
	ex.Header().Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// passwordSession is the session of a local user who asks.
func (s *Server) passwordSession(ex *exchange, who *identity.Principal) (*session.Record, error) {
	if who.SessionID == "" {
		return nil, errNoPassword
	}
	rec, err := s.sessionOf(ex, who)
	if err == nil && rec.Provider != session.Local {
		return nil, errPasswordElsewhere
	}
	return rec, err
}

// tryPassword changes the password in the users file. The problem is for the
// person to mend, at a field; nil is none.
func (s *Server) tryPassword(ex *exchange, rec *session.Record, current, wanted string) (*fault.Field, error) {
	_, err := s.verifyUser(ex, rec.Subject, current)
	switch e := fault.From(err); {
	case err == nil:
	case e.Status == http.StatusUnauthorized:
		return &fault.Field{Field: "current_password", Message: "The current password is wrong."}, nil
	default:
		return nil, err
	}
	if wanted == current {
		return &fault.Field{Field: "new_password", Message: "The new password is the current one."}, nil
	}
	if err := keychain.CheckPassword(wanted); err != nil {
		return &fault.Field{Field: "new_password", Message: err.Error()}, nil
	}
	users := keychain.Users(s.cfg.Users.Path)
	switch err := users.Change(rec.Subject, rec.Stamp, wanted); {
	case errors.Is(err, keychain.ErrUnknownID), errors.Is(err, keychain.ErrChanged):
		return &fault.Field{Field: "current_password", Message: "The password was changed elsewhere meanwhile. Sign in again."}, nil
	case err != nil:
		s.log.Error("users file", "error", err)
		return nil, fault.New(http.StatusInternalServerError, "internal", "The password could not be written. Nothing was changed.").Because(err)
	}
	return nil, s.readAgain(s.reloadUsers)
}

// passwordChanged writes down that a password was changed and ends every session of
// its person. The login is that of the one to go on with.
func (s *Server) passwordChanged(ex *exchange, who *identity.Principal, rec *session.Record) (session.Login, error) {
	s.log.Info("password changed", "request_id", ex.ID, "user", rec.UserID)
	if err := s.noteDeed(ex, who, deed{action: "user.password", target: rec.UserID, owner: who.Owner}); err != nil {
		return session.Login{}, err
	}
	if _, err := s.signIn.sessions.End(ex.ctx, session.Filter{UserID: rec.UserID}); err != nil {
		return session.Login{}, storeError(err)
	}
	stamp, _ := s.signIn.users.Stamp(rec.Subject)
	return session.Login{
		Provider: session.Local, Issuer: session.Local, Subject: rec.Subject, Stamp: stamp,
		Claims: session.Claims{Username: rec.Username}, Proved: true,
	}, nil
}
