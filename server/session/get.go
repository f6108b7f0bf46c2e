package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"
)

// idLength is the length of a session cookie's value: 26 characters of base32
// from the operating system's generator, 130 bits.
const idLength = 26

// newID returns the value of a session cookie that nobody has had.
func newID() string { return rand.Text() }

// isID reports whether a cookie's value can be one of ours.
func isID(value string) bool {
	if len(value) != idLength {
		return false
	}
	for i := range len(value) {
		if c := value[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// hashID returns the hash under which the session of a cookie is known.
func hashID(cookie string) Hash {
	var b [idLength]byte
	copy(b[:], cookie)
	return sha256.Sum256(b[:])
}

func isGone(err error) bool { return errors.Is(err, ErrNoSession) }

// Get returns the session that a cookie names, for a request: the session counts
// as used, and the provider is asked when that is due; it has two seconds to
// answer before the session goes on as it was. A session that is remembered
// costs no look at the store. Errors: ErrNoSession; ErrUnavailable
// when nothing can be said because the store cannot be asked.
func (m *Manager) Get(ctx context.Context, cookie string) (*Session, error) {
	now := m.now()
	s, err := m.peek(ctx, cookie, now)
	if err != nil {
		return nil, err
	}
	m.touch(s, now)
	return m.asked(ctx, s)
}

// Look is Get for what a page asks by itself while nobody does anything: the session
// does not count as used. The provider is asked all the same.
func (m *Manager) Look(ctx context.Context, cookie string) (*Session, error) {
	s, err := m.Peek(ctx, cookie)
	if err != nil {
		return nil, err
	}
	return m.asked(ctx, s)
}

// asked is a session as it is once the provider was asked, where that is due.
func (m *Manager) asked(ctx context.Context, s *Session) (*Session, error) {
	if at := s.Record().RenewAt; at.IsZero() || m.cfg.Renew == nil {
		return s, nil
	}
	return m.renewDue(ctx, s)
}

// Peek is Get without a use of the session and without a word to the provider.
func (m *Manager) Peek(ctx context.Context, cookie string) (*Session, error) {
	return m.peek(ctx, cookie, m.now())
}

func (m *Manager) peek(ctx context.Context, cookie string, now int64) (*Session, error) {
	if !isID(cookie) {
		return nil, ErrNoSession
	}
	h := hashID(cookie)
	return m.find(ctx, &h, now)
}

// ByID returns the session with the public name, for what was handed out in its
// place. Whoever calls has checked that it was handed out; it is no use of the
// session. The errors are those of Get.
func (m *Manager) ByID(ctx context.Context, id string) (*Session, error) {
	k, ok := keyOf(id)
	if !ok {
		return nil, ErrNoSession
	}
	if s := m.memory.get(k); s != nil {
		return m.find(ctx, &s.hash, m.now())
	}
	if m.negative.Has(k, m.now()) {
		return nil, ErrNoSession
	}
	list, err := m.store.Sessions(ctx, Filter{ID: id}, "", 1)
	if err != nil {
		return nil, unavailable(err)
	}
	if len(list) == 0 || list[0].ID != id {
		m.negative.Add(k, m.negative.Era(), m.now())
		return nil, ErrNoSession
	}
	return m.find(ctx, &list[0].Hash, m.now())
}

// Touch counts as a use of the session: something happened on a socket. When it
// is due the provider is asked, without a wait: its no ends the session.
func (m *Manager) Touch(s *Session) {
	if m.touch(s, m.now()) && m.cfg.Renew != nil && m.due(s) {
		m.renewing(s, m.due)
	}
}

// touch moves the time of last use, and reports whether it did. Most calls do
// nothing: only a move that is worth it is written to memory, and only one that
// is worth more to the store.
func (m *Manager) touch(s *Session, now int64) (moved bool) {
	if now-s.seen.Load() < m.grain().Milliseconds() {
		return false
	}
	raise(&s.seen, now)
	if now-s.written.Load() >= m.worth() {
		m.touched.add(s, m.worth())
	}
	return true
}

// grain is the smallest move of the time of last use.
func (m *Manager) grain() time.Duration { return min(time.Second, m.cfg.Idle/20) }

// worth is the move of the time of last use that is worth a write, in
// milliseconds.
func (m *Manager) worth() int64 { return m.cfg.Idle.Milliseconds() / 20 }

// flushEvery is how often uses are written to the store, in batches.
func (m *Manager) flushEvery() time.Duration { return min(10*time.Second, m.cfg.Idle/10) }
