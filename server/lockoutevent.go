package server

import (
	"strings"
	"sync"
	"time"

	"wavegate/server/audit"
	"wavegate/server/limit"
	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// strangerLocks is how many locks of addresses and made-up IDs are told of in a
// minute. Whoever has many addresses must not be able to fill the disk; the
// request log has every one.
const strangerLocks = 60

// A lockTeller counts the locks that were told of, and remembers whose keys are
// locked. Its zero value has told none.
type lockTeller struct {
	mu     sync.Mutex           // guards the rest
	since  time.Time            // when counting began
	n      int                  // since then
	owners map[string]lockOwner // by subject, of keys that there are; at most maxSuspects
}

// A lockOwner is whose a locked key is, "" where that is not known, and its ID; ""
// for a password.
type lockOwner struct{ owner, keyID string }

// may reports whether one more may be told of now.
func (t *lockTeller) may(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= time.Minute {
		t.since, t.n = now, 0
	}
	t.n++
	return t.n <= strangerLocks
}

// own remembers whose a locked key is.
func (t *lockTeller) own(subject string, whose lockOwner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owners == nil || len(t.owners) >= maxSuspects {
		t.owners = map[string]lockOwner{} // administrators still see all
	}
	t.owners[subject] = whose
}

// owner returns whose a locked key is; "" where that is not known.
func (t *lockTeller) owner(subject string) string { return t.whose(subject).owner }

// whose returns what is known of a locked key.
func (t *lockTeller) whose(subject string) lockOwner {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owners[subject]
}

// tellLockout writes down that something was locked just now, and tells whoever
// owns it. A lock that holds is not told of again: it is caused once.
func (s *Server) tellLockout(ex *exchange, kind, account string, lock limit.Lock) {
	if s.notes == nil || !lock.Known && !s.lockTold.may(time.Now()) {
		return
	}
	subject, ip := lockSubject(lock), addrString(ex)
	data := map[string]any{
		"kind": string(lock.Kind), "subject": subject, "credential": kind, "since": rfc3339(lock.Since), "until": rfc3339(lock.Until),
		"ip": ip, "request_id": ex.ID,
	}
	owner, keyID := "", ""
	if lock.Known {
		owner, keyID = s.lockedOwner(ex, kind, account)
		s.lockTold.own(lock.Subject, lockOwner{owner, keyID})
	}
	if keyID != "" {
		data["key_id"] = keyID
	}
	s.noteLater(store.Journal{
		Audit: []audit.Entry{{
			At: lock.Since, IP: ip, RequestID: ex.ID, Action: "lockout.begin", Target: subject, Owner: owner, Outcome: "locked_out",
			Details: map[string]string{"kind": string(lock.Kind), "credential": kind, "until": rfc3339(lock.Until)},
		}},
		Events: []webhook.Event{event(webhook.Lockout, owner, data)},
	})
}

// lockedOwner returns whose a locked key is, and its ID. Where the store does not
// say, nobody's: then administrators alone are told.
func (s *Server) lockedOwner(ex *exchange, kind, account string) (owner, keyID string) {
	switch kind {
	case credentialBasic.String():
		id := strings.TrimSpace(account)
		return "key:" + id, id
	case credentialBearer.String():
		rec, err := s.store.KeyByPrefix(ex.ctx, account, time.Now())
		if err != nil {
			return "", ""
		}
		return rec.Owner, rec.ID
	case "password":
		return "sub:" + s.signIn.providers.Load().subject(session.Local, strings.TrimPrefix(account, "user:")), ""
	}
	return "", ""
}
