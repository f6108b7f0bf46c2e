package server

import (
	"net/http"
	"time"

	"wavegate/server/fault"
	"wavegate/server/webhook"
)

// maxUndelivered is how many deliveries of a webhook may wait before no test and no
// redelivery is added to them.
const maxUndelivered = 50

var (
	errWebhookOff = fault.New(http.StatusConflict, "webhook_disabled",
		`The webhook is switched off. Switch it on with {"disabled": false} first.`)
	errManyWaiting = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
		"Many deliveries of this webhook wait already. Try again when they are through.")
)

// testWebhook sends a test event.
func (s *Server) testWebhook(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	now := time.Now().UTC()
	ping := webhook.NewEvent(webhook.Ping, e.Owner, now, map[string]any{
		"webhook_id": e.ID, "message": "This is a test. Nothing has happened.",
	})
	d, err := webhook.NewDelivery(e.ID, &ping, now)
	if err != nil {
		return err
	}
	return s.deliver(ex, c, &e, d, deed{action: "webhook.test", target: e.ID, owner: e.Owner})
}

// redeliver sends an event again: the same ID, the same payload.
func (s *Server) redeliver(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	old, err := s.store.Delivery(ex.ctx, e.ID, ex.args[1])
	if err != nil {
		return webhookError(err)
	}
	return s.deliver(ex, c, &e, old.Again(time.Now().UTC()), deed{
		action: "webhook.redeliver", target: e.ID, owner: e.Owner,
		details: map[string]string{"delivery": old.ID, "event": old.EventID, "type": old.EventType},
	})
}

// deliver adds a delivery that somebody asked for.
func (s *Server) deliver(ex *exchange, c *apiCaller, e *webhook.Endpoint, d webhook.Delivery, what deed) error {
	if err := mayUse(c, e); err != nil {
		return err
	}
	if !e.DisabledAt.IsZero() {
		return errWebhookOff
	}
	waiting, err := s.store.Deliveries(ex.ctx, e.ID, webhook.Pending, "", maxUndelivered)
	if err != nil {
		return webhookError(err)
	}
	if len(waiting) >= maxUndelivered {
		return errManyWaiting.RetryAfter(time.Minute)
	}
	if err := s.store.AddDelivery(ex.ctx, d, s.journal(ex, c, what)); err != nil {
		return webhookError(err)
	}
	s.wrote()
	return writeJSON(ex, http.StatusAccepted, deliveryAnswer{viewDelivery(&d)})
}

// listDeliveries lists what was sent, is to be sent, or was given up
// (?state=dead), the newest first.
func (s *Server) listDeliveries(ex *exchange, r *http.Request, c *apiCaller, e webhook.Endpoint) error {
	if err := mayUse(c, &e); err != nil {
		return err
	}
	q := newQuery(r)
	state := webhook.State(q.one("state", "", string(webhook.Pending), string(webhook.Delivered), string(webhook.Dead)))
	cursor, limit := q.text("cursor"), q.number("limit", defaultPage, maxPage)
	if err := q.end(); err != nil {
		return err
	}
	list, err := s.store.Deliveries(ex.ctx, e.ID, state, cursor, limit+1)
	if err != nil {
		return webhookError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	views := make([]deliveryView, 0, len(list))
	for i := range list {
		views = append(views, viewDelivery(&list[i]))
	}
	return writeJSON(ex, http.StatusOK, struct {
		Deliveries []deliveryView `json:"deliveries"`
		Next       string         `json:"next_cursor,omitempty"`
	}{views, next})
}

// addLast writes into webhooks how the newest delivery of each is, where the caller may
// see it (mayUse).
func (s *Server) addLast(ex *exchange, c *apiCaller, hooks []webhookView) error {
	var ids []string
	for i := range hooks {
		if c.admin || !hooks[i].All {
			ids = append(ids, hooks[i].ID)
		}
	}
	last, err := s.store.LastDeliveries(ex.ctx, ids)
	if err != nil {
		return storeError(err)
	}
	for i := range hooks {
		if d, ok := last[hooks[i].ID]; ok {
			view := viewDelivery(&d)
			hooks[i].Last = &view
		}
	}
	return nil
}

// getDelivery shows one delivery with what is sent.
func (s *Server) getDelivery(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	if err := mayUse(c, &e); err != nil {
		return err
	}
	d, err := s.store.Delivery(ex.ctx, e.ID, ex.args[1])
	if err != nil {
		return webhookError(err)
	}
	v := viewDelivery(&d)
	v.Payload = d.Payload
	return writeJSON(ex, http.StatusOK, deliveryAnswer{v})
}
