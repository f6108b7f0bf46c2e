package session_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store"
)

// TestEndElsewhereIsHeard ends sessions in one process and watches the other
// one, through the real store.
func TestEndElsewhereIsHeard(t *testing.T) {
	noLeak(t)
	s := openSQLite(t)
	a, b := newManager(t, s, nil), newManager(t, s, nil)
	run(t, a)
	run(t, b)
	follow(t, s, b)
	for _, end := range []func(*session.Record) error{
		func(r *session.Record) error { _, err := a.End(t.Context(), session.Filter{ID: r.ID}); return err },
		func(r *session.Record) error { return a.SetDisabled(t.Context(), r.UserID, time.Now()) },
	} {
		cookie, _ := signIn(t, a, person("ann"))
		sess, err := b.Get(t.Context(), cookie)
		must(t, err)
		must(t, end(sess.Record()))
		select {
		case <-sess.Ended().Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the other process was not told")
		}
		_, err = b.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
		must(t, a.SetDisabled(t.Context(), sess.Record().UserID, time.Time{}))
	}
}

// follow lets a Manager follow a store until the test ends.
func follow(t *testing.T, s *store.Store, m *session.Manager) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx, store.Follower{Apply: m.Apply, Alive: m.Alive, Lost: m.Lost})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// TestChangedSessionIsNeverBelieved tells of a change while the store is down.
func TestChangedSessionIsNeverBelieved(t *testing.T) {
	f, d := newFaulty(), new(down)
	a, b := newManager(t, f, nil), newManager(t, f, nil)
	cookie, _ := signIn(t, a, person("ann"))
	sess, err := b.Get(t.Context(), cookie)
	must(t, err)
	other, _ := signIn(t, b, person("bob"))
	f.takeChanges()
	_, err = a.End(t.Context(), session.Filter{ID: sess.Record().ID})
	must(t, err)

	f.before = d.before
	d.set.Store(true)
	b.Apply(f.takeChanges())
	_, err = b.Get(t.Context(), cookie)
	wantErr(t, err, session.ErrUnavailable)
	_, err = b.Get(t.Context(), other)
	must(t, err)
	d.set.Store(false)
	run(t, b) // it tries again what could not be asked
	eventually(t, "sockets are told", func() bool { return isEnded(sess.Ended()) })
}

func TestChangesThatMeanNothingDoNothing(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	cookie, s := signIn(t, m, person("ann"))
	for _, key := range []string{"", "zz", strings.Repeat("ab", 31), strings.Repeat("ab", 33), strings.Repeat("ab", 1<<16)} {
		m.Apply([]session.Change{{Kind: session.ChangedSession, Key: key}, {Kind: session.ChangedUser, Key: key}, {Kind: "key", Key: key}})
	}
	m.Apply(nil)
	if got, err := m.Get(t.Context(), cookie); err != nil || got != s || f.called("Session") != 0 {
		t.Errorf("%v after %d look-ups", err, f.called("Session"))
	}
}

func TestRenewalElsewhereIsSeen(t *testing.T) {
	f := newFaulty()
	a, b := newManager(t, f, nil), newManager(t, f, nil)
	cookie, sa := signIn(t, a, person("ann"))
	sb, err := b.Get(t.Context(), cookie)
	must(t, err)
	r := *sa.Record()
	r.Groups = []string{"guests"}
	must(t, f.Renew(t.Context(), r))
	b.Apply(f.takeChanges())
	again, err := b.Get(t.Context(), cookie)
	must(t, err)
	if again != sb || len(sb.Record().Groups) != 1 || sb.Record().Groups[0] != "guests" || isEnded(sb.Ended()) {
		t.Errorf("groups are %v", sb.Record().Groups)
	}
}

// TestNothingIsBelievedAfterALoss loses track of the store, in which something
// ended meanwhile.
func TestNothingIsBelievedAfterALoss(t *testing.T) {
	noLeak(t)
	f := newFaulty()
	var lookups atomic.Int64
	f.before = func(_ context.Context, method string) error {
		if method == "Session" {
			lookups.Add(1)
		}
		return nil
	}
	m := newManager(t, f, nil)
	gone, goneSess := signIn(t, m, person("ann"))
	stays, staysSess := signIn(t, m, person("bob"))
	must(t, endDirectly(f, goneSess.Record().ID))
	m.Lost()
	_, err := m.Get(t.Context(), gone)
	wantErr(t, err, session.ErrNoSession)
	got, err := m.Get(t.Context(), stays)
	must(t, err)
	if got != staysSess || lookups.Load() != 2 {
		t.Errorf("%d look-ups", lookups.Load())
	}

	must(t, endDirectly(f, staysSess.Record().ID))
	m.Lost()
	run(t, m) // with nobody who asks
	eventually(t, "sockets are told", func() bool { return isEnded(staysSess.Ended()) })
}
