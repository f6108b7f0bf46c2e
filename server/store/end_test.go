package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"wavegate/server/session"
)

// fill stores n sessions of one user at once.
func fill(t testing.TB, s *Store, n int, change func(i int, r *session.Record)) []session.Record {
	t.Helper()
	first := signIn(t, s, newRecord("many", start))
	all := make([]session.Record, n)
	for i := range all {
		all[i] = newRecord("many", start)
		all[i].UserID = first.UserID
		change(i, &all[i])
	}
	for some := range slices.Chunk(all, 500) {
		must(t, s.write(t.Context(), "fill", func(ctx context.Context, c conn) error {
			for _, r := range some {
				if err := addSession(ctx, c, r); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	_, err := s.End(t.Context(), session.Filter{ID: first.ID})
	must(t, err)
	run(t, s, "DELETE FROM changes")
	return all
}

func same(int, *session.Record) {}

// changes reads the whole change table.
func changes(t testing.TB, s *Store) []session.Change {
	t.Helper()
	var all []session.Change
	after := int64(0)
	for {
		some, _, err := s.entries(t.Context(), after)
		must(t, err)
		if len(some) == 0 {
			return all
		}
		for _, e := range some {
			all = append(all, e.Change)
		}
		after = some[len(some)-1].id
	}
}

func TestEndTellsOfEachSession(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		n, err := s.End(t.Context(), session.Filter{ID: r.ID})
		if n != 1 || err != nil {
			t.Fatalf("End: %d, %v", n, err)
		}
		wantSame(t, "changes", changes(t, s), []session.Change{{Kind: session.ChangedSession, Key: hex.EncodeToString(r.Hash[:])}})
		n, err = s.End(t.Context(), session.Filter{ID: r.ID})
		if n != 0 || err != nil {
			t.Fatalf("End again: %d, %v", n, err)
		}
		if got := changes(t, s); len(got) != 1 {
			t.Errorf("%d changes after ending nothing, want 1", len(got))
		}
	})
}

func TestEndOfThousands(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		const n = 3*batch + 7
		all := fill(t, s, n, same)
		got, err := s.End(t.Context(), session.Filter{All: true, NotID: all[batch].ID})
		if got != n-1 || err != nil {
			t.Fatalf("End: %d, %v, want %d", got, err, n-1)
		}
		told := map[string]bool{}
		for _, c := range changes(t, s) {
			told[c.Key] = true
		}
		if len(told) != n-1 || told[hex.EncodeToString(all[batch].Hash[:])] {
			t.Errorf("%d sessions were told of, want %d", len(told), n-1)
		}
		wantSame(t, "the spared one", there(t, s, all[batch], all[0]), []bool{true, false})
	})
}

func TestSetDisabled(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		all := fill(t, s, batch+1, same)
		other := signIn(t, s, newRecord("bob", start))
		id := all[0].UserID
		must(t, s.SetDisabled(t.Context(), id, start.Add(time.Hour)))
		wantSame(t, "sessions", there(t, s, all[0], all[batch], other), []bool{false, false, true})
		wantSame(t, "changes", changes(t, s), []session.Change{{Kind: session.ChangedUser, Key: id}})
		u, err := s.User(t.Context(), id)
		must(t, err)
		wantSame(t, "DisabledAt", u.DisabledAt, start.Add(time.Hour))
		must(t, s.SetDisabled(t.Context(), id, time.Time{}))
		wantSame(t, "changes, enabling too", len(changes(t, s)), 2)
		u, err = s.User(t.Context(), id)
		must(t, err)
		wantSame(t, "DisabledAt", u.DisabledAt, time.Time{})
		wantErr(t, "nobody", s.SetDisabled(t.Context(), "usr_none", start), session.ErrNoUser)
	})
}

// TestDisabledUsersSessionOpensNothing plants what SetDisabled would never
// leave behind, as a restored backup might.
func TestDisabledUsersSessionOpensNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		run(t, s, "UPDATE users SET disabled_at = 1")
		wantSame(t, "session", there(t, s, r), []bool{false})
		_, _, err := s.ClaimRenewal(t.Context(), r.Hash, 1, start, start)
		wantErr(t, "claim", err, session.ErrNoSession)
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		now := start.Add(10 * time.Hour)
		idle := now.Add(-30 * time.Minute)
		set := func(expires, seen time.Time) session.Record {
			r := newRecord("ann", start)
			r.ExpiresAt, r.SeenAt = expires, seen
			return signIn(t, s, r)
		}
		ms := time.Millisecond
		expired, lives := set(now, now), set(now.Add(ms), now)
		idled, used := set(now.Add(time.Hour), idle), set(now.Add(time.Hour), idle.Add(ms))
		n, err := s.Sweep(t.Context(), now, idle, 100)
		if n != 2 || err != nil {
			t.Fatalf("Sweep: %d, %v, want 2", n, err)
		}
		wantSame(t, "sessions", there(t, s, expired, lives, idled, used), []bool{false, true, false, true})
		if got := changes(t, s); len(got) != 0 {
			t.Errorf("the sweep told of %v", got)
		}
		n, err = s.Sweep(t.Context(), now, time.Time{}, 100)
		if n != 0 || err != nil {
			t.Fatalf("Sweep without idle: %d, %v", n, err)
		}
	})
}

func TestSweepStopsAtLimit(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		const n = 2*batch + 30
		fill(t, s, n, func(i int, r *session.Record) {
			if i%2 == 0 {
				r.ExpiresAt = start
			} else {
				r.SeenAt = start.Add(-time.Hour)
			}
		})
		total := 0
		for _, want := range []int{10, batch + 10, n - batch - 20, 0} {
			got, err := s.Sweep(t.Context(), start, start.Add(-time.Minute), max(want, 1))
			if got != want || err != nil {
				t.Fatalf("Sweep: %d, %v, want %d", got, err, want)
			}
			total += got
			if left := count(t, s, "sessions"); left != n-total {
				t.Fatalf("%d sessions left, want %d", left, n-total)
			}
		}

		fill(t, s, n, func(_ int, r *session.Record) { r.ExpiresAt = start })
		stores := []*Store{s, open(t, Config{URL: url})}
		sum := make([]int, 2)
		together(2, func(i int) {
			var err error
			if sum[i], err = stores[i].Sweep(t.Context(), start, time.Time{}, n); err != nil {
				t.Error(err)
			}
		})
		if left := count(t, s, "sessions"); sum[0]+sum[1]+left != n {
			t.Errorf("two at once swept %d and %d, and left %d of %d", sum[0], sum[1], left, n)
		}
	})
}

// TestSweepTidies looks at what a sweep leaves in the other tables.
func TestSweepTidies(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for i := range 3 {
			_, err := s.SignIn(t.Context(), newRecord("ann", start), newHash(), start.Add(time.Duration(i)*time.Minute))
			must(t, err)
		}
		_, err := s.End(t.Context(), session.Filter{All: true})
		must(t, err)
		age := func(table string, n int, by time.Duration) {
			got := run(t, s, fmt.Sprintf("UPDATE %[1]s SET at = at - ? WHERE id IN (SELECT id FROM %[1]s ORDER BY id LIMIT ?)", table), by.Milliseconds(), n)
			wantSame(t, "aged rows of "+table, got, n)
		}
		age("changes", 1, keep+time.Second)
		age("ended_sessions", 2, keep+time.Second)
		// The caller's clock is far ahead: only attempts go by it.
		_, err = s.Sweep(t.Context(), start.Add(time.Minute), time.Time{}, 100)
		must(t, err)
		for table, want := range map[string]int{"login_attempts": 1, "changes": 2, "ended_sessions": 1} {
			wantSame(t, table, count(t, s, table), want)
		}
	})
}
