package session

import (
	"context"
	"encoding/base32"
	"strings"
	"sync"
	"sync/atomic"

	"wavegate/server/identity"
)

// A Session is one browser session in this process. There is one *Session for a
// session as long as anybody uses it, so that its end reaches everybody.
type Session struct {
	hash    Hash
	expires int64 // absolute end, milliseconds since the epoch

	present atomic.Pointer[view]

	seen      atomic.Int64 // newest use that is known, milliseconds since the epoch
	written   atomic.Int64 // newest use that the store knows
	confirmed atomic.Int64 // when the store last said that the session is
	epoch     atomic.Int64 // of the Manager, when the store last said so; -1 is not to be believed
	hot       atomic.Bool  // used since the memory last looked for what to forget
	queued    atomic.Bool  // waits to be written
	over      atomic.Bool  // ended

	retryAt atomic.Int64 // no renewal is tried before, milliseconds since the epoch
	backoff int64        // last pause after a failed renewal, milliseconds; owned by the renewal under way

	// life is a field and not a pointer on purpose: whoever holds the context that
	// Ended returns holds the Session, which therefore can be found and ended.
	life life
	end  context.CancelFunc

	making sync.Mutex // held while a Principal is made

	slot    int   // place in the shard's ring, -1 for none; guarded by the shard
	weight  int64 // bytes; guarded by the shard
	guarded bool  // has its cleanup; guarded by the shard
}

// A life is a context that counts who waits for its end: requests under way,
// streams and sockets. Package context hands everybody to AfterFunc who wants to
// be told, since it does not find its own kind behind Value.
type life struct {
	context.Context
	watchers atomic.Int64
}

// Value hides what kind of context it is; there are no values.
func (*life) Value(any) any { return nil }

// AfterFunc is what context.AfterFunc and contexts derived from this one call.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	l.watchers.Add(1)
	stopInner := context.AfterFunc(l.Context, f)
	return func() bool {
		stopped := stopInner()
		if stopped {
			l.watchers.Add(-1)
		}
		return stopped
	}
}

// watched reports whether somebody waits for the session's end.
func (s *Session) watched() bool { return s.life.watchers.Load() > 0 }

// A view is one version of a session.
type view struct {
	record Record
	made   atomic.Pointer[made]
}

// A made is the Principal of a view under a policy.
type made struct {
	under     any
	principal *identity.Principal
}

func newSession(r *Record) *Session {
	s := &Session{hash: r.Hash, expires: r.ExpiresAt.UnixMilli(), slot: -1}
	s.life.Context, s.end = context.WithCancel(context.Background())
	s.hot.Store(true)
	return s
}

// Record returns the session as it was last read or renewed. It is shared and
// must not be changed. Its SeenAt is older than the last use.
func (s *Session) Record() *Record { return &s.present.Load().record }

// Ended is cancelled when the session ends: by its owner, an administrator, the
// provider, or time, in this process or another.
func (s *Session) Ended() context.Context { return &s.life }

// Principal returns what makePrincipal makes of the session. It is made once
// for each version of the session and each value of under, which has to be
// comparable (a pointer to the policy). Nil is not kept.
func (s *Session) Principal(under any, makePrincipal func(*Session) *identity.Principal) *identity.Principal {
	v := s.present.Load()
	if p := v.made.Load(); p != nil && p.under == under {
		return p.principal
	}
	s.making.Lock()
	defer s.making.Unlock()
	v = s.present.Load()
	if p := v.made.Load(); p != nil && p.under == under {
		return p.principal
	}
	p := makePrincipal(s)
	if p != nil {
		v.made.Store(&made{under, p})
	}
	return p
}

// adopt takes a record over where it is newer than the one that is there. The
// caller holds the shard's lock.
func (s *Session) adopt(r *Record) {
	switch v := s.present.Load(); {
	case v == nil || r.Version > v.record.Version:
		s.replace(r)
	case r.RolesVersion > v.record.RolesVersion: // renewals and roles go their own ways
		next := v.record
		next.Roles, next.RolesVersion = r.Roles, r.RolesVersion
		s.replace(&next)
	}
	seen := r.SeenAt.UnixMilli()
	raise(&s.seen, seen)
	raise(&s.written, seen)
}

// replace makes r the present record, with the newer roles of the two: a renewal
// knows those from when it began. The caller holds the shard's lock.
func (s *Session) replace(r *Record) {
	next := &view{record: *r}
	if v := s.present.Load(); v != nil && v.record.RolesVersion > r.RolesVersion {
		next.record.Roles, next.record.RolesVersion = v.record.Roles, v.record.RolesVersion
	}
	s.present.Store(next)
}

// deadAt reports whether time has ended the session, as far as is known here.
func (s *Session) deadAt(now, idle int64) bool {
	return now >= s.expires || now-s.seen.Load() > idle
}

// raise moves a value forward, never back.
func raise(a *atomic.Int64, to int64) {
	for {
		old := a.Load()
		if to <= old || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// A key names a session in memory: the first half of its Hash, which is also
// what its public ID spells. Half a digest is still far out of reach of
// guessing, and tells nothing about the cookie's value.
type key [16]byte

func (h *Hash) key() key { return key(h[:16]) }

const idPrefix = "ses_"

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idOf is the public name of the session with the hash.
func idOf(h *Hash) string { return idPrefix + idEncoding.EncodeToString(h[:16]) }

// keyOf is the key of the session with the public name.
func keyOf(id string) (k key, ok bool) {
	text, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(text) != idEncoding.EncodedLen(len(k)) {
		return key{}, false
	}
	b, err := idEncoding.DecodeString(text)
	if err != nil || len(b) != len(k) || idEncoding.EncodeToString(b) != text {
		return key{}, false
	}
	return key(b), true
}
