package store

import (
	"fmt"
	"testing"
	"time"

	"wavegate/server/store/storetest"
	"wavegate/server/usage"
	"wavegate/server/webhook"
)

// BenchmarkAddUsage adds 1,000 buckets of a minute at once, as the recorder does.
func BenchmarkAddUsage(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{URL: url(b)})
			all := make([]usage.Bucket, 1000)
			for n := 0; b.Loop(); n++ {
				for i := range all {
					all[i] = bucket(n%1440, fmt.Sprint("key_0123456789abcdefghijklmnop", i), "sub:usr_0123456789abcdefghijklmnop", "streams", 1)
				}
				must(b, s.AddUsage(b.Context(), all))
			}
		})
	}
}

// BenchmarkManyWaitingDeliveries has 100,000 deliveries wait for 100 webhooks,
// nine of ten for the same: it claims and finishes one, asks when the next is due,
// and removes that webhook.
func BenchmarkManyWaitingDeliveries(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{URL: url(b)})
			var e webhook.Endpoint
			for i := range 100 {
				e = addEndpoint(b, s, newEndpoint(fmt.Sprint("owner", i), start))
			}
			run(b, s, "INSERT INTO events (id, type, owner, at, payload) VALUES ('evt_1', 'x', '', ?, ?)", start.UnixMilli(), []byte("{}"))
			for part := range 10 {
				run(b, s, fmt.Sprintf(`INSERT INTO deliveries (id, endpoint_id, event_id, state, attempts, created_at, next_at, due_at, last_at, last_status, last_error, last_body)
					WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
					SELECT 'dlv_%[1]d.' || i || w.id, CASE %[1]d WHEN 0 THEN w.id ELSE '%s' END, 'evt_1', 'pending', 0,
						w.created_at, w.created_at, w.created_at, 0, 0, '', '' FROM n, webhooks w`, part, e.ID))
			}
			at := start
			b.Run("claim", func(b *testing.B) {
				for b.Loop() {
					at = at.Add(time.Millisecond)
					all, err := s.ClaimDeliveries(b.Context(), at, at.Add(minute), 1, 1)
					must(b, err)
					must(b, s.FinishDelivery(b.Context(), webhook.Result{ID: all[0].ID, At: at, State: webhook.Delivered}))
				}
			})
			b.Run("next", func(b *testing.B) {
				for b.Loop() {
					_, err := s.NextDelivery(b.Context())
					must(b, err)
				}
			})
			b.Run("remove", func(b *testing.B) {
				n := count(b, s, "deliveries WHERE endpoint_id = ?", e.ID)
				began := time.Now()
				must(b, s.RemoveEndpoint(b.Context(), e.ID, Journal{}))
				took := time.Since(began)
				for b.Loop() { // a second time there is nothing to do
					wantErr(b, "again", s.RemoveEndpoint(b.Context(), e.ID, Journal{}), webhook.ErrNotFound)
				}
				b.ReportMetric(float64(took.Milliseconds())*100_000/float64(n), "ms/100k")
			})
		})
	}
}
