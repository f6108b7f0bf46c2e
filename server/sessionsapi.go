package server

import (
	"errors"
	"net/http"
	"strconv"

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
	rec, err := s.sessionOf(ex, who)
	if err != nil {
		return "", err
	}
	return rec.UserID, nil
}

// sessionOf returns the session that the caller asks with, or whose token they show.
func (s *Server) sessionOf(ex *exchange, who *identity.Principal) (*session.Record, error) {
	sess, err := s.signIn.sessions.ByID(ex.ctx, who.SessionID)
	if errors.Is(err, session.ErrNoSession) {
		return nil, errSignInNeeded
	}
	if err != nil {
		return nil, storeError(err)
	}
	return sess.Record(), nil
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

var errNoOthers = fault.New(http.StatusForbidden, "session_required",
	"The other sessions are those beside a session of yours: ask with one, or with its token.")

// endSessions ends several sessions: with ?others=true the caller's, but for the one
// that they ask with; with ?user_id= all of somebody's, for administrators.
func (s *Server) endSessions(ex *exchange, r *http.Request) error {
	who, admin, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	q := newQuery(r)
	others, userID := q.flag("others"), q.text("user_id")
	if others == (userID != "") {
		q.add("others", "either this is true, or user_id names somebody")
	}
	if err := q.end(); err != nil {
		return err
	}
	if others {
		return s.endOthers(ex, who)
	}
	if !admin {
		return errNoAdmin
	}
	return s.endAllOf(ex, userID)
}

// endOthers ends all sessions of the caller but the one that they ask with.
func (s *Server) endOthers(ex *exchange, who *identity.Principal) error {
	if who.SessionID == "" {
		return errNoOthers
	}
	rec, err := s.sessionOf(ex, who)
	if err != nil {
		return err
	}
	d := deed{action: "session.end", target: rec.UserID, owner: who.Owner, details: map[string]string{"sessions": "others"}}
	return s.answerEnded(ex, session.Filter{UserID: rec.UserID, NotID: rec.ID}, d)
}

// endAllOf ends all sessions of a person.
func (s *Server) endAllOf(ex *exchange, userID string) error {
	if err := s.needFresh(ex); err != nil {
		return err
	}
	u, err := s.signIn.sessions.User(ex.ctx, userID)
	if errors.Is(err, session.ErrNoUser) {
		return fault.NotFound()
	}
	if err != nil {
		return storeError(err)
	}
	d := deed{action: "session.end", target: u.ID, owner: s.ownerOf(&u), details: map[string]string{"sessions": "all"}}
	return s.answerEnded(ex, session.Filter{UserID: u.ID}, d)
}

// endedAnswer says how many sessions ended.
type endedAnswer struct {
	Ended int `json:"ended"`
}

func (s *Server) answerEnded(ex *exchange, f session.Filter, d deed) error {
	n, err := s.signIn.sessions.End(s.withDeed(ex, ex.Principal, d), f)
	if err != nil {
		return storeError(err)
	}
	s.log.Info("sessions ended", "request_id", ex.ID, "user", f.UserID, "count", n, "by", ex.Principal.Subject)
	return writeJSON(ex, http.StatusOK, endedAnswer{n})
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
