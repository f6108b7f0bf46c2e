package server

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/limit"
	"wavegate/server/policy"
)

// unknownID stands for what a stranger typed as an ID: it may be a secret.
const unknownID = "unknown ID"

// A lockoutView is a lock as the API shows it.
type lockoutView struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"` // "ip" or "key"
	Subject string `json:"subject"`
	Since   string `json:"since"`
	Until   string `json:"until"`
}

// lockID names a lock without telling what is locked.
func (s *Server) lockID(lock limit.Lock) string {
	mac := hmac.New(sha256.New, s.lockNames)
	mac.Write([]byte(string(lock.Kind) + "\x00" + lock.Subject))
	return "lck_" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// lockSubject is what may be shown of what is locked.
func lockSubject(lock limit.Lock) string {
	if lock.Kind == limit.KindKey && !lock.Known {
		return unknownID
	}
	return lock.Subject
}

// seesLock reports whether a caller may see a lock: administrators every one,
// others those of their keys.
func (s *Server) seesLock(c *apiCaller, lock limit.Lock) bool {
	return c.admin || lock.Known && s.lockTold.owner(lock.Subject) == c.owner
}

// A namedLock is a lock and its place in the list: the newest first.
type namedLock struct {
	limit.Lock
	id string
}

// before orders the list, whatever locks come and go between two pages.
func (l namedLock) before(o namedLock) int {
	return cmp.Or(o.Until.Compare(l.Until), strings.Compare(l.id, o.id))
}

// cursor is where the list goes on behind the lock.
func (l namedLock) cursor() string { return strconv.FormatInt(l.Until.UnixNano(), 36) + "." + l.id }

// behindCursor reads what cursor wrote.
func behindCursor(text string) (namedLock, bool) {
	until, id, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(until, 36, 64)
	return namedLock{limit.Lock{Until: time.Unix(0, n)}, id}, err == nil && id != ""
}

// listLockouts lists the locks that hold in this process and that the caller may
// see, the newest first.
func (s *Server) listLockouts(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadLockouts)
	if err != nil {
		return err
	}
	q := newQuery(r)
	kind, cursor, limited := limit.Kind(q.one("kind", "", string(limit.KindIP), string(limit.KindKey))), q.text("cursor"), q.number("limit", defaultPage, maxPage)
	after, ok := behindCursor(cursor)
	if cursor != "" && !ok {
		q.add("cursor", "must be the next_cursor of the answer before")
	}
	if err := q.end(); err != nil {
		return err
	}
	var locks []namedLock
	for _, lock := range s.lockouts.List(time.Now()) {
		l := namedLock{lock, s.lockID(lock)}
		if s.seesLock(c, lock) && (kind == "" || kind == lock.Kind) && (cursor == "" || after.before(l) < 0) {
			locks = append(locks, l)
		}
	}
	slices.SortFunc(locks, namedLock.before)
	next := ""
	if len(locks) > limited {
		locks, next = locks[:limited], locks[limited-1].cursor()
	}
	return answerLockouts(ex, locks, next)
}

func answerLockouts(ex *exchange, locks []namedLock, next string) error {
	views := make([]lockoutView, 0, len(locks))
	for _, l := range locks {
		views = append(views, lockoutView{
			ID: l.id, Kind: string(l.Kind), Subject: lockSubject(l.Lock), Since: rfc3339(l.Since), Until: rfc3339(l.Until),
		})
	}
	return writeJSON(ex, http.StatusOK, struct {
		Lockouts []lockoutView `json:"lockouts"`
		Next     string        `json:"next_cursor,omitempty"`
	}{views, next})
}

// liftLockout ends the lock that the path names by its ID.
func (s *Server) liftLockout(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.WriteLockouts)
	if err != nil {
		return err
	}
	id := ex.args[0]
	return s.lift(ex, c, func(lock limit.Lock) bool { return s.lockID(lock) == id })
}

// liftLockoutOf ends the lock of ?kind= and ?subject=, which may hold a slash:
// "2001:db8::/64".
func (s *Server) liftLockoutOf(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.WriteLockouts)
	if err != nil {
		return err
	}
	q := newQuery(r)
	kind, subject := limit.Kind(q.one("kind", "", string(limit.KindIP), string(limit.KindKey))), q.text("subject")
	if kind == "" {
		q.add("kind", "is needed: ip or key")
	}
	if subject == "" {
		q.add("subject", "is needed: the address, its network, or the key's ID")
	}
	if err := q.end(); err != nil {
		return err
	}
	return s.lift(ex, c, func(lock limit.Lock) bool { return lock.Kind == kind && limit.SameSubject(kind, lock.Subject, subject) })
}

// lift ends a lock. That it was lifted is written down before: whoever reads the
// log must not miss one.
func (s *Server) lift(ex *exchange, c *apiCaller, is func(limit.Lock) bool) error {
	for _, lock := range s.lockouts.List(time.Now()) {
		if !s.seesLock(c, lock) || !is(lock) {
			continue
		}
		j := s.journal(ex, c, deed{action: "lockout.lift", target: lockSubject(lock), owner: s.lockTold.owner(lock.Subject), details: map[string]string{"kind": string(lock.Kind)}})
		if err := s.store.Note(ex.ctx, j); err != nil {
			return storeError(err)
		}
		s.lockouts.Lift(lock.Kind, lock.Subject)
		s.log.Info("lockout lifted", "request_id", ex.ID, "kind", string(lock.Kind), "subject", lockSubject(lock), "by", c.who.Subject)
		ex.WriteHeader(http.StatusNoContent)
		return nil
	}
	return fault.NotFound()
}
