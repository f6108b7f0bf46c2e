package store

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"wavegate/server/webhook"
)

// errEvent is about an event that was not filled in.
var errEvent = errors.New("an event has no ID, no type or no time")

// emit writes events down, each with a delivery to every webhook that wants it,
// due at once. An event that nobody wants is not written.
func (c conn) emit(ctx context.Context, events []webhook.Event) error {
	for i := range events {
		ev := &events[i]
		if ev.ID == "" || ev.Type == "" || ev.At.IsZero() {
			return errEvent
		}
		if err := c.emitOne(ctx, ev); err != nil {
			return err
		}
	}
	return nil
}

func (c conn) emitOne(ctx context.Context, ev *webhook.Event) error {
	all, err := interested(ctx, c, ev.Owner)
	if err != nil {
		return err
	}
	var deliveries []webhook.Delivery
	for i := range all {
		if all[i].Wants(ev) {
			deliveries = append(deliveries, webhook.Delivery{
				ID: "dlv_" + strings.ToLower(rand.Text()), EndpointID: all[i].ID, EventID: ev.ID,
				State: webhook.Pending, CreatedAt: ev.At, NextAt: ev.At,
			})
		}
	}
	if len(deliveries) == 0 {
		return nil
	}
	payload, err := ev.Payload()
	if err != nil {
		return err
	}
	if err := addEvent(ctx, c, ev, payload); err != nil {
		return err
	}
	return addDeliveries(ctx, c, deliveries)
}

// interested are the webhooks in use that may want an event about something of
// an owner. They are held, so that none is removed before its delivery is written.
// Two statements, each with its index.
func interested(ctx context.Context, c conn, owner string) ([]webhook.Endpoint, error) {
	owner = mended(owner)
	var all []webhook.Endpoint
	for _, where := range []string{"w.owner = ?", "w.everybodys AND w.owner <> ?"} {
		some, err := list(ctx, c, scanEndpoint, "SELECT "+endpointColumns+" FROM webhooks w WHERE w.disabled_at = 0 AND "+where+c.holdKey, owner)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// addEvent writes an event, unless it is there already: then it only keeps
// SweepDeliveries from removing it.
func addEvent(ctx context.Context, c conn, ev *webhook.Event, payload []byte) error {
	_, err := c.exec(ctx, `INSERT INTO events (id, type, owner, at, payload) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET at = events.at`,
		ev.ID, ev.Type, mended(ev.Owner), millis(ev.At), payload)
	return err
}

func addDeliveries(ctx context.Context, c conn, all []webhook.Delivery) error {
	return insert(ctx, c, "deliveries (id, endpoint_id, event_id, state, attempts, created_at, next_at, due_at, last_at, last_status, last_error, last_body)",
		"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "", all, func(d webhook.Delivery) []any {
			return []any{
				d.ID, d.EndpointID, d.EventID, string(d.State), d.Attempts, millis(d.CreatedAt), millis(d.NextAt), millis(d.NextAt),
				millis(d.LastAt), d.LastStatus, mended(d.LastError), mended(d.LastBody),
			}
		})
}
