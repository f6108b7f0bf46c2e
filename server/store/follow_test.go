package store

import (
	"context"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// patience is how long a test waits for what must come soon.
const patience = 20 * time.Second

// A listener follows a store and keeps what it hears.
type listener struct {
	mu      sync.Mutex // guards the rest
	changes []session.Change
	when    []time.Time
	alive   time.Time
	alives  int
	losts   int
	news    chan struct{} // holds one when something came
}

// follow follows a store until the test or stop ends it.
func follow(t testing.TB, s *Store) (l *listener, stop func()) {
	t.Helper()
	l = &listener{news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { s.Follow(ctx, Follower{Apply: l.apply, Alive: l.live, Lost: l.lose}) })
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	return l, stop
}

func (l *listener) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *listener) apply(changes []session.Change) {
	l.note(func() {
		l.changes = append(l.changes, changes...)
		for range changes {
			l.when = append(l.when, time.Now())
		}
	})
}

func (l *listener) live(at time.Time) {
	l.note(func() {
		l.alive = at
		l.alives++
	})
}

func (l *listener) lose() { l.note(func() { l.losts++ }) }

// until waits for a condition, which is asked under the lock.
func (l *listener) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		met := ok()
		l.mu.Unlock()
		if met {
			return
		}
		select {
		case <-l.news:
		case <-deadline:
			t.Fatalf("%s: not within %v; heard %v", what, patience, l.changes)
		}
	}
}

// lived waits until everything that is committed now was applied.
func (l *listener) lived(t testing.TB) {
	t.Helper()
	now := time.Now()
	l.until(t, "alive", func() bool { return l.alive.After(now) })
}

// heard is how often a change was heard of.
func (l *listener) heard(c session.Change) (n int) {
	for _, have := range l.changes {
		if have == c {
			n++
		}
	}
	return n
}

func ofSession(r session.Record) session.Change {
	return session.Change{Kind: session.ChangedSession, Key: hex.EncodeToString(r.Hash[:])}
}

// TestFollow has two stores on one database: what one does the other hears.
func TestFollow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		for _, quiet := range []bool{false, true} {
			cfg := Config{URL: url, Poll: 5 * time.Millisecond, NoNotify: quiet}
			a, b := open(t, cfg), open(t, cfg)
			own, stopOwn := follow(t, a)
			other, stopOther := follow(t, b)
			own.lived(t)
			other.lived(t)
			ended, renewed, disabled := signIn(t, a, newRecord("ann", start)), signIn(t, a, newRecord("bob", start)), signIn(t, a, newRecord("eve", start))
			_, err := a.End(t.Context(), session.Filter{ID: ended.ID})
			must(t, err)
			must(t, a.Renew(t.Context(), renewed))
			must(t, a.SetDisabled(t.Context(), disabled.UserID, start))
			want := []session.Change{ofSession(ended), ofSession(renewed), {Kind: session.ChangedUser, Key: disabled.UserID}}
			for _, l := range []*listener{own, other} {
				l.lived(t)
				l.lived(t)
				if quiet { // the rows of the first round are younger than settled
					l.changes = l.changes[4:]
				}
				wantSame(t, "heard, in order and once", l.changes, want)
				if l.losts != 0 {
					t.Errorf("Lost was called %d times", l.losts)
				}
			}
			must(t, a.SetDisabled(t.Context(), disabled.UserID, time.Time{}))
			stopOwn()
			stopOther()
		}
	})
}

// TestFollowManyPages hears of more changes than are read at once.
func TestFollowManyPages(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		fill(t, s, 2*page+10, same)
		s.poll = 5 * time.Millisecond
		l, _ := follow(t, s)
		l.lived(t)
		_, err := s.End(t.Context(), session.Filter{All: true})
		must(t, err)
		l.lived(t)
		once := map[session.Change]int{}
		for _, c := range l.changes {
			once[c]++
		}
		if len(once) != 2*page+10 || len(l.changes) != len(once) {
			t.Errorf("heard of %d changes, %d different, want %d once", len(l.changes), len(once), 2*page+10)
		}
	})
}

// TestLateCommitIsNotMissed holds a transaction open, whose ID comes first,
// while later ones commit and are heard of. PostgreSQL alone: SQLite lets one
// writer in at a time.
func TestLateCommitIsNotMissed(t *testing.T) {
	cfg := Config{URL: storetest.Postgres(t), Poll: 5 * time.Millisecond}
	s := open(t, cfg)
	l, _ := follow(t, open(t, cfg))
	late, undone := session.Change{Kind: "test", Key: "late"}, session.Change{Kind: "test", Key: "undone"}
	slow, err := s.writes.Begin()
	must(t, err)
	defer slow.Rollback()
	must(t, s.conn(slow).changed(t.Context(), late))
	failing, err := s.writes.Begin()
	must(t, err)
	must(t, s.conn(failing).changed(t.Context(), undone))
	must(t, failing.Rollback())

	r := signIn(t, s, newRecord("ann", start))
	_, err = s.End(t.Context(), session.Filter{ID: r.ID})
	must(t, err)
	l.until(t, "the later one", func() bool { return l.heard(ofSession(r)) == 1 })
	l.lived(t)
	if l.heard(late) != 0 {
		t.Fatal("heard of what is not committed")
	}
	must(t, slow.Commit())
	l.until(t, "the late one", func() bool { return l.heard(late) == 1 })
	l.lived(t)
	if l.heard(late) != 1 || l.heard(undone) != 0 || l.heard(ofSession(r)) != 1 {
		t.Errorf("heard %v, want each committed change once", l.changes)
	}
}

// TestFollowBeginsBeforeItsStart: a change that was under way when Follow began
// is heard of.
func TestFollowBeginsBeforeItsStart(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		old, young := signIn(t, s, newRecord("ann", start)), signIn(t, s, newRecord("bob", start))
		_, err := s.End(t.Context(), session.Filter{ID: old.ID})
		must(t, err)
		run(t, s, "UPDATE changes SET at = at - ?", 2*settled.Milliseconds())
		_, err = s.End(t.Context(), session.Filter{ID: young.ID})
		must(t, err)
		l, _ := follow(t, s)
		l.until(t, "alive", func() bool { return l.alives > 0 })
		wantSame(t, "heard", l.changes, []session.Change{ofSession(young)})
	})
}

// TestLost looks again after longer than the table keeps changes, by the
// database's clock.
func TestLost(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		losts, alives := 0, 0
		var heard []session.Change
		p := &pursuit{store: s, began: time.Now(), Follower: Follower{
			Apply: func(c []session.Change) { heard = append(heard, c...) },
			Alive: func(time.Time) { alives++ },
			Lost:  func() { losts++ },
		}}
		must(t, p.look(t.Context()))
		for _, tt := range []struct {
			name  string
			away  time.Duration
			losts int
		}{
			{"a while", keep - settled - time.Minute, 0},
			{"too long", keep - settled, 1},
			{"at once after that", 0, 0},
		} {
			losts, alives, heard = 0, 0, nil
			p.at = p.at.Add(-tt.away)
			r := signIn(t, s, newRecord("ann", start))
			_, err := s.End(t.Context(), session.Filter{ID: r.ID})
			must(t, err)
			must(t, p.look(t.Context()))
			if losts != tt.losts || alives != 1 || heard[len(heard)-1] != ofSession(r) {
				t.Errorf("away for %s: Lost %d times, want %d; Alive %d times, want 1; heard %v", tt.name, losts, tt.losts, alives, heard)
			}
		}
		p = &pursuit{store: s, began: time.Now().Add(-keep), Follower: Follower{Lost: func() { losts++ }}}
		losts = 0
		must(t, p.look(t.Context()))
		if losts != 1 {
			t.Errorf("first look after %v: Lost %d times, want 1", keep, losts)
		}
	})
}
