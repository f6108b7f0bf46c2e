package store

import (
	"slices"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// TestLatency measures how long an ended session lives on in another store: 50
// sessions, one after the other. It runs alone, for it is about time.
func TestLatency(t *testing.T) {
	tests := []struct {
		name         string
		url          func(testing.TB) string
		poll         time.Duration
		noNotify     bool
		median, most time.Duration
	}{
		{"NOTIFY", storetest.Postgres, time.Second, false, 100 * time.Millisecond, time.Second},
		{"PostgreSQL by asking", storetest.Postgres, 100 * time.Millisecond, true, 300 * time.Millisecond, time.Second},
		{"SQLite by asking", storetest.SQLite, 100 * time.Millisecond, false, 300 * time.Millisecond, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{URL: tt.url(t), Poll: tt.poll, NoNotify: tt.noNotify}
			a, b := open(t, cfg), open(t, cfg)
			l, _ := follow(t, b)
			l.lived(t)
			if tt.name == "NOTIFY" {
				until(t, "LISTEN", func() bool {
					return count(t, a, "pg_stat_activity WHERE query = 'LISTEN "+channel+"' AND datname = current_database()") > 0
				})
			}
			var took []time.Duration
			for range 50 {
				r := signIn(t, a, newRecord("ann", start))
				_, err := a.End(t.Context(), session.Filter{ID: r.ID})
				must(t, err)
				ended := time.Now()
				l.until(t, "heard of it", func() bool { return l.heard(ofSession(r)) == 1 })
				took = append(took, l.when[len(l.when)-1].Sub(ended))
			}
			slices.Sort(took)
			median, most := took[len(took)/2], took[len(took)-1]
			t.Logf("median %v, most %v", median, most)
			if median >= tt.median || most >= tt.most {
				t.Errorf("median %v, most %v, want less than %v and %v", median, most, tt.median, tt.most)
			}
		})
	}
}

// until asks again and again whether something is so.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if !wait(t.Context(), 5*time.Millisecond) || time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
