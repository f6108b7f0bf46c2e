package session_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestEndedSessionLetsNobodyIn(t *testing.T) {
	for name, choose := range map[string]func(*session.Record) session.Filter{
		"id":      func(r *session.Record) session.Filter { return session.Filter{ID: r.ID} },
		"user":    func(r *session.Record) session.Filter { return session.Filter{UserID: r.UserID} },
		"subject": func(r *session.Record) session.Filter { return session.Filter{Issuer: r.Issuer, Subject: r.Subject} },
		"sid":     func(r *session.Record) session.Filter { return session.Filter{Issuer: r.Issuer, SID: r.SID} },
		"others":  func(*session.Record) session.Filter { return session.Filter{All: true} },
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, s session.Store) {
				m := newManager(t, s, nil)
				cookie, sess := signIn(t, m, person("ann"))
				other, otherSess := signIn(t, m, person("bob"))
				f := choose(sess.Record())
				if f.All {
					f.NotID = otherSess.Record().ID
				}
				n, err := m.End(t.Context(), f)
				if n != 1 || err != nil {
					t.Fatalf("ended %d, %v", n, err)
				}
				if !isEnded(sess.Ended()) || isEnded(otherSess.Ended()) {
					t.Error("the wrong sockets were told")
				}
				_, err = m.Get(t.Context(), cookie)
				wantErr(t, err, session.ErrNoSession)
				_, err = m.ByID(t.Context(), sess.Record().ID)
				wantErr(t, err, session.ErrNoSession)
				_, err = m.Fresh(t.Context(), sess)
				wantErr(t, err, session.ErrNoSession)
				_, err = m.Get(t.Context(), other)
				must(t, err)
			})
		})
	}
}

func TestFilterThatSaysNothingEndsNobody(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		cookie, sess := signIn(t, m, person("ann"))
		r := sess.Record()
		for _, f := range []session.Filter{{}, {NotID: "ses_other"}, {Issuer: r.Issuer}, {Subject: r.Subject}, {SID: r.SID}} {
			if n, err := m.End(t.Context(), f); n != 0 || err != nil {
				t.Errorf("%+v ended %d, %v", f, n, err)
			}
			if isEnded(sess.Ended()) {
				t.Fatalf("%+v told the sockets of a session that goes on", f)
			}
			_, err := m.Get(t.Context(), cookie)
			must(t, err)
		}
	})
}

// TestEndWhileItIsLookedUpLetsNobodyIn ends a session between the moment when
// the store was read and the moment when the answer arrives.
func TestEndWhileItIsLookedUpLetsNobodyIn(t *testing.T) {
	for _, by := range []string{"end", "disable", "change", "change of the user"} {
		t.Run(by, func(t *testing.T) {
			f := newFaulty()
			cookie, sess := signIn(t, newManager(t, f, nil), person("ann"))
			m := newManager(t, f, nil)
			var once sync.Once
			f.read = func(method string) {
				if method == "Session" {
					once.Do(func() { endBy(t, by, f, m, sess.Record()) })
				}
			}
			_, err := m.Get(t.Context(), cookie)
			wantErr(t, err, session.ErrNoSession)
			_, err = m.Get(t.Context(), cookie)
			wantErr(t, err, session.ErrNoSession)
		})
	}
}

// endBy ends a session in one of the ways in which its end can be heard of.
func endBy(t *testing.T, by string, f *faulty, m *session.Manager, r *session.Record) {
	other := newManager(t, f, nil)
	var err error
	switch by {
	case "end":
		_, err = m.End(t.Context(), session.Filter{ID: r.ID})
	case "disable":
		err = m.SetDisabled(t.Context(), r.UserID, time.Now())
	case "change":
		_, err = other.End(t.Context(), session.Filter{ID: r.ID})
		m.Apply(f.takeChanges())
	case "change of the user":
		err = other.SetDisabled(t.Context(), r.UserID, time.Now())
		m.Apply(f.takeChanges())
	}
	if err != nil {
		t.Error(err)
	}
}

// TestEndWhileSomebodySignsInLetsNobodyIn is the same for a session that begins.
func TestEndWhileSomebodySignsInLetsNobodyIn(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	f.read = func(method string) {
		if method == "SignIn" {
			if _, err := m.End(context.Background(), session.Filter{All: true}); err != nil {
				t.Error(err)
			}
		}
	}
	_, s, err := m.SignIn(t.Context(), person("ann"))
	wantErr(t, err, session.ErrNoSession)
	if s != nil {
		t.Error("a session that was ended while it began is there")
	}
}

// TestRacingEndsLeaveNothing signs in, uses and ends sessions of one user at
// once. What is alive after the last end is wrong.
func TestRacingEndsLeaveNothing(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		_, first := signIn(t, m, person("ann"))
		user := session.Filter{UserID: first.Record().UserID}
		var mu sync.Mutex // guards the rest
		var cookies []string
		var alive []*session.Session
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if i%4 == 3 {
					_, _ = m.End(context.Background(), user)
					return
				}
				cookie, s, err := m.SignIn(context.Background(), person("ann"))
				if err != nil {
					return
				}
				_, _ = m.Get(context.Background(), cookie)
				mu.Lock()
				defer mu.Unlock()
				cookies, alive = append(cookies, cookie), append(alive, s)
			})
		}
		wg.Wait()
		_, err := m.End(t.Context(), user)
		must(t, err)
		for i, c := range cookies {
			_, err := m.Get(t.Context(), c)
			wantErr(t, err, session.ErrNoSession)
			if !isEnded(alive[i].Ended()) {
				t.Fatal("a session ended and its sockets were not told")
			}
		}
	})
}

func TestEndThatFailsHalfwayIsNotBelieved(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	cookie, s := signIn(t, m, person("ann"))
	var fail atomic.Bool
	f.before = func(_ context.Context, method string) error {
		if fail.Load() && method == "End" {
			fail.Store(false)
			must(t, endDirectly(f, s.Record().ID)) // it was committed, and the answer was lost
			return errDown
		}
		return nil
	}
	fail.Store(true)
	_, err := m.End(t.Context(), session.Filter{ID: s.Record().ID})
	wantErr(t, err, session.ErrUnavailable)
	_, err = m.Get(t.Context(), cookie)
	wantErr(t, err, session.ErrNoSession)
	eventually(t, "sockets are told", func() bool { return isEnded(s.Ended()) })
}

func endDirectly(f *faulty, id string) error {
	_, err := f.End(context.Background(), session.Filter{ID: id})
	return err
}

func TestListsShowTheLastUse(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		var ahead atomic.Int64
		m := newManager(t, s, func(c *session.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		cookie, sess := signIn(t, m, person("ann"))
		ahead.Store(int64(time.Minute))
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		list, err := m.Sessions(t.Context(), session.Filter{UserID: sess.Record().UserID}, "", 10)
		must(t, err)
		if len(list) != 1 || list[0].SeenAt.Sub(list[0].CreatedAt) < 59*time.Second {
			t.Errorf("list %+v", list)
		}
		users, err := m.Users(t.Context(), "", 10)
		must(t, err)
		u, err := m.User(t.Context(), sess.Record().UserID)
		must(t, err)
		if len(users) != 1 || users[0].ID != u.ID || u.Subject != "sub-ann" {
			t.Errorf("users %+v", users)
		}
	})
}

func TestEndUnlessEndsWhomNobodyVouchesFor(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		gone, goneSess := signIn(t, m, person("ann"))
		stays, staysSess := signIn(t, m, person("bob"))
		must(t, m.EndUnless(t.Context(), func(r *session.Record) bool { return r.Username == "bob" }))
		if !isEnded(goneSess.Ended()) || isEnded(staysSess.Ended()) {
			t.Error("the wrong sockets were told")
		}
		_, err := m.Get(t.Context(), gone)
		wantErr(t, err, session.ErrNoSession)
		_, err = m.Get(t.Context(), stays)
		must(t, err)
	})
}
