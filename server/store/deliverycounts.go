package store

import (
	"context"

	"wavegate/server/webhook"
)

// DeliveryCounts returns how many deliveries wait, counted up to most, and how many
// are dead of the last most that ended. Its cost is bounded by most, whatever
// the tables hold: it walks along an index and stops.
func (s *Store) DeliveryCounts(ctx context.Context, most int) (waiting, dead int, err error) {
	err = s.read(ctx, "count deliveries", func(ctx context.Context, c conn) error {
		err := c.row(ctx, "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'pending' AND endpoint_id > '' LIMIT ?) n", most).Scan(&waiting)
		if err != nil {
			return err
		}
		return c.row(ctx, "SELECT count(*) FROM (SELECT state FROM deliveries WHERE state <> 'pending' AND last_at > 0 ORDER BY last_at DESC, id DESC LIMIT ?) n WHERE state = ?",
			most, string(webhook.Dead)).Scan(&dead)
	})
	return waiting, dead, err
}
