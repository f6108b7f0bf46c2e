package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wavegate/server/webhook"
)

// deliver adds a delivery of an event of its own, due at a time.
func deliver(t testing.TB, s *Store, e webhook.Endpoint, name string, at time.Time) {
	t.Helper()
	must(t, s.AddDelivery(t.Context(), webhook.Delivery{
		ID: "dlv_" + name, EndpointID: e.ID, EventID: "evt_" + name, EventType: webhook.KeyCreated, Payload: []byte(`{}`),
		State: webhook.Dead, CreatedAt: at, NextAt: at,
	}, Journal{}))
}

// finish ends a delivery, or puts it off where next is a time.
func finish(t testing.TB, s *Store, name string, state webhook.State, at, next time.Time) {
	t.Helper()
	must(t, s.FinishDelivery(t.Context(), webhook.Result{ID: "dlv_" + name, At: at, State: state, NextAt: next}))
}

func TestDeliveryGoesItsWay(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		deliver(t, s, e, "1", start)
		is := func() webhook.Delivery {
			t.Helper()
			d, err := s.Delivery(t.Context(), e.ID, "dlv_1")
			must(t, err)
			return d
		}
		want := webhook.Delivery{
			ID: "dlv_1", EndpointID: e.ID, EventID: "evt_1", EventType: webhook.KeyCreated, Payload: []byte(`{}`),
			State: webhook.Pending, CreatedAt: start, NextAt: start,
		}
		wantSame(t, "new", is(), want)

		r := webhook.Result{
			ID: "dlv_1", At: start.Add(time.Second), Status: 500, Error: "a\x00b", Body: "\xffno", State: webhook.Pending, NextAt: start.Add(time.Minute),
		}
		must(t, s.FinishDelivery(t.Context(), r))
		want.Attempts, want.NextAt, want.LastAt, want.LastStatus, want.LastError, want.LastBody = 1, r.NextAt, r.At, 500, "a\uFFFDb", "\uFFFDno"
		wantSame(t, "failed once", is(), want)
		wantNext(t, s, r.NextAt)

		must(t, s.FinishDelivery(t.Context(), webhook.Result{ID: "dlv_1", At: start.Add(time.Hour), Status: 204, State: webhook.Delivered}))
		want.State, want.Attempts, want.NextAt, want.LastAt = webhook.Delivered, 2, time.Time{}, start.Add(time.Hour)
		want.LastStatus, want.LastError, want.LastBody = 204, "", ""
		wantSame(t, "delivered", is(), want)
		wantNext(t, s, time.Time{})

		wantErr(t, "an answer too late", s.FinishDelivery(t.Context(), r), webhook.ErrNotFound)
		wantSame(t, "delivered all the same", is(), want)
		for _, id := range []string{"dlv_2", "a\x00b"} {
			wantErr(t, "unknown", s.FinishDelivery(t.Context(), webhook.Result{ID: id, State: webhook.Dead}), webhook.ErrNotFound)
			_, err := s.Delivery(t.Context(), e.ID, id)
			wantErr(t, "unknown", err, webhook.ErrNotFound)
		}
		_, err := s.Delivery(t.Context(), "whk_other", "dlv_1")
		wantErr(t, "of another webhook", err, webhook.ErrNotFound)
	})
}

func TestTheLastDeliveryOfEachWebhookIsTheNewest(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		two, one, none := newEndpoint("ann", start), newEndpoint("bob", start), newEndpoint("ann", start)
		for _, e := range []*webhook.Endpoint{&two, &one, &none} {
			*e = addEndpoint(t, s, *e)
		}
		deliver(t, s, two, "old", start)
		deliver(t, s, two, "same-time-b", start.Add(time.Hour))
		deliver(t, s, two, "same-time-a", start.Add(time.Hour))
		deliver(t, s, one, "other", start)
		finish(t, s, "other", webhook.Delivered, start.Add(time.Second), time.Time{})
		got := map[string]string{}
		last, err := s.LastDeliveries(t.Context(), []string{two.ID, one.ID, none.ID, "whk_unknown"})
		must(t, err)
		for endpoint, d := range last {
			got[endpoint] = d.ID + " " + string(d.State)
		}
		wantSame(t, "the last", got, map[string]string{two.ID: "dlv_same-time-b pending", one.ID: "dlv_other delivered"})
		last, err = s.LastDeliveries(t.Context(), nil)
		must(t, err)
		wantSame(t, "of no webhook", last, map[string]webhook.Delivery{})
	})
}

func wantNext(t testing.TB, s *Store, want time.Time) {
	t.Helper()
	next, err := s.NextDelivery(t.Context())
	must(t, err)
	wantSame(t, "next delivery", next, want)
}

func TestDeliveriesNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e, other := addEndpoint(t, s, newEndpoint("ann", start)), addEndpoint(t, s, newEndpoint("ann", start))
		deliver(t, s, other, "other", start)
		var all, dead []string
		for i := range 9 {
			name := fmt.Sprint(i)
			deliver(t, s, e, name, start.Add(time.Duration(i)*time.Minute))
			all = append([]string{"dlv_" + name}, all...)
			if i%2 == 0 {
				finish(t, s, name, webhook.Dead, start, time.Time{})
				dead = append([]string{"dlv_" + name}, dead...)
			}
		}
		pages := func(state webhook.State) []string {
			t.Helper()
			var found []string
			after := ""
			for {
				page, err := s.Deliveries(t.Context(), e.ID, state, after, 2)
				must(t, err)
				if len(page) == 0 {
					return found
				}
				for _, d := range page {
					found = append(found, d.ID)
				}
				after = found[len(found)-1]
			}
		}
		wantSame(t, "all", pages(""), all)
		wantSame(t, "dead", pages(webhook.Dead), dead)
		wantSame(t, "delivered", pages(webhook.Delivered), []string(nil))
		got, err := s.Deliveries(t.Context(), e.ID, "", "dlv_none", 10)
		must(t, err)
		wantSame(t, "behind what is none", len(got), 0)
	})
}

// TestRedeliveryUsesTheEventAgain delivers an event that is there once more, and
// one that was swept.
func TestRedeliveryUsesTheEventAgain(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		ev := newEvent(webhook.KeyCreated, "ann", start)
		emit(t, s, ev)
		all, err := s.Deliveries(t.Context(), e.ID, "", "", 10)
		must(t, err)
		again := all[0]
		again.ID, again.CreatedAt, again.NextAt, again.Payload = "dlv_again", start.Add(time.Hour), start.Add(time.Hour), []byte("ignored")
		must(t, s.AddDelivery(t.Context(), again, Journal{}))
		got, err := s.Delivery(t.Context(), e.ID, "dlv_again")
		must(t, err)
		wantSame(t, "payload", string(got.Payload), string(all[0].Payload))
		wantSame(t, "events", count(t, s, "events"), 1)
		finish(t, s, "again", webhook.Dead, start, time.Time{})
		must(t, s.FinishDelivery(t.Context(), webhook.Result{ID: all[0].ID, At: start, State: webhook.Delivered}))
		_, err = s.SweepDeliveries(t.Context(), start.Add(time.Minute), 100)
		must(t, err)
		wantSame(t, "events after a sweep", count(t, s, "events"), 0)
		again.Payload = all[0].Payload
		must(t, s.AddDelivery(t.Context(), again, Journal{}))
		got, err = s.Delivery(t.Context(), e.ID, "dlv_again")
		must(t, err)
		wantSame(t, "payload of what was swept", string(got.Payload), string(all[0].Payload))
	})
}

func TestSweepRemovesWhatEndedAndNoMore(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e, off := addEndpoint(t, s, newEndpoint("ann", start)), newEndpoint("ann", start)
		off.DisabledAt = start
		addEndpoint(t, s, off)
		week := start.Add(7 * 24 * time.Hour)
		deliver(t, s, e, "ended long ago", start)
		finish(t, s, "ended long ago", webhook.Delivered, start, time.Time{})
		deliver(t, s, e, "died long ago", start)
		finish(t, s, "died long ago", webhook.Dead, start.Add(time.Hour), time.Time{})
		deliver(t, s, e, "ended late", start)
		finish(t, s, "ended late", webhook.Delivered, week, time.Time{})
		deliver(t, s, e, "waits", start)
		deliver(t, s, off, "nobody tries it", start)
		deliver(t, s, off, "somebody may try it", week)
		run(t, s, "INSERT INTO events (id, type, owner, at, payload) VALUES ('evt_alone', 'x', '', 0, ?)", []byte("{}"))
		left := func() []string {
			var all []string
			for _, e := range []webhook.Endpoint{e, off} {
				found, err := s.Deliveries(t.Context(), e.ID, "", "", 100)
				must(t, err)
				for _, d := range found {
					all = append(all, d.ID)
				}
			}
			slices.Sort(all)
			return all
		}
		n, err := s.SweepDeliveries(t.Context(), week, 2)
		must(t, err)
		wantSame(t, "removed of at most two", n, 2)
		n, err = s.SweepDeliveries(t.Context(), week, 100)
		must(t, err)
		wantSame(t, "removed: a delivery and four events", n, 5)
		wantSame(t, "left", left(), []string{"dlv_ended late", "dlv_somebody may try it", "dlv_waits"})
		wantSame(t, "events", count(t, s, "events"), 3)
		n, err = s.SweepDeliveries(t.Context(), week, 100)
		must(t, err)
		wantSame(t, "removed of nothing", n, 0)
	})
}
