package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"wavegate/keychain/lookup"
)

const (
	claimFor     = 30 * time.Second // how long other processes leave a renewal to this one
	renewTimeout = 15 * time.Second // for the provider
	renewWait    = 2 * time.Second  // for requests, from the start of the renewal
	claimWait    = 5 * time.Second  // for another process that renews
	pollFirst    = 50 * time.Millisecond
	pollMost     = 500 * time.Millisecond
	backoffFirst = 30 * time.Second // after a provider that could not be asked
	backoffMost  = 5 * time.Minute
	writeTries   = 3           // of what a provider said
	writePause   = time.Second // between them
	freshFor     = 30 * time.Second
)

// renewals are the questions to providers under way, one at a time for each
// session, whoever asks. They have goroutines of their own: a client that goes
// away must not lose a refresh token that the provider has spent.
type renewals struct {
	mu   sync.Mutex // guards open
	open map[Hash]*flight
}

// A flight is a renewal under way.
type flight struct {
	done chan struct{}   // closed when it is over
	late context.Context // ended when it is over or has lasted for renewWait
}

// Fresh returns the session with an access token that is good for half a minute
// more, as far as the provider gives one, and waits for it as long as that takes.
// The session goes on with the old one when the provider cannot be asked. Errors:
// ErrNoSession when the provider has ended the session, ErrUnavailable when ctx
// ended.
func (m *Manager) Fresh(ctx context.Context, s *Session) (*Session, error) {
	if s.over.Load() {
		return nil, ErrNoSession
	}
	if m.cfg.Renew == nil || !m.stale(s) {
		return s, nil
	}
	f, _ := m.renewing(s, m.stale)
	return m.renewed(ctx, s, f.done)
}

// renewDue is the end of Get for a session that is renewed from time to time. A
// provider that is slow holds nobody up for long: the session goes on as it was,
// and ends, its sockets with it, should the provider say no later.
func (m *Manager) renewDue(ctx context.Context, s *Session) (*Session, error) {
	if !m.due(s) {
		return s, nil
	}
	f, _ := m.renewing(s, m.due)
	return m.renewed(ctx, s, f.late.Done())
}

// due reports whether it is time to ask the provider about the session.
func (m *Manager) due(s *Session) bool {
	at, now := s.Record().RenewAt, m.now()
	return !at.IsZero() && now >= at.UnixMilli() && now >= s.retryAt.Load()
}

// stale reports whether the session's access token has ended or is about to, and
// can be renewed.
func (m *Manager) stale(s *Session) bool {
	if m.due(s) {
		return true
	}
	t, err := m.Tokens(s)
	soon := m.now() + freshFor.Milliseconds()
	return err == nil && t.Refresh != "" && !t.Expiry.IsZero() && soon >= t.Expiry.UnixMilli() && m.now() >= s.retryAt.Load()
}

// renewed returns the session after a wait for its renewal.
func (m *Manager) renewed(ctx context.Context, s *Session, wait <-chan struct{}) (*Session, error) {
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
	if s.over.Load() {
		return nil, ErrNoSession
	}
	return s, nil
}

// renewing returns the renewal of a session under way. One begins where there is
// none; should it not be needed any more, it is over at once.
func (m *Manager) renewing(s *Session, needed func(*Session) bool) (f *flight, began bool) {
	r := &m.renewals
	r.mu.Lock()
	defer r.mu.Unlock()
	if f = r.open[s.hash]; f != nil {
		return f, false
	}
	late, over := context.WithTimeout(context.Background(), renewWait)
	f = &flight{make(chan struct{}), late}
	began = m.tasks.Start(func() {
		defer func() {
			r.mu.Lock()
			delete(r.open, s.hash)
			r.mu.Unlock()
			close(f.done)
			over()
		}()
		if needed(s) && !s.over.Load() { // the one before may have done it
			m.renewOnce(s)
		}
	})
	if began {
		r.open[s.hash] = f
	} else { // the process ends: the session goes on as it is
		close(f.done)
		over()
	}
	return f, began
}

// renewOnce asks the provider, or waits for the process that does.
func (m *Manager) renewOnce(s *Session) {
	r := s.Record()
	leave, at, ok := m.outages.ask(r.Provider, m.now())
	if !ok {
		s.retryAt.Store(at)
		return
	}
	defer leave()
	switch err := lookup.Safely(m.cfg.Log, "a session was looked up or renewed", func() error { return m.claimAndAsk(s, r) }); {
	case isGone(err):
		m.finish(s)
	case err != nil:
		m.postpone(s)
	default:
		s.backoff = 0
		s.retryAt.Store(0)
	}
}

// claimAndAsk asks the provider about the session r, where no other process does.
func (m *Manager) claimAndAsk(s *Session, r *Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
	defer cancel()
	now := m.cfg.Now().UTC()
	until := now.Add(claimFor)
	present, won, err := m.store.ClaimRenewal(ctx, s.hash, r.Version, now, until)
	switch {
	case err != nil:
		return err
	case won:
		spent := !bytes.Equal(present.Sealed, r.Sealed) // what the store has: newer tokens could not be written
		return m.askProvider(ctx, s, r, func() {
			if !spent {
				m.release(r, until)
			}
		})
	case present.Version > r.Version:
		m.memory.renew(s, &present)
		return nil
	}
	return m.awaitOther(ctx, s, r.Version)
}

// postpone lets the session go on as it is and the provider rest for a while.
func (m *Manager) postpone(s *Session) {
	s.backoff = longer(s.backoff)
	s.retryAt.Store(m.now() + s.backoff)
}

var errStillClaimed = errors.New("another process has not finished the renewal")

// awaitOther waits for another process to renew the session.
func (m *Manager) awaitOther(ctx context.Context, s *Session, version int64) error {
	ctx, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	for d := pollFirst; pause(ctx, d); d = min(2*d, pollMost) {
		present, err := m.store.Session(ctx, s.hash)
		switch {
		case isGone(err):
			return err
		case err == nil && present.Version > version:
			m.memory.renew(s, &present)
			return nil
		}
	}
	return errStillClaimed
}

// askProvider renews the session r, whose claim this process holds. It
// calls release when the provider could not be asked.
func (m *Manager) askProvider(ctx context.Context, s *Session, r *Record, release func()) error {
	tokens, err := m.openTokens(r)
	if err != nil {
		m.cfg.Log.Warn("session ended: its tokens cannot be opened, so the provider cannot be asked any more; was a line taken out of the secret file?", "session", r.ID, "error", err)
		return m.refused(r)
	}
	renewal, err := m.cfg.Renew(ctx, *r, tokens)
	refused := errors.Is(err, ErrRefused)
	m.outages.answered(r.Provider, err == nil || refused, m.now())
	switch {
	case refused:
		return m.refused(r)
	case err != nil:
		release()
		return err
	}
	return m.keep(s, r, tokens, renewal)
}

// release gives the claim on a renewal back, so that another process may try: who
// claims at the very end of a claim, until now, ends it. Should that fail, the
// claim ends by itself.
func (m *Manager) release(r *Record, until time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	_, _, _ = m.store.ClaimRenewal(ctx, r.Hash, r.Version, until, m.cfg.Now().UTC())
}

// refused ends a session that the provider has ended. It does so in this process
// also when the store cannot be told: whoever reads the session again asks again.
func (m *Manager) refused(r *Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if _, err := m.End(ctx, Filter{ID: r.ID}); err != nil {
		m.cfg.Log.Warn("a session that the provider ended could not be removed from the store", "session", r.ID, "error", err)
	}
	return ErrNoSession
}

// keep stores what the provider said. A provider that gives no new refresh or ID
// token means the old one to be kept (RFC 6749, section 6).
func (m *Manager) keep(s *Session, r *Record, old Tokens, n Renewal) error {
	n.Tokens.Refresh = cmp.Or(n.Tokens.Refresh, old.Refresh)
	n.Tokens.ID = cmp.Or(n.Tokens.ID, old.ID)
	next := *r
	next.Claims, next.RenewAt = n.Claims.cut(), milliseconds(n.RenewAt)
	var err error
	if next.Sealed, err = m.sealTokens(&next, n.Tokens); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
	defer cancel()
	err = m.write(ctx, next)
	switch {
	case err == nil:
		next.Version++
		m.memory.renew(s, &next)
	case errors.Is(err, ErrConflict):
		return m.takePresent(ctx, s)
	case !isGone(err):
		// The provider may have spent the old refresh token. What this process
		// remembers keeps the new one, is still due, and is written next time.
		m.cfg.Log.Warn("a renewed session could not be written to the store, it is tried again", "session", r.ID, "error", err)
		next.RenewAt = r.RenewAt
		m.memory.renew(s, &next)
	}
	return err
}

// write stores a renewed record and does not give up at the first failure.
func (m *Manager) write(ctx context.Context, r Record) (err error) {
	for try := range writeTries {
		if try > 0 && !pause(ctx, writePause) {
			return err
		}
		err = m.store.Renew(ctx, r)
		if err == nil || isGone(err) || errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

func (m *Manager) takePresent(ctx context.Context, s *Session) error {
	present, err := m.store.Session(ctx, s.hash)
	if err != nil {
		return err
	}
	m.memory.renew(s, &present)
	return nil
}
