package session

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	claimFor     = 30 * time.Second // how long other processes leave a renewal to this one
	renewTimeout = 15 * time.Second // for the provider
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
	open map[Hash]chan struct{}
}

// Fresh returns the session with an access token that is good for half a minute
// more, as far as the provider gives one. The session goes on with the old one
// when the provider cannot be asked. Errors: ErrNoSession when the provider has
// ended the session, ErrUnavailable when ctx ended.
func (m *Manager) Fresh(ctx context.Context, s *Session) (*Session, error) {
	if s.over.Load() {
		return nil, ErrNoSession
	}
	if m.cfg.Renew == nil || !m.stale(s) {
		return s, nil
	}
	return m.renew(ctx, s, m.stale)
}

// renewDue is the end of Get for a session that is renewed from time to time.
func (m *Manager) renewDue(ctx context.Context, s *Session) (*Session, error) {
	if !m.due(s) {
		return s, nil
	}
	return m.renew(ctx, s, m.due)
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

// renew waits for the renewal of a session, which begins where it is not under
// way and still needed.
func (m *Manager) renew(ctx context.Context, s *Session, needed func(*Session) bool) (*Session, error) {
	select {
	case <-m.renewing(s, needed):
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
	if s.over.Load() {
		return nil, ErrNoSession
	}
	return s, nil
}

// renewing returns a channel that is closed when the session's renewal is over.
func (m *Manager) renewing(s *Session, needed func(*Session) bool) <-chan struct{} {
	r := &m.renewals
	r.mu.Lock()
	defer r.mu.Unlock()
	if done := r.open[s.hash]; done != nil {
		return done
	}
	done := make(chan struct{})
	started := m.tasks.start(func() {
		defer func() {
			r.mu.Lock()
			delete(r.open, s.hash)
			r.mu.Unlock()
			close(done)
		}()
		if needed(s) && !s.over.Load() { // the one before may have done it
			m.renewOnce(s)
		}
	})
	if started {
		r.open[s.hash] = done
	} else {
		close(done) // the process ends: the session goes on as it is
	}
	return done
}

// renewOnce asks the provider, or waits for the process that does.
func (m *Manager) renewOnce(s *Session) {
	err := m.safely(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
		defer cancel()
		r, now := s.Record(), m.cfg.Now().UTC()
		present, won, err := m.store.ClaimRenewal(ctx, s.hash, r.Version, now, now.Add(claimFor))
		switch {
		case err != nil:
			return err
		case won:
			return m.askProvider(ctx, s, r)
		case present.Version > r.Version:
			m.memory.renew(s, &present)
			return nil
		}
		return m.awaitOther(ctx, s, r.Version)
	})
	switch {
	case isGone(err):
		m.finish(s)
	case err != nil:
		m.postpone(s)
	default:
		s.backoff = 0
		s.retryAt.Store(0)
	}
}

// postpone lets the session go on as it is and the provider rest for a while.
func (m *Manager) postpone(s *Session) {
	s.backoff = min(max(2*s.backoff, backoffFirst.Milliseconds()), backoffMost.Milliseconds())
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

// askProvider renews the session r, whose claim this process holds.
func (m *Manager) askProvider(ctx context.Context, s *Session, r *Record) error {
	tokens, err := m.openTokens(r)
	if err != nil {
		m.cfg.Log.Warn("session ended: its tokens cannot be opened, so the provider cannot be asked any more; was a line taken out of the secret file?", "session", r.ID, "error", err)
		return m.refused(r)
	}
	renewal, err := m.cfg.Renew(ctx, *r, tokens)
	if errors.Is(err, ErrRefused) {
		return m.refused(r)
	}
	if err != nil {
		return err
	}
	return m.keep(s, r, tokens, renewal)
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
