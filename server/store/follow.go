package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"wavegate/server/session"
)

// A Follower hears of changes. Follow calls its functions one after the other;
// nil ones are left out.
type Follower struct {
	// Apply is told of changes, each once, mostly in the order in which they
	// were made. At the start, and after Lost, it hears also of some that are
	// older.
	Apply func([]session.Change)

	// Alive is told when everything that had been committed at a time, of this
	// process's clock, was applied.
	Alive func(time.Time)

	// Lost says that changes may have been missed: what is remembered must be
	// forgotten.
	Lost func()
}

// Follow tells f of the changes that any process makes, from now on until ctx
// ends. A store that fails is asked again, at most four times Poll later.
func (s *Store) Follow(ctx context.Context, f Follower) {
	wake := make(chan struct{}, 1)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	if s.hears != nil {
		hearing.Go(func() { s.hear(ctx, wake) })
	}
	p := &pursuit{store: s, Follower: f, began: time.Now()}
	failures := 0
	for ctx.Err() == nil {
		err := p.look(ctx)
		switch {
		case err == nil && failures > 0:
			s.log.Info("the store's changes are followed again", "failures", failures)
			failures = 0
		case err != nil && ctx.Err() == nil:
			if failures++; failures == 1 {
				s.log.Warn("the store's changes cannot be followed; it is tried again", "error", err)
			}
		}
		pause(ctx, wake, s.poll<<min(failures, 2))
	}
}

// pause waits for a time, for somebody who says that there is something, or for
// the end of ctx.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// A pursuit is one run of Follow.
type pursuit struct {
	Follower
	store  *Store
	began  time.Time
	window *window   // nil before the first look that succeeded
	at     time.Time // of the last such look, by the database's clock
}

// look applies everything that is there.
func (p *pursuit) look(ctx context.Context) error {
	now := time.Now()
	if p.window == nil {
		// Whoever remembers something read it after Follow began.
		if err := p.start(ctx, settled+now.Sub(p.began)); err != nil {
			return err
		}
		if now.Sub(p.began) >= keep-settled {
			p.lost()
		}
	}
	for after := p.window.low; ; {
		all, at, err := p.store.entries(ctx, after)
		if err != nil {
			return err
		}
		if at.Sub(p.at) >= keep-settled { // some may have been removed since
			if err := p.start(ctx, settled); err != nil {
				return err
			}
			p.lost()
			after = p.window.low
			continue
		}
		p.at = at
		if changes := p.window.fresh(all); len(changes) > 0 && p.Apply != nil {
			p.Apply(changes)
		}
		if len(all) < page {
			break
		}
		after = all[len(all)-1].id
	}
	p.window.settle(time.Now())
	if p.Alive != nil {
		p.Alive(now)
	}
	return nil
}

// start begins with the changes of the last while.
func (p *pursuit) start(ctx context.Context, back time.Duration) error {
	low, at, err := p.store.entryBefore(ctx, back)
	if err != nil {
		return err
	}
	p.window, p.at = newWindow(low), at
	return nil
}

func (p *pursuit) lost() {
	p.store.log.Warn("the store was away for so long that changes may have been missed; what was remembered is forgotten")
	if p.Lost != nil {
		p.Lost()
	}
}

// hear wakes the pursuit at each NOTIFY. It only saves time: nothing is missed
// when it hears nothing.
func (s *Store) hear(ctx context.Context, wake chan<- struct{}) {
	const most = 5 // doublings of the pause
	for failures := 0; ctx.Err() == nil; failures = min(failures+1, most) {
		listening, err := s.listen(ctx, wake)
		switch sqlState(err) {
		case "0A000", "42601": // feature_not_supported, syntax_error
			s.log.Info("the database has no LISTEN; changes of other processes are noticed by asking", "every", s.poll)
			return
		}
		if listening {
			failures = 0
		}
		wait(ctx, s.poll<<failures)
	}
}

// listen holds one connection until it breaks, and reports whether it listened.
func (s *Store) listen(ctx context.Context, wake chan<- struct{}) (listening bool, err error) {
	c, err := pgx.ConnectConfig(ctx, s.hears.Copy())
	if err != nil {
		return false, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.Close(closing)
	}()
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return false, err
	}
	for {
		select { // also for what came before it listened
		case wake <- struct{}{}:
		default:
		}
		if _, err := c.WaitForNotification(ctx); err != nil {
			return true, err
		}
	}
}
