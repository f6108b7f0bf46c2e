package session_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

func TestRememberedSessionAsksNoStore(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	cookie, s := signIn(t, m, person("ann"))
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if got, err := m.Get(ctx, cookie); err != nil || got != s {
			t.Fatal(got, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a session that is remembered", allocs)
	}
	if n := f.called("Session"); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

func TestWrongCookiesOpenNothing(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	cookie, _ := signIn(t, m, person("ann"))
	m = newManager(t, f, nil)
	bad := []string{"", cookie[:25], cookie + "A", strings.ToLower(cookie), strings.Repeat("A", 100<<10), cookie[:25] + "\x00", cookie[:25] + "1"}
	for _, b := range bad {
		_, err := m.Get(t.Context(), b)
		wantErr(t, err, session.ErrNoSession)
	}
	if n := f.called("Session"); n != 0 {
		t.Errorf("the store was asked %d times about what cannot be a cookie of ours", n)
	}
	for i := range cookie {
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
			if other := cookie[:i] + string(c) + cookie[i+1:]; other != cookie {
				_, err := m.Get(t.Context(), other)
				wantErr(t, err, session.ErrNoSession)
			}
		}
	}
}

// TestFloodOfStrangersIsBounded sends random cookies while the store stands
// still.
func TestFloodOfStrangersIsBounded(t *testing.T) {
	noLeak(t)
	f := newFaulty()
	var running, most atomic.Int64
	open := make(chan struct{})
	f.before = func(_ context.Context, method string) error {
		if method != "Session" {
			return nil
		}
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-open
		running.Add(-1)
		return nil
	}
	m := newManager(t, f, nil)
	cookie, s := signIn(t, m, person("ann"))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			_, err := m.Get(ctx, rand.Text())
			if !errors.Is(err, session.ErrNoSession) && !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("a stranger's cookie: %v", err)
			}
		})
	}
	eventually(t, "the store is busy", func() bool { return running.Load() == 8 })
	if got, err := m.Get(t.Context(), cookie); err != nil || got != s {
		t.Errorf("a remembered session behind a flood: %v", err)
	}
	cancel() // those who wait go away, with no look-up
	close(open)
	wg.Wait()
	if most.Load() > 8 {
		t.Errorf("%d look-ups at once", most.Load())
	}
}

func TestClientThatHasGoneCostsNoLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		m := newManager(t, f, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := m.Get(ctx, rand.Text())
		wantErr(t, err, context.Canceled)
		synctest.Wait()
		if n := f.called("Session"); n != 0 {
			t.Errorf("%d look-ups", n)
		}
	})
}

// TestStrangerWaitsNotForEver sends more cookies than are looked up at once to a
// store that stands still.
func TestStrangerWaitsNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		f.before = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		m := newManager(t, f, nil)
		began := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := m.Get(context.Background(), rand.Text())
				if !errors.Is(err, session.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the last answer came after %v", took)
		}
	})
}

func TestDeadCookieIsLookedUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		m := newManager(t, f, nil)
		cookie, _ := signIn(t, m, person("ann"))
		_, err := m.End(t.Context(), session.Filter{All: true})
		must(t, err)
		for range 100 {
			_, err := m.Get(t.Context(), cookie)
			wantErr(t, err, session.ErrNoSession)
		}
		if n := f.called("Session"); n != 1 {
			t.Errorf("%d look-ups", n)
		}
		time.Sleep(6 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
		if n := f.called("Session"); n != 2 {
			t.Errorf("%d look-ups: the unknown cookie was remembered for too long", n)
		}
	})
}

func TestManyWhoAskCostOneLookup(t *testing.T) {
	f := newFaulty()
	cookie, _ := signIn(t, newManager(t, f, nil), person("ann"))
	m := newManager(t, f, nil) // after a restart
	var wg sync.WaitGroup
	got := make([]*session.Session, 100)
	for i := range got {
		wg.Go(func() { got[i], _ = m.Get(t.Context(), cookie) })
	}
	wg.Wait()
	for _, s := range got {
		if s == nil || s != got[0] {
			t.Fatal("the session is there more than once, or not for all")
		}
	}
	if n := f.called("Session"); n != 1 {
		t.Errorf("%d look-ups", n)
	}
}

func TestStoreThatIsDownOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFaulty(), new(down)
		f.before = d.before
		m := newManager(t, f, func(c *session.Config) { c.StaleAfter = 10 * time.Second })
		cookie, s := signIn(t, m, person("ann"))
		unknown, _ := signIn(t, newManager(t, f, nil), person("bob"))
		d.set.Store(true)
		_, err := m.Get(t.Context(), unknown)
		wantErr(t, err, session.ErrUnavailable)

		time.Sleep(9 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		must(t, err) // fresh enough
		m.Alive(time.Now())
		time.Sleep(9 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		must(t, err) // followed a moment ago
		time.Sleep(2 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrUnavailable)
		_, err = m.ByID(t.Context(), s.Record().ID)
		wantErr(t, err, session.ErrUnavailable)
		if isEnded(s.Ended()) {
			t.Error("a store that is down ended a session")
		}
		d.set.Store(false)
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
	})
}

func TestEveryErrorOfTheStoreSaysUnavailable(t *testing.T) {
	f, d := newFaulty(), new(down)
	f.before = d.before
	m := newManager(t, f, nil)
	d.set.Store(true)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"SignIn":      func() error { _, _, err := m.SignIn(ctx, person("ann")); return err },
		"Get":         func() error { _, err := m.Get(ctx, rand.Text()); return err },
		"Peek":        func() error { _, err := m.Peek(ctx, rand.Text()); return err },
		"ByID":        func() error { _, err := m.ByID(ctx, "ses_"+strings.Repeat("a", 26)); return err },
		"End":         func() error { _, err := m.End(ctx, session.Filter{All: true}); return err },
		"Sessions":    func() error { _, err := m.Sessions(ctx, session.Filter{All: true}, "", 1); return err },
		"Users":       func() error { _, err := m.Users(ctx, "", 1); return err },
		"User":        func() error { _, err := m.User(ctx, "usr_0"); return err },
		"SetDisabled": func() error { return m.SetDisabled(ctx, "usr_0", time.Now()) },
		"FindUsers":   func() error { _, err := m.FindUsers(ctx, "ann", "", 1); return err },
		"SetRoles":    func() error { return m.SetRoles(ctx, "usr_0", 0, nil) },
	} {
		if err := call(); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPanicOfTheStoreHangsNobody(t *testing.T) {
	f := newFaulty()
	var broken atomic.Bool
	broken.Store(true)
	f.before = func(_ context.Context, method string) error {
		if method == "Session" && broken.Load() {
			panic("canary-secret")
		}
		return nil
	}
	var log logBuffer
	cookie, _ := signIn(t, newManager(t, f, nil), person("ann"))
	m := newManager(t, f, func(c *session.Config) { c.Log = log.logger() })
	_, err := m.Get(t.Context(), cookie)
	wantErr(t, err, session.ErrUnavailable)
	broken.Store(false)
	_, err = m.Get(t.Context(), cookie)
	must(t, err)
	if strings.Contains(log.String(), "canary-secret") || !strings.Contains(log.String(), "panic") {
		t.Errorf("log: %s", log.String())
	}
}

func TestPeekIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, newFaulty(), func(c *session.Config) { c.Idle = time.Minute })
		cookie, s := signIn(t, m, person("ann"))
		time.Sleep(50 * time.Second)
		_, err := m.Peek(t.Context(), cookie)
		must(t, err)
		_, err = m.ByID(t.Context(), s.Record().ID)
		must(t, err)
		time.Sleep(11 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
	})
}
