package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"wavegate/server/webhook"
)

// soonest is, of each webhook in use that something waits for, when the first of
// it is due. It goes from webhook to webhook through the index of what is due,
// however many deliveries wait for one of them.
const soonest = `WITH RECURSIVE next (id) AS (
		SELECT (SELECT min(endpoint_id) FROM deliveries WHERE state = 'pending')
		UNION ALL
		SELECT (SELECT min(d.endpoint_id) FROM deliveries d WHERE d.state = 'pending' AND d.endpoint_id > next.id)
		FROM next WHERE next.id IS NOT NULL
	), now_due (id, at) AS (
		SELECT w.id, (SELECT min(d.due_at) FROM deliveries d WHERE d.state = 'pending' AND d.endpoint_id = w.id)
		FROM next JOIN webhooks w ON w.id = next.id WHERE w.disabled_at = 0
	) `

// NextDelivery implements webhook.Store.
func (s *Store) NextDelivery(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := s.read(ctx, "look for deliveries", func(ctx context.Context, c conn) error {
		return c.row(ctx, soonest+"SELECT min(at) FROM now_due").Scan(&at)
	})
	return timeOf(at.Int64), err
}

// ClaimDeliveries implements webhook.Store. It returns no more than 100. The
// webhooks that have waited longest come first, and of each what has waited
// longest. A claim is a time until which a delivery is due to nobody.
func (s *Store) ClaimDeliveries(ctx context.Context, now, until time.Time, limit, perEndpoint int) ([]webhook.Due, error) {
	limit = min(limit, rowsAtOnce)
	if limit <= 0 || perEndpoint <= 0 {
		return nil, nil
	}
	var waiting []any
	err := s.read(ctx, "look for deliveries", func(ctx context.Context, c conn) (err error) {
		waiting, err = list(ctx, c, scanID, soonest+"SELECT id FROM now_due WHERE at <= ? ORDER BY at LIMIT ?", millis(now), limit)
		return err
	})
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	var all []webhook.Due
	err = s.write(ctx, "claim deliveries", func(ctx context.Context, c conn) (err error) {
		all, err = claim(ctx, c, waiting, now, until, limit, perEndpoint)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// claim takes what is due to some webhooks and what no other process is just
// taking.
func claim(ctx context.Context, c conn, endpoints []any, now, until time.Time, limit, perEndpoint int) ([]webhook.Due, error) {
	var taken []any
	for _, id := range endpoints {
		ids, err := list(ctx, c, scanID, `SELECT id FROM deliveries WHERE state = 'pending' AND endpoint_id = ? AND due_at <= ?
			AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = deliveries.endpoint_id AND w.disabled_at = 0)
			ORDER BY due_at, id LIMIT ?`+c.skipLocked, id, millis(now), min(perEndpoint, limit-len(taken)))
		if err != nil {
			return nil, err
		}
		if taken = append(taken, ids...); len(taken) == limit {
			break
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	in := " IN (?" + strings.Repeat(", ?", len(taken)-1) + ")"
	if _, err := c.exec(ctx, "UPDATE deliveries SET due_at = ? WHERE id"+in, slices.Concat([]any{millis(until)}, taken)...); err != nil {
		return nil, err
	}
	return list(ctx, c, scanDue, "SELECT "+deliveryColumns+", "+endpointColumns+` FROM deliveries d
		JOIN events v ON v.id = d.event_id JOIN webhooks w ON w.id = d.endpoint_id WHERE d.id`+in+" ORDER BY d.next_at, d.id", taken...)
}

func scanDue(row scanner) (webhook.Due, error) {
	var d deliveryRow
	var e endpointRow
	if err := row.Scan(slices.Concat(d.dest(), e.dest())...); err != nil {
		return webhook.Due{}, err
	}
	endpoint, err := e.endpoint()
	return webhook.Due{Delivery: d.delivery(), Endpoint: endpoint}, err
}
