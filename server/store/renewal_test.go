package store

import (
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestRenew(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		next := r
		next.Claims = session.Claims{Username: "Ann", Groups: []string{"sales"}}
		next.Sealed, next.RenewAt = []byte("other"), start.Add(2*time.Hour)
		next.IP, next.ExpiresAt = "ignored", start.Add(time.Hour*999)
		must(t, s.Renew(t.Context(), next))

		want := r
		want.Claims, want.Sealed, want.RenewAt, want.Version = next.Claims, next.Sealed, next.RenewAt, 2
		got, err := s.Session(t.Context(), r.Hash)
		must(t, err)
		wantSame(t, "session", got, want)
		u, err := s.User(t.Context(), r.UserID)
		must(t, err)
		wantSame(t, "user's claims", u.Claims, next.Claims)

		next.Username = "too late"
		wantErr(t, "the old version again", s.Renew(t.Context(), next), session.ErrConflict)
		u, err = s.User(t.Context(), r.UserID)
		must(t, err)
		wantSame(t, "user's name after a conflict", u.Username, "Ann")

		_, err = s.End(t.Context(), session.Filter{ID: r.ID})
		must(t, err)
		wantErr(t, "an ended session", s.Renew(t.Context(), got), session.ErrNoSession)
		wantSame(t, "an ended session", there(t, s, r), []bool{false})
	})
}

func TestRacingRenewsOfOneVersion(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		r := signIn(t, s, newRecord("ann", start))
		var won, conflicts atomic.Int32
		together(2, func(i int) {
			switch err := stores[i].Renew(t.Context(), r); err {
			case nil:
				won.Add(1)
			case session.ErrConflict:
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || conflicts.Load() != 1 {
			t.Errorf("%d won, %d conflicts, want one of each", won.Load(), conflicts.Load())
		}
	})
}

func TestClaimRenewal(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		claim := func(version int64, now time.Time) bool {
			t.Helper()
			got, won, err := s.ClaimRenewal(t.Context(), r.Hash, version, now, now.Add(30*time.Second))
			must(t, err)
			wantSame(t, "present record", got, r)
			return won
		}
		for _, step := range []struct {
			name    string
			version int64
			after   time.Duration
			want    bool
		}{
			{"another version", 2, 0, false},
			{"first", 1, 0, true},
			{"while the claim runs", 1, 29 * time.Second, false},
			{"after it ended", 1, 30 * time.Second, true},
			{"while the second runs", 1, 31 * time.Second, false},
		} {
			if got := claim(step.version, start.Add(step.after)); got != step.want {
				t.Errorf("%s: won is %v", step.name, got)
			}
		}
		must(t, s.Renew(t.Context(), r))
		r.Version = 2
		if claim(1, start.Add(32*time.Second)) {
			t.Error("won a version that was renewed")
		}
		if !claim(2, start.Add(32*time.Second)) {
			t.Error("the renewal did not end the claim")
		}
		_, _, err := s.ClaimRenewal(t.Context(), newHash(), 1, start, start)
		wantErr(t, "unknown session", err, session.ErrNoSession)
	})
}

func TestRacingClaims(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		r := signIn(t, s, newRecord("ann", start))
		var won atomic.Int32
		together(50, func(i int) {
			_, ok, err := stores[i%2].ClaimRenewal(t.Context(), r.Hash, 1, start, start.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d won, want 1", won.Load())
		}
	})
}
