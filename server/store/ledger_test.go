package store

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDrawNeverGivesMoreThanTheLimit compares draws and returns of any size,
// under limits that change, with plain arithmetic.
func TestDrawNeverGivesMoreThanTheLimit(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		amounts := rapid.OneOf(rapid.Int64Range(-2, 40), rapid.SampledFrom([]int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 62}))
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			account := "key_" + string(rune('a'+round%26)) + time.Duration(round).String()
			spent := int64(0)
			for range rapid.IntRange(1, 8).Draw(rt, "steps") {
				amount := amounts.Draw(rt, "amount")
				if rapid.IntRange(0, 3).Draw(rt, "back") == 0 {
					must(t, s.Return(t.Context(), account, "ops", amount))
					spent = max(spent-max(amount, 0), 0)
				} else {
					limit := amounts.Draw(rt, "limit")
					got, left, err := s.Draw(t.Context(), account, "ops", limit, amount, time.Time{})
					must(t, err)
					room := max(limit, 0) - min(spent, max(limit, 0))
					want := min(max(amount, 0), room)
					if got != want || left != room-want {
						rt.Fatalf("limit %d, spent %d, want %d: got %d and %d left", limit, spent, amount, got, left)
					}
					spent += want
				}
				now, err := s.Spent(t.Context(), account, "ops")
				must(t, err)
				if now != spent {
					rt.Fatalf("spent %d, want %d", now, spent)
				}
			}
		})
	})
}

// TestFiftyDrawsOfTenGetTen in two processes: the last operation of a trial is
// spent once.
func TestFiftyDrawsOfTenGetTen(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		for want, limit := range map[int64]int64{1: 10, 3: 10, 7: 100} {
			period := time.Duration(limit + want).String()
			var sum, winners atomic.Int64
			together(50, func(i int) {
				got, left, err := stores[i%2].Draw(t.Context(), "key_1", period, limit, want, start)
				if err != nil || got < 0 || got > want || left < 0 || left > limit-got {
					t.Errorf("got %d, %d left, error %v", got, left, err)
				}
				sum.Add(got)
				if got > 0 {
					winners.Add(1)
				}
			})
			if n := (limit + want - 1) / want; sum.Load() != limit || winners.Load() != n {
				t.Errorf("50 draws of %d: %d got %d, want %d and %d", want, winners.Load(), sum.Load(), n, limit)
			}
		}
	})
}

// TestPeriodsAreApartAndSweptWhenOver.
func TestPeriodsAreApartAndSweptWhenOver(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for period, ends := range map[string]time.Time{"ops": {}, "ops 2026-02": start, "ops 2026-03": start.Add(time.Millisecond)} {
			for _, account := range []string{"key_1", "key_2"} {
				_, _, err := s.Draw(t.Context(), account, period, 10, 4, ends)
				must(t, err)
			}
		}
		_, err := s.Sweep(t.Context(), start, time.Time{}, 10)
		must(t, err)
		for period, want := range map[string]int64{"ops": 4, "ops 2026-02": 0, "ops 2026-03": 4} {
			spent, err := s.Spent(t.Context(), "key_1", period)
			must(t, err)
			wantSame(t, period, spent, want)
		}
		wantSame(t, "rows", count(t, s, "spending"), 4)
	})
}
