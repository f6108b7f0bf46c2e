package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

// at returns the settings of a Manager that asks p and knows hardly any idleness.
func at(p *idp) func(*session.Config) {
	return func(c *session.Config) { c.Renew, c.Idle, c.StaleAfter = p.renew, 24*time.Hour, 24*time.Hour }
}

// later is a login whose renewal is due in five minutes.
func later(name string) session.Login {
	l := person(name)
	l.RenewAt = time.Now().Add(5 * time.Minute)
	return l
}

// TestPersonWhoIsRemovedAtTheProviderLosesTheSocket opens sockets on which
// nothing makes a request any more.
func TestPersonWhoIsRemovedAtTheProviderLosesTheSocket(t *testing.T) {
	for name, socket := range map[string]struct {
		hold  func(*testing.T, *session.Session)
		every func(*session.Manager, *session.Session)
		run   bool
	}{
		"watched": {hold: func(_ *testing.T, s *session.Session) { context.AfterFunc(s.Ended(), func() {}) }, run: true},
		"derived": {hold: func(t *testing.T, s *session.Session) {
			_, cancel := context.WithCancel(s.Ended())
			t.Cleanup(cancel)
		}, run: true},
		"used": {every: func(m *session.Manager, s *session.Session) { m.Touch(s) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var removed atomic.Bool
				p := new(idp)
				p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
					if removed.Load() {
						return session.Renewal{}, session.ErrRefused
					}
					return renewed(r, t), nil
				}
				f := newFaulty()
				m := newManager(t, f, at(p))
				if socket.run {
					defer run(t, m)()
				}
				cookie, s := signIn(t, m, later("ann"))
				if socket.hold != nil {
					socket.hold(t, s)
				}
				pass := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
						if socket.every != nil {
							socket.every(m, s)
						}
					}
				}
				pass(2*time.Hour + time.Minute)
				if n := p.calls.Load(); isEnded(s.Ended()) || n < 22 || n > 24 {
					t.Fatalf("after two hours the provider was asked %d times; ended: %v", n, isEnded(s.Ended()))
				}
				removed.Store(true)
				pass(5*time.Minute + 5*time.Second)
				if !isEnded(s.Ended()) {
					t.Error("the socket is open")
				}
				if _, there := f.record(hashOf(cookie)); there {
					t.Error("the session is in the store")
				}
			})
		})
	}
}

func TestSessionThatNobodyUsesIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(idp)
		m := newManager(t, newFaulty(), at(p))
		defer run(t, m)()
		_, s := signIn(t, m, later("ann"))
		stop := context.AfterFunc(s.Ended(), func() {}) // a request that is over
		_, cancel := context.WithCancel(s.Ended())
		stop()
		cancel()
		time.Sleep(3 * time.Hour)
		if n := p.calls.Load(); n != 0 || isEnded(s.Ended()) {
			t.Errorf("the provider was asked %d times; ended: %v", n, isEnded(s.Ended()))
		}
		m.Touch(s)
		synctest.Wait()
		if n := p.calls.Load(); n != 1 {
			t.Errorf("when it was used again the provider was asked %d times", n)
		}
	})
}

func TestFewRenewalsBeginAtOnceWithoutRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, p := make(chan struct{}), new(idp)
		p.answer = func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			<-open
			return renewed(r, t), nil
		}
		m := newManager(t, newFaulty(), at(p))
		for i := range 100 {
			_, s := signIn(t, m, due(fmt.Sprint("p", i)))
			context.AfterFunc(s.Ended(), func() {})
		}
		for _, want := range []int64{16, 32, 48, 64, 80, 96, 100, 100} {
			m.Watch()
			synctest.Wait()
			if n := p.calls.Load(); n != want {
				t.Fatalf("%d renewals began, want %d", n, want)
			}
		}
		close(open)
	})
}

func TestEndUnlessEndsSocketsWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFaulty(), new(down)
		f.before = d.before
		m := newManager(t, f, nil)
		stop := run(t, m)
		var cookies []string
		var sockets []*session.Session
		for i := range 20 {
			cookie, s := signIn(t, m, person(fmt.Sprint("p", i)))
			cookies, sockets = append(cookies, cookie), append(sockets, s)
		}
		stays, staysSess := signIn(t, m, person("bob"))
		keep := func(r *session.Record) bool { return r.Username == "bob" }
		d.set.Store(true)
		err := m.EndUnless(t.Context(), keep)
		if wantErr(t, err, session.ErrUnavailable); !errors.Is(err, errDown) || len(err.Error()) > 1000 {
			t.Errorf("the error is %v", err)
		}
		for i, s := range sockets {
			if !isEnded(s.Ended()) {
				t.Fatalf("socket %d is open", i)
			}
			_, err := m.Get(t.Context(), cookies[i])
			wantErr(t, err, session.ErrUnavailable) // it is not believed without the store
		}
		_, err = m.Get(t.Context(), stays)
		must(t, err)

		d.set.Store(false)
		again, err := m.Get(t.Context(), cookies[0]) // the store still has it; keep is asked by the caller
		must(t, err)
		if again == sockets[0] || keep(again.Record()) {
			t.Error("the session that ended was revived")
		}
		time.Sleep(3 * time.Second)
		for _, c := range cookies {
			if _, there := f.record(hashOf(c)); there {
				t.Fatal("the store still has a session that ended")
			}
		}
		if !isEnded(again.Ended()) || isEnded(staysSess.Ended()) {
			t.Error("the wrong sockets were told")
		}
		ends := f.called("End")
		time.Sleep(time.Minute)
		if f.called("End") != ends {
			t.Error("what has ended is ended again and again")
		}
		must(t, stop())
	})
}
