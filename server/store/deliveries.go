package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"wavegate/server/webhook"
)

// deliveryColumns are in the order in which scanDelivery reads them.
const deliveryColumns = "d.id, d.endpoint_id, d.event_id, v.type, v.payload, d.state, d.attempts, d.created_at, d.next_at, " +
	"d.last_at, d.last_status, d.last_error, d.last_body"

// A deliveryRow is where a row of deliveries, with its event, is read into.
type deliveryRow struct {
	webhook.Delivery
	created, next, last int64
}

func (r *deliveryRow) dest() []any {
	return []any{
		&r.ID, &r.EndpointID, &r.EventID, &r.EventType, &r.Payload, &r.State, &r.Attempts, &r.created, &r.next,
		&r.last, &r.LastStatus, &r.LastError, &r.LastBody,
	}
}

func (r *deliveryRow) delivery() webhook.Delivery {
	r.CreatedAt, r.NextAt, r.LastAt = timeOf(r.created), timeOf(r.next), timeOf(r.last)
	return r.Delivery
}

func scanDelivery(row scanner) (webhook.Delivery, error) {
	var r deliveryRow
	if err := row.Scan(r.dest()...); err != nil {
		return webhook.Delivery{}, err
	}
	return r.delivery(), nil
}

// AddDelivery adds a delivery to one endpoint: a test event, or a redelivery. It
// is pending whatever d says. The event is written down where it is not there.
// Error: webhook.ErrNotFound.
func (s *Store) AddDelivery(ctx context.Context, d webhook.Delivery, j Journal) error {
	const doing = "add a delivery"
	if !storable(d.EndpointID) {
		return webhook.ErrNotFound
	}
	if !storable(d.ID, d.EventID, d.EventType) {
		return fault(doing, errNoText)
	}
	d.State = webhook.Pending
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		if err := c.journal(ctx, j); err != nil { // before the webhook is locked, see RemoveEndpoint
			return err
		}
		ev := webhook.Event{ID: d.EventID, Type: d.EventType, At: d.CreatedAt}
		err := c.row(ctx, "SELECT owner FROM webhooks WHERE id = ?"+c.holdKey, d.EndpointID).Scan(&ev.Owner)
		if errors.Is(err, sql.ErrNoRows) {
			return webhook.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := addEvent(ctx, c, &ev, d.Payload); err != nil {
			return err
		}
		return addDeliveries(ctx, c, []webhook.Delivery{d})
	})
}

// Deliveries lists the deliveries of an endpoint, the newest first; state "" is
// all. An after that is no delivery is behind the end.
func (s *Store) Deliveries(ctx context.Context, endpointID string, state webhook.State, after string, limit int) ([]webhook.Delivery, error) {
	if limit <= 0 || !storable(endpointID, string(state), after) {
		return nil, nil
	}
	where, args := "d.endpoint_id = ?", []any{endpointID}
	if state != "" {
		where += " AND d.state = ?"
		args = append(args, string(state))
	}
	if after != "" {
		where += " AND (d.created_at, d.id) < (SELECT created_at, id FROM deliveries WHERE id = ?)"
		args = append(args, after)
	}
	var all []webhook.Delivery
	err := s.read(ctx, "list deliveries", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanDelivery, "SELECT "+deliveryColumns+" FROM deliveries d JOIN events v ON v.id = d.event_id WHERE "+where+
			" ORDER BY d.created_at DESC, d.id DESC LIMIT ?", append(args[:len(args):len(args)], limit)...)
		return err
	})
	return all, err
}

// LastDeliveries returns the newest delivery of each endpoint that has one, by the ID of
// the endpoint.
func (s *Store) LastDeliveries(ctx context.Context, endpointIDs []string) (map[string]webhook.Delivery, error) {
	last := map[string]webhook.Delivery{}
	if len(endpointIDs) == 0 || !storable(endpointIDs...) {
		return last, nil
	}
	ids := make([]any, len(endpointIDs))
	for i, id := range endpointIDs {
		ids[i] = id
	}
	err := s.read(ctx, "look up the last deliveries", func(ctx context.Context, c conn) error {
		all, err := list(ctx, c, scanDelivery, "SELECT "+deliveryColumns+` FROM webhooks w
			JOIN deliveries d ON d.id = (SELECT n.id FROM deliveries n WHERE n.endpoint_id = w.id ORDER BY n.created_at DESC, n.id DESC LIMIT 1)
			JOIN events v ON v.id = d.event_id WHERE w.id IN (?`+strings.Repeat(", ?", len(ids)-1)+")", ids...)
		for i := range all {
			last[all[i].EndpointID] = all[i]
		}
		return err
	})
	return last, err
}

// Delivery returns one delivery of an endpoint. Error: webhook.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, endpointID, id string) (webhook.Delivery, error) {
	var d webhook.Delivery
	if !storable(endpointID, id) {
		return d, webhook.ErrNotFound
	}
	err := s.read(ctx, "look up a delivery", func(ctx context.Context, c conn) (err error) {
		d, err = scanDelivery(c.row(ctx, "SELECT "+deliveryColumns+
			" FROM deliveries d JOIN events v ON v.id = d.event_id WHERE d.id = ? AND d.endpoint_id = ?", id, endpointID))
		if errors.Is(err, sql.ErrNoRows) {
			return webhook.ErrNotFound
		}
		return err
	})
	return d, err
}

// FinishDelivery implements webhook.Store. A delivery that has ended, or was
// removed with its webhook, is webhook.ErrNotFound.
func (s *Store) FinishDelivery(ctx context.Context, r webhook.Result) error {
	if !storable(r.ID) {
		return webhook.ErrNotFound
	}
	return s.write(ctx, "note what came of a delivery", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, `UPDATE deliveries SET state = ?, attempts = attempts + 1, next_at = ?, due_at = ?, last_at = ?,
			last_status = ?, last_error = ?, last_body = ? WHERE id = ? AND state = 'pending'`,
			string(r.State), millis(r.NextAt), millis(r.NextAt), millis(r.At), r.Status, mended(r.Error), mended(r.Body), r.ID)
		if err == nil && n == 0 {
			return webhook.ErrNotFound
		}
		return err
	})
}

// SweepDeliveries removes deliveries that ended before a time, and events that no
// delivery needs, at most limit. What has been due to a disabled webhook since
// before that time has ended too: nobody tries it.
func (s *Store) SweepDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	total := 0
	for _, d := range []outlived{
		{"deliveries", "state <> 'pending' AND last_at < ?", "last_at"},
		{"deliveries", "state = 'pending' AND due_at < ? AND endpoint_id IN (SELECT id FROM webhooks WHERE disabled_at <> 0)", "due_at"},
		{"events", "at < ? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = events.id)", "at"},
	} {
		n, err := s.sweepOutlived(ctx, d, before, limit-total)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// An outlived says which rows of a table have served their time; where has it as
// its parameter.
type outlived struct{ table, where, order string }

// sweepOutlived removes at most limit rows, a batch in each transaction. They are
// looked at again when they are locked: an event may just have been given a
// delivery.
func (s *Store) sweepOutlived(ctx context.Context, d outlived, before time.Time, limit int) (int, error) {
	total := 0
	for total < limit {
		found, want := 0, min(batch, limit-total)
		err := s.write(ctx, "sweep "+d.table, func(ctx context.Context, c conn) error {
			ids, err := list(ctx, c, scanID, "SELECT id FROM "+d.table+" WHERE "+d.where+" ORDER BY "+d.order+" LIMIT ?"+c.skipLocked,
				millis(before), want)
			if found = len(ids); err != nil || found == 0 {
				return err
			}
			_, err = c.exec(ctx, "DELETE FROM "+d.table+" WHERE id IN (?"+strings.Repeat(", ?", found-1)+") AND "+d.where,
				append(ids, millis(before))...)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += found; found < want {
			break
		}
		wait(ctx, breath)
	}
	return total, nil
}

// scanID reads an ID as a parameter of the next statement.
func scanID(row scanner) (any, error) {
	var id string
	err := row.Scan(&id)
	return id, err
}
