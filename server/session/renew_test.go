package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

// An idp answers renewals.
type idp struct {
	calls  atomic.Int64
	answer func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error)
}

func (p *idp) renew(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
	p.calls.Add(1)
	if p.answer != nil {
		return p.answer(ctx, r, t)
	}
	return renewed(r, t), nil
}

// renewed is the answer of a provider that rotates refresh tokens.
func renewed(r session.Record, t session.Tokens) session.Renewal {
	return session.Renewal{
		Claims:  session.Claims{Username: r.Username, Groups: []string{"renewed"}},
		Tokens:  session.Tokens{Access: t.Access + "+", Refresh: t.Refresh + "+"},
		RenewAt: time.Now().Add(5 * time.Minute),
	}
}

// due is a login whose renewal is due at once.
func due(name string) session.Login {
	l := person(name)
	l.RenewAt = time.Now()
	return l
}

func TestParallelRequestsSpendOneRefreshToken(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		p := new(idp)
		p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			if t.Refresh != "refresh-ann" {
				return session.Renewal{}, session.ErrRefused // spent already
			}
			time.Sleep(20 * time.Millisecond) // others arrive
			return renewed(r, t), nil
		}
		withIDP := func(c *session.Config) { c.Renew = p.renew }
		a, b := newManager(t, s, withIDP), newManager(t, s, withIDP) // two processes
		cookie, _ := signIn(t, a, due("ann"))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				m := []*session.Manager{a, b}[i%2]
				got, err := m.Get(context.Background(), cookie)
				if err != nil {
					t.Error(err)
					return
				}
				tokens, err := m.Tokens(got)
				if err != nil || tokens.Access != "access-ann+" || tokens.ID != "idtoken-ann" || got.Record().Groups[0] != "renewed" || got.Record().Version != 2 {
					t.Errorf("after the renewal: version %d, %v", got.Record().Version, err)
				}
			})
		}
		wg.Wait()
		if n := p.calls.Load(); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
	})
}

func TestRefusedRenewalEndsTheSession(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		p := &idp{answer: func(context.Context, session.Record, session.Tokens) (session.Renewal, error) {
			return session.Renewal{}, errors.Join(errors.New("invalid_grant"), session.ErrRefused)
		}}
		m := newManager(t, s, func(c *session.Config) { c.Renew = p.renew })
		cookie, sess := signIn(t, m, due("ann"))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := m.Get(context.Background(), cookie); !errors.Is(err, session.ErrNoSession) {
					t.Errorf("a waiter got %v", err)
				}
			})
		}
		wg.Wait()
		if !isEnded(sess.Ended()) || p.calls.Load() != 1 {
			t.Errorf("sockets told: %v, calls: %d", isEnded(sess.Ended()), p.calls.Load())
		}
		_, err := newManager(t, s, nil).Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
	})
}

func TestProviderThatIsDownEndsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, up := new(idp), false
		p.answer = func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			if up {
				return renewed(r, t), nil
			}
			<-ctx.Done()
			return session.Renewal{}, ctx.Err()
		}
		m := newManager(t, newFaulty(), func(c *session.Config) { c.Renew = p.renew; c.StaleAfter = time.Hour })
		cookie, s := signIn(t, m, due("ann"))
		slow := 0
		began := time.Now()
		for time.Since(began) < 20*time.Minute {
			asked := time.Now()
			_, err := m.Get(t.Context(), cookie)
			must(t, err)
			if took := time.Since(asked); took > 2*time.Second {
				t.Fatalf("a request took %v", took)
			} else if took > 0 {
				slow++
			}
			time.Sleep(time.Second)
		}
		// Pauses of 30 s, 60 s, 2 min, 4 min, and 5 min from then on.
		if slow > 8 || slow < 6 || int64(slow) != p.calls.Load() {
			t.Errorf("%d requests were slow, the provider was asked %d times", slow, p.calls.Load())
		}
		if isEnded(s.Ended()) {
			t.Error("sockets were told of an end")
		}
		up = true
		time.Sleep(5 * time.Minute)
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		if s.Record().Version != 2 {
			t.Error("the session was not renewed when the provider was back")
		}
	})
}

// TestPanickingRenewalHangsNobody also looks for what it panicked with.
func TestPanickingRenewalHangsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		p := &idp{answer: func(_ context.Context, _ session.Record, t session.Tokens) (session.Renewal, error) {
			panic("canary " + t.Refresh)
		}}
		m := newManager(t, newFaulty(), func(c *session.Config) { c.Renew, c.Log = p.renew, log.logger() })
		cookie, _ := signIn(t, m, due("ann"))
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		p.answer = nil
		time.Sleep(31 * time.Second)
		s, err := m.Get(t.Context(), cookie)
		must(t, err)
		if s.Record().Version != 2 {
			t.Error("no renewal after one that panicked")
		}
		if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), "refresh-ann") {
			t.Errorf("a secret is in the log: %s", log.String())
		}
	})
}

// TestClientThatLeavesLosesNoRefreshToken goes away while the provider answers.
func TestClientThatLeavesLosesNoRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(idp)
		p.answer = func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			time.Sleep(5 * time.Second)
			if ctx.Err() != nil {
				return session.Renewal{}, ctx.Err()
			}
			return renewed(r, t), nil
		}
		f := newFaulty()
		m := newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
		stop := run(t, m)
		cookie, _ := signIn(t, m, due("ann"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Get(ctx, cookie)
		wantErr(t, err, context.DeadlineExceeded)
		must(t, stop()) // waits for the provider
		if r, _ := f.record(hashOf(cookie)); r.Version != 2 {
			t.Error("what the provider said was lost at the end of the process")
		}
		late, _ := signIn(t, m, due("bob")) // a request that drains
		_, err = m.Get(t.Context(), late)
		must(t, err)
		if p.calls.Load() != 1 {
			t.Error("a renewal began after the end of Run, with nobody to wait for it")
		}
	})
}

func TestParallelRequestsClaimOnce(t *testing.T) {
	f, p, open := newFaulty(), new(idp), make(chan struct{})
	p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
		<-open
		return renewed(r, t), nil
	}
	m := newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
	cookie, _ := signIn(t, m, due("ann"))
	var wg sync.WaitGroup
	var asked atomic.Int64
	for range 100 {
		wg.Go(func() {
			asked.Add(1)
			if s, err := m.Get(context.Background(), cookie); err != nil || s.Record().Version != 2 {
				t.Errorf("a waiter got %v", err)
			}
		})
	}
	eventually(t, "all have asked", func() bool { return asked.Load() == 100 && p.calls.Load() == 1 })
	close(open)
	wg.Wait()
	if claims, looks := f.called("ClaimRenewal"), f.called("Session"); claims != 1 || looks != 0 || p.calls.Load() != 1 {
		t.Errorf("%d claims, %d look-ups, %d questions to the provider", claims, looks, p.calls.Load())
	}
}

func TestProcessThatDiesHoldsUpARenewalForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := new(idp), newFaulty()
		m := newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
		cookie, s := signIn(t, m, due("ann"))
		_, won, err := f.ClaimRenewal(t.Context(), hashOf(cookie), 1, time.Now(), time.Now().Add(30*time.Second))
		if !won || err != nil {
			t.Fatal(won, err)
		}
		asked := time.Now()
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		if took := time.Since(asked); took != 2*time.Second {
			t.Errorf("waited %v for the other process", took)
		}
		asked = time.Now()
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		if took := time.Since(asked); took != 0 {
			t.Errorf("the next request waited %v", took)
		}
		time.Sleep(33 * time.Second) // 5 s for the other process, 30 s of patience
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		if p.calls.Load() != 1 || s.Record().Version != 2 {
			t.Errorf("%d calls, version %d", p.calls.Load(), s.Record().Version)
		}
	})
}

func TestStoreThatFailsAfterTheProviderKeepsTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := new(idp), newFaulty()
		var fail atomic.Bool
		f.before = func(_ context.Context, method string) error {
			if fail.Load() && method == "Renew" {
				return errDown
			}
			return nil
		}
		p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			if want := "refresh-ann" + strings.Repeat("+", int(p.calls.Load())-1); t.Refresh != want {
				return session.Renewal{}, session.ErrRefused
			}
			return renewed(r, t), nil
		}
		m := newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
		cookie, s := signIn(t, m, due("ann"))
		fail.Store(true)
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		time.Sleep(time.Second) // the last try to write
		tokens, err := m.Tokens(s)
		must(t, err)
		if tokens.Access != "access-ann+" {
			t.Error("the new tokens are not used")
		}
		m.Lost() // reading the session again brings back no spent token
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		fail.Store(false)
		time.Sleep(31 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		if r, _ := f.record(hashOf(cookie)); p.calls.Load() != 2 || r.Version != 2 || s.Record().Version != 2 {
			t.Errorf("%d calls, version %d", p.calls.Load(), r.Version)
		}
	})
}

// TestConflictTakesWhatIsThere lets another process be faster, against the rules.
func TestConflictTakesWhatIsThere(t *testing.T) {
	f, p := newFaulty(), new(idp)
	p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
		f.edit(r.Hash, func(r *session.Record) { r.Version, r.Username, r.RenewAt = 7, "theirs", time.Now().Add(time.Hour) })
		return renewed(r, t), nil
	}
	m := newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
	cookie, _ := signIn(t, m, due("ann"))
	s, err := m.Get(t.Context(), cookie)
	must(t, err)
	if s.Record().Username != "theirs" || s.Record().Version != 7 {
		t.Errorf("record %+v", s.Record())
	}
}

func TestSessionThatEndsDuringItsRenewalStaysEnded(t *testing.T) {
	f, p := newFaulty(), new(idp)
	var m *session.Manager
	p.answer = func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
		if _, err := m.End(ctx, session.Filter{ID: r.ID}); err != nil {
			return session.Renewal{}, err
		}
		return renewed(r, t), nil
	}
	m = newManager(t, f, func(c *session.Config) { c.Renew = p.renew })
	cookie, s := signIn(t, m, due("ann"))
	for range 2 {
		_, err := m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
	}
	if !isEnded(s.Ended()) {
		t.Error("sockets were not told")
	}
}

func TestTokensThatCannotBeOpenedEndTheSession(t *testing.T) {
	f, p := newFaulty(), new(idp)
	var log logBuffer
	cookie, _ := signIn(t, newManager(t, f, nil), due("ann"))
	m := newManager(t, f, func(c *session.Config) {
		c.Renew, c.Keys, c.Log = p.renew, [][]byte{secretKey(2)}, log.logger()
	})
	_, err := m.Get(t.Context(), cookie)
	wantErr(t, err, session.ErrNoSession)
	if p.calls.Load() != 0 || !strings.Contains(log.String(), "secret file") {
		t.Errorf("%d calls; log: %s", p.calls.Load(), log.String())
	}
}

func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(idp)
		m := newManager(t, newFaulty(), func(c *session.Config) { c.Renew = p.renew })
		fresh := func(expiry time.Time, refresh string) int64 {
			p.calls.Store(0)
			l := person("ann")
			l.Tokens.Expiry, l.Tokens.Refresh = expiry, refresh
			_, s := signIn(t, m, l)
			for range 3 {
				got, err := m.Fresh(t.Context(), s)
				if err != nil || got != s {
					t.Fatal(err)
				}
			}
			return p.calls.Load()
		}
		for name, c := range map[string]struct {
			expiry  time.Time
			refresh string
			want    int64
		}{
			"ended":            {time.Now().Add(-time.Minute), "r", 1},
			"about to end":     {time.Now().Add(29 * time.Second), "r", 1},
			"good":             {time.Now().Add(31 * time.Second), "r", 0},
			"without an end":   {time.Time{}, "r", 0},
			"without a way to": {time.Now().Add(-time.Minute), "", 0},
		} {
			if n := fresh(c.expiry, c.refresh); n != c.want {
				t.Errorf("%s: the provider was asked %d times, want %d", name, n, c.want)
			}
		}
	})
}
