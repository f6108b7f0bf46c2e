package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/session"
)

// The largest and the usual number of entries of one answer.
const (
	maxPage     = 200
	defaultPage = 50
)

// A sessionView is a session as the API shows it.
type sessionView struct {
	ID        string `json:"id"`
	UserID    string `json:"user_id"`
	Username  string `json:"username"`
	Provider  string `json:"provider"`
	Current   bool   `json:"current"`
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
	CreatedAt string `json:"created_at"`
	SeenAt    string `json:"last_used_at"`
	ExpiresAt string `json:"expires_at"`
}

// A userView is a user as the API shows it.
type userView struct {
	ID         string   `json:"id"`
	Provider   string   `json:"provider"`
	Subject    string   `json:"subject"`
	Username   string   `json:"username"`
	Email      string   `json:"email,omitempty"`
	Groups     []string `json:"groups"`
	CreatedAt  string   `json:"created_at"`
	SeenAt     string   `json:"last_sign_in_at"`
	DisabledAt string   `json:"disabled_at,omitempty"`
}

var errNoAdmin = fault.New(http.StatusForbidden, "insufficient_role", "This is for administrators: whom --admins names.")

// manager returns the caller of the session API, and whether they may see
// everybody's.
func (s *Server) manager(ex *exchange, r *http.Request) (who *identity.Principal, admin bool, err error) {
	if who, err = s.caller(ex, r); err != nil {
		return nil, false, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := sameOrigin(ex, r); err != nil {
			return nil, false, err
		}
	}
	return who, s.admins.Has(who), nil
}

// userOf returns the ID of the user behind a session or its token; access keys
// have none.
func (s *Server) userOf(ex *exchange, who *identity.Principal) (string, error) {
	if who.SessionID == "" {
		return "", nil
	}
	sess, err := s.signIn.sessions.ByID(ex.ctx, who.SessionID)
	if errors.Is(err, session.ErrNoSession) {
		return "", errSignInNeeded
	}
	if err != nil {
		return "", storeError(err)
	}
	return sess.Record().UserID, nil
}

// listSessions lists the caller's own sessions; administrators choose with
// ?user_id= or see everybody's with ?all=true.
func (s *Server) listSessions(ex *exchange, r *http.Request) error {
	who, admin, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return err
	}
	f := session.Filter{UserID: q.Get("user_id"), All: q.Get("all") == "true"}
	if (f.UserID != "" || f.All) && !admin {
		return errNoAdmin
	}
	if f.UserID == "" && !f.All {
		if f.UserID, err = s.userOf(ex, who); err != nil {
			return err
		}
	}
	list, err := s.signIn.sessions.Sessions(ex.ctx, f, q.Get("cursor"), limit+1)
	if err != nil {
		return storeError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	views := make([]sessionView, 0, len(list))
	for _, l := range list {
		views = append(views, sessionView{
			ID: l.ID, UserID: l.UserID, Username: l.Username, Provider: l.Provider, Current: l.ID == who.SessionID,
			IP: l.IP, UserAgent: l.UserAgent, CreatedAt: rfc3339(l.CreatedAt), SeenAt: rfc3339(l.SeenAt), ExpiresAt: rfc3339(l.ExpiresAt),
		})
	}
	return writeJSON(ex, http.StatusOK, struct {
		Sessions []sessionView `json:"sessions"`
		Next     string        `json:"next_cursor,omitempty"`
	}{views, next})
}

// deleteSession ends one session, the caller's own or, for administrators,
// anybody's. What is somebody else's looks as if it were not there.
func (s *Server) deleteSession(ex *exchange, r *http.Request) error {
	who, admin, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	f := session.Filter{ID: ex.args[0]}
	if !admin {
		if f.UserID, err = s.userOf(ex, who); err != nil {
			return err
		}
		if f.UserID == "" {
			return fault.NotFound()
		}
	}
	d := deed{action: "session.end", target: f.ID}
	if !admin {
		d.owner = who.Owner
	}
	n, err := s.signIn.sessions.End(s.withDeed(ex, who, d), f)
	if err != nil {
		return storeError(err)
	}
	if n == 0 {
		return fault.NotFound()
	}
	s.log.Info("session ended", "request_id", ex.ID, "session", f.ID, "by", who.Subject)
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// listUsers lists whoever signed in at least once, for administrators.
func (s *Server) listUsers(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	q := r.URL.Query()
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return err
	}
	list, err := s.signIn.sessions.Users(ex.ctx, q.Get("cursor"), limit+1)
	if err != nil {
		return storeError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	views := make([]userView, 0, len(list))
	for _, u := range list {
		views = append(views, s.viewUser(u))
	}
	return writeJSON(ex, http.StatusOK, struct {
		Users []userView `json:"users"`
		Next  string     `json:"next_cursor,omitempty"`
	}{views, next})
}

func (s *Server) viewUser(u session.User) userView {
	return userView{
		ID: u.ID, Provider: u.Provider, Subject: s.signIn.providers.Load().subject(u.Provider, u.Subject),
		Username: u.Username, Email: u.Email, Groups: append([]string{}, u.Groups...),
		CreatedAt: rfc3339(u.CreatedAt), SeenAt: rfc3339(u.SeenAt), DisabledAt: rfc3339(u.DisabledAt),
	}
}

// getUser shows one user to an administrator.
func (s *Server) getUser(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	return s.answerUser(ex, ex.args[0])
}

func (s *Server) answerUser(ex *exchange, id string) error {
	u, err := s.signIn.sessions.User(ex.ctx, id)
	if errors.Is(err, session.ErrNoUser) {
		return fault.NotFound()
	}
	if err != nil {
		return storeError(err)
	}
	return writeJSON(ex, http.StatusOK, map[string]userView{"user": s.viewUser(u)})
}

// changeUser disables a user, which ends their sessions, or enables them again:
// {"disabled": true}.
func (s *Server) changeUser(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	var change struct {
		Disabled *bool `json:"disabled"`
	}
	d := json.NewDecoder(http.MaxBytesReader(ex, r.Body, maxForm))
	d.DisallowUnknownFields()
	if err := d.Decode(&change); err != nil || change.Disabled == nil || d.More() {
		return fault.New(http.StatusBadRequest, "invalid_request", `The body must be JSON: {"disabled": true} or {"disabled": false}.`)
	}
	var at time.Time
	action := "user.enable"
	if *change.Disabled {
		at = time.Now()
		action = "user.disable"
	}
	id := ex.args[0]
	err := s.adoptKeys(ex.ctx, id)
	if err == nil {
		err = s.signIn.sessions.SetDisabled(s.withDeed(ex, ex.Principal, deed{action: action, target: id}), id, at)
	}
	s.apiKeys.ChangedUser(id)
	s.oauthChanged(authz.ChangedUser, id)
	if errors.Is(err, session.ErrNoUser) {
		return fault.NotFound()
	}
	if err != nil {
		return storeError(err)
	}
	s.log.Info("user changed", "request_id", ex.ID, "user", id, "disabled", *change.Disabled, "by", ex.Principal.Subject)
	return s.answerUser(ex, id)
}

// adoptKeys has a user's API keys known as theirs, also those that were made in
// their name before they first signed in.
func (s *Server) adoptKeys(ctx context.Context, id string) error {
	u, err := s.signIn.sessions.User(ctx, id)
	if err != nil {
		return err
	}
	ids, err := s.store.AdoptKeys(ctx, s.ownerOf(&u), u.ID)
	for _, key := range ids {
		s.apiKeys.Changed(key)
	}
	return err
}

func (s *Server) needAdmin(ex *exchange, r *http.Request) error {
	_, admin, err := s.manager(ex, r)
	if err == nil && !admin {
		return errNoAdmin
	}
	return err
}

// pageSize reads ?limit=.
func pageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, fault.New(http.StatusBadRequest, "invalid_request", "limit: a number from 1 to "+strconv.Itoa(maxPage)+".")
	}
	return n, nil
}
