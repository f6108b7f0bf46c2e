package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

// TestTimeEndsSessionsWithOpenSockets opens a socket and does nothing on it.
func TestTimeEndsSessionsWithOpenSockets(t *testing.T) {
	for name, c := range map[string]struct{ lifetime, idle, want time.Duration }{
		"idle":     {time.Hour, 10 * time.Minute, 10 * time.Minute},
		"absolute": {10 * time.Minute, time.Hour, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, newFaulty(), func(cfg *session.Config) { cfg.Lifetime, cfg.Idle = c.lifetime, c.idle })
				stop := run(t, m)
				cookie, s := signIn(t, m, person("ann"))
				began := time.Now()
				<-s.Ended().Done()
				if after := time.Since(began); after < c.want || after > c.want+3*time.Second {
					t.Errorf("ended after %v, want %v", after, c.want)
				}
				_, err := m.Get(t.Context(), cookie)
				wantErr(t, err, session.ErrNoSession)
				must(t, stop())
			})
		})
	}
}

func TestUseKeepsASessionUntilItsAbsoluteEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, newFaulty(), func(c *session.Config) { c.Lifetime, c.Idle = time.Hour, 10*time.Minute })
		stop := run(t, m)
		_, socket := signIn(t, m, person("bob"))
		cookie, s := signIn(t, m, person("ann"))
		for range 11 {
			time.Sleep(5 * time.Minute)
			_, err := m.Get(t.Context(), cookie)
			must(t, err)
			m.Touch(socket)
		}
		if isEnded(s.Ended()) || isEnded(socket.Ended()) {
			t.Error("a session that is used ended early")
		}
		time.Sleep(5 * time.Minute)
		_, err := m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
		must(t, stop())
	})
}

// TestIdleHereIsNotIdle uses a session in one process and asks the other, which
// has not seen it for long.
func TestIdleHereIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		idle := func(c *session.Config) { c.Idle = 10 * time.Minute }
		a, b := newManager(t, f, idle), newManager(t, f, idle)
		stopA, stopB := run(t, a), run(t, b)
		cookie, _ := signIn(t, a, person("ann"))
		there, err := b.Get(t.Context(), cookie)
		must(t, err)
		for range 12 {
			time.Sleep(2 * time.Minute)
			_, err := a.Get(t.Context(), cookie)
			must(t, err)
		}
		time.Sleep(30 * time.Second)
		if isEnded(there.Ended()) {
			t.Error("the other process ended a session that is used")
		}
		_, err = b.Get(t.Context(), cookie)
		must(t, err)
		must(t, stopA())
		must(t, stopB())
	})
}

func TestUsesAreWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		m := newManager(t, f, nil)
		stop := run(t, m)
		cookies := make([]string, 2500)
		for i := range cookies {
			cookies[i], _ = signIn(t, m, person(fmt.Sprint("p", i%50)))
		}
		time.Sleep(time.Second) // so that no flush comes in the middle of the uses of one moment
		for i := range 60 {     // five minutes of one request each five seconds
			if i > 0 {
				time.Sleep(5 * time.Second)
			}
			for _, c := range cookies {
				if _, err := m.Get(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait() // for a flush of this very moment
		writes := 0
		for _, batch := range f.touches {
			if writes += len(batch); len(batch) > 1000 {
				t.Errorf("a batch of %d", len(batch))
			}
		}
		// Idle/20 is 90 s, and five minutes hold that three times.
		if n := f.called("Touch"); n > 12 || writes > 3*len(cookies) || writes < 2*len(cookies) {
			t.Errorf("%d batches, %d writes for %d sessions", n, writes, len(cookies))
		}
		must(t, stop())
		for _, c := range cookies {
			if r, _ := f.record(hashOf(c)); time.Since(r.SeenAt) > time.Second {
				t.Fatalf("the last use is %v old in the store after the end of Run", time.Since(r.SeenAt))
			}
		}
	})
}

func TestUsesAreKeptWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFaulty(), new(down)
		f.before = d.before
		var log logBuffer
		m := newManager(t, f, func(c *session.Config) { c.Log = log.logger(); c.StaleAfter = time.Hour })
		stop := run(t, m)
		cookie, _ := signIn(t, m, person("ann"))
		time.Sleep(3 * time.Minute)
		d.set.Store(true)
		used := time.Now()
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		time.Sleep(time.Minute)
		if !strings.Contains(log.String(), errDown.Error()) {
			t.Error("the log does not say that uses cannot be written")
		}
		d.set.Store(false)
		time.Sleep(time.Minute)
		if r, _ := f.record(hashOf(cookie)); r.SeenAt.Before(used.Truncate(time.Second)) {
			t.Error("the use was forgotten")
		}
		d.set.Store(true)
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		wantErr(t, stop(), session.ErrUnavailable)
	})
}

func TestSweepGoesInSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		var largest atomic.Int64
		m := newManager(t, sweeps{f, &largest}, func(c *session.Config) { c.Idle = 10 * time.Minute })
		for range 1200 {
			_, _, err := m.SignIn(t.Context(), session.Login{Provider: session.Local, Issuer: session.Local, Subject: "ann"})
			must(t, err)
		}
		time.Sleep(9 * time.Minute)
		cookie, _ := signIn(t, m, person("bob"))
		m = newManager(t, sweeps{f, &largest}, func(c *session.Config) { c.Idle = 10 * time.Minute }) // after a restart
		stop := run(t, m)
		time.Sleep(6 * time.Second)
		if n := f.called("Sweep"); n != 1 {
			t.Errorf("%d sweeps soon after the start", n)
		}
		time.Sleep(5 * time.Minute)
		if _, ok := f.record(hashOf(cookie)); !ok {
			t.Error("a session that is not idle yet was swept")
		}
		f.mu.Lock()
		left := len(f.sessions)
		f.mu.Unlock()
		if left != 1 || largest.Load() > 500 {
			t.Errorf("%d sessions are left; batches of %d", left, largest.Load())
		}
		must(t, stop())
	})
}

// sweeps notes the largest limit of a sweep.
type sweeps struct {
	session.Store
	largest *atomic.Int64
}

func (s sweeps) Sweep(ctx context.Context, now, idle time.Time, limit int) (int, error) {
	s.largest.Store(max(s.largest.Load(), int64(limit)))
	return s.Store.Sweep(ctx, now, idle, limit)
}

func TestSweepNeverTakesASessionThatAnotherProcessUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		idle := func(c *session.Config) { c.Idle = 10 * time.Minute }
		a, b := newManager(t, f, idle), newManager(t, f, idle)
		stopA, stopB := run(t, a), run(t, b)
		cookie, _ := signIn(t, a, person("ann"))
		for range 20 {
			time.Sleep(9*time.Minute + 55*time.Second)
			_, err := a.Get(t.Context(), cookie)
			must(t, err)
		}
		must(t, stopA())
		must(t, stopB())
	})
}

func TestNoGoroutineIsLeft(t *testing.T) {
	noLeak(t)
	synctest.Test(t, func(t *testing.T) { // fails by itself when one is left
		f := newFaulty()
		m := newManager(t, f, nil)
		stop := run(t, m)
		cookie, _ := signIn(t, m, person("ann"))
		m.Lost()
		time.Sleep(2 * time.Second)
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		must(t, stop())
		_, err = m.Get(t.Context(), cookie) // a request that drains
		must(t, err)
		m.Lost()
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
	})
}
