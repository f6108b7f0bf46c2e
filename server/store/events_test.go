package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/webhook"
)

// TestEventGoesToWhoWantsIt has webhooks of all kinds.
func TestEventGoesToWhoWantsIt(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		made := map[string]webhook.Endpoint{}
		for name, change := range map[string]func(*webhook.Endpoint){
			"ann":             func(e *webhook.Endpoint) { e.Owner = "ann" },
			"ann's lockouts":  func(e *webhook.Endpoint) { e.Owner, e.Events = "ann", []string{webhook.Lockout} },
			"ann, disabled":   func(e *webhook.Endpoint) { e.Owner, e.DisabledAt = "ann", start },
			"bob":             func(e *webhook.Endpoint) { e.Owner = "bob" },
			"admin":           func(e *webhook.Endpoint) { e.Owner, e.All = "root", true },
			"admin, disabled": func(e *webhook.Endpoint) { e.Owner, e.All, e.DisabledAt = "root", true, start },
			"admin's own":     func(e *webhook.Endpoint) { e.Owner = "root" },
			"admin's keys":    func(e *webhook.Endpoint) { e.Owner, e.All, e.Events = "root", true, []string{webhook.KeyCreated} },
		} {
			e := newEndpoint("", start)
			change(&e)
			made[name] = addEndpoint(t, s, e)
		}
		for _, tt := range []struct {
			kind, owner string
			want        []string
		}{
			{webhook.KeyCreated, "ann", []string{"admin", "admin's keys", "ann"}},
			{webhook.Lockout, "ann", []string{"admin", "ann", "ann's lockouts"}},
			{webhook.Lockout, "root", []string{"admin", "admin's own"}},
			{webhook.Lockout, "", []string{"admin"}},
			{webhook.KeyCreated, "nobody", []string{"admin", "admin's keys"}},
		} {
			ev := newEvent(tt.kind, tt.owner, start)
			emit(t, s, ev)
			var got []string
			for name, e := range made {
				if n := count(t, s, "deliveries WHERE endpoint_id = ? AND event_id = ?", e.ID, ev.ID); n == 1 {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			wantSame(t, tt.kind+" of "+tt.owner, got, tt.want)
		}
	})
}

func TestEventThatNobodyWantsIsNotWritten(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		addEndpoint(t, s, newEndpoint("bob", start))
		emit(t, s, newEvent(webhook.KeyCreated, "ann", start))
		wantSame(t, "events", count(t, s, "events"), 0)
	})
}

// TestPayload compares the body with what Standard Webhooks says.
func TestPayload(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		east := time.FixedZone("east", 3600)
		ev := newEvent(webhook.KeyRotated, "ann", start.In(east).Add(1234567*time.Nanosecond))
		ev.Data = map[string]any{"key_id": "key_1", "name": "a \"b\" \x00 ü"}
		bare := newEvent(webhook.KeyRevoked, "ann", start.Add(time.Second))
		bare.Data = nil
		emit(t, s, ev, bare)
		all, err := s.Deliveries(t.Context(), e.ID, "", "", 10)
		must(t, err)
		wantSame(t, "deliveries", len(all), 2)
		wantSame(t, "payload", string(all[1].Payload), `{"id":"`+ev.ID+`",`+
			`"type":"key_rotated","timestamp":"2026-03-01T12:00:00.001Z","data":{"key_id":"key_1","name":"a \"b\" \u0000 ü"}}`)
		wantSame(t, "payload without data", string(all[0].Payload), `{"id":"`+bare.ID+`","type":"key_revoked","timestamp":"2026-03-01T12:00:01Z","data":{}}`)
		want := webhook.Delivery{
			ID: all[1].ID, EndpointID: e.ID, EventID: ev.ID, EventType: ev.Type, Payload: all[1].Payload, State: webhook.Pending,
			CreatedAt: start.Add(time.Millisecond), NextAt: start.Add(time.Millisecond),
		}
		wantSame(t, "delivery", all[1], want)
	})
}

func TestEventWithoutIDTypeOrTimeIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		for _, ev := range []webhook.Event{
			{Type: webhook.Lockout, At: start, Owner: "ann"},
			{ID: "evt_1", At: start, Owner: "ann"},
			{ID: "evt_1", Type: webhook.Lockout, Owner: "ann"},
		} {
			if err := s.RemoveEndpoint(t.Context(), e.ID, Journal{Events: []webhook.Event{ev}}); !errors.Is(err, errEvent) {
				t.Errorf("%+v: error %v", ev, err)
			}
		}
	})
}

// TestEventIsWrittenWithItsChangeOrNotAtAll lets each statement of each change
// fail in turn, until a change succeeds.
func TestEventIsWrittenWithItsChangeOrNotAtAll(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		addEndpoint(t, s, newEndpoint("ann", start))
		bobs := newEndpoint("bob", start)
		for _, tt := range []struct {
			name   string
			change func(Journal) error
		}{
			{"add", func(j Journal) error { return s.AddEndpoint(t.Context(), bobs, 100, j) }},
			{"change", func(j Journal) error { _, err := s.ChangeEndpoint(t.Context(), e, j); return err }},
			{"deliver", func(j Journal) error {
				return s.AddDelivery(t.Context(), webhook.Delivery{
					ID: "dlv_1", EndpointID: e.ID, EventID: "evt_1", EventType: webhook.Ping, Payload: []byte("{}"), CreatedAt: start,
				}, j)
			}},
			{"remove", func(j Journal) error { return s.RemoveEndpoint(t.Context(), bobs.ID, j) }},
		} {
			before := contents(t, s)
			j := Journal{Events: []webhook.Event{newEvent(webhook.KeyCreated, "ann", start), newEvent(webhook.KeyRevoked, "ann", start)}}
			failures := 0
			for n := 1; ; n++ {
				seen := 0
				s.watch = func(q querier) querier { return &failing{q, n, &seen} }
				err := tt.change(j)
				s.watch = nil
				if err == nil {
					break
				}
				wantErr(t, tt.name, err, session.ErrUnavailable)
				failures++
				wantSame(t, tt.name+": contents after a failure", contents(t, s), before)
			}
			if failures < 7 { // three for each event, one for the change
				t.Errorf("%s: only %d statements failed", tt.name, failures)
			}
			wantSame(t, tt.name+": events", count(t, s, "events WHERE id IN (?, ?)", j.Events[0].ID, j.Events[1].ID), 2)
			wantSame(t, tt.name+": deliveries", count(t, s, "deliveries WHERE event_id IN (?, ?)", j.Events[0].ID, j.Events[1].ID), 4)
		}
	})
}

// contents are what tells the states of the tables apart.
func contents(t testing.TB, s *Store) []int {
	t.Helper()
	return []int{count(t, s, "webhooks"), count(t, s, "webhooks WHERE version = 2"), count(t, s, "events"), count(t, s, "deliveries")}
}
