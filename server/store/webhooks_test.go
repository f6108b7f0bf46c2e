package store

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/webhook"
)

// newEndpoint is a webhook of an owner, begun at a time.
func newEndpoint(owner string, at time.Time) webhook.Endpoint {
	return webhook.Endpoint{
		ID: "whk_" + strings.ToLower(rand.Text()), Owner: owner, URL: "https://hooks.example.com/" + owner, Description: "of " + owner,
		Secret: []byte{0, 1, 255}, CreatedAt: at, UpdatedAt: at, Version: 1,
	}
}

// addEndpoint stores a webhook.
func addEndpoint(t testing.TB, s *Store, e webhook.Endpoint) webhook.Endpoint {
	t.Helper()
	must(t, s.AddEndpoint(t.Context(), e, 1000, Journal{}))
	return e
}

// newEvent is an event of a type, about something of an owner.
func newEvent(kind, owner string, at time.Time) webhook.Event {
	return webhook.Event{ID: "evt_" + strings.ToLower(rand.Text()), Type: kind, Owner: owner, At: at, Data: map[string]any{"key_id": "key_1"}}
}

// emit writes events as a change does.
func emit(t testing.TB, s *Store, events ...webhook.Event) {
	t.Helper()
	e := addEndpoint(t, s, newEndpoint("whoever emits", start))
	must(t, s.RemoveEndpoint(t.Context(), e.ID, Journal{Events: events}))
}

func endpointIDs(all []webhook.Endpoint) []string {
	var ids []string
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestEndpoint(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := newEndpoint("sub:usr_1", start)
		e.All, e.Events = true, []string{webhook.KeyCreated, webhook.Lockout}
		e.OldSecret, e.OldEnds = []byte("before"), start.Add(time.Hour)
		addEndpoint(t, s, e)
		got, err := s.Endpoint(t.Context(), e.ID)
		must(t, err)
		wantSame(t, "webhook", got, e)

		next := e
		next.Owner, next.CreatedAt = "ignored", start.Add(time.Hour)
		next.All, next.URL, next.Description, next.Events = false, "https://other.example.com", "", nil
		next.Secret, next.OldSecret, next.OldEnds = []byte("next"), nil, time.Time{}
		next.DisabledAt, next.UpdatedAt = start.Add(time.Minute), start.Add(2*time.Minute)
		got, err = s.ChangeEndpoint(t.Context(), next, Journal{})
		must(t, err)
		want := next
		want.Owner, want.CreatedAt, want.Version = e.Owner, e.CreatedAt, 2
		wantSame(t, "changed", got, want)
		got, err = s.Endpoint(t.Context(), e.ID)
		must(t, err)
		wantSame(t, "changed and read", got, want)
		_, err = s.ChangeEndpoint(t.Context(), next, Journal{})
		wantErr(t, "the old version again", err, webhook.ErrConflict)

		must(t, s.RemoveEndpoint(t.Context(), e.ID, Journal{}))
		for _, id := range []string{e.ID, "", "a\x00b", "\xff"} {
			_, err = s.Endpoint(t.Context(), id)
			wantErr(t, "look up", err, webhook.ErrNotFound)
			next.ID = id
			_, err = s.ChangeEndpoint(t.Context(), next, Journal{})
			wantErr(t, "change", err, webhook.ErrNotFound)
			wantErr(t, "remove", s.RemoveEndpoint(t.Context(), id, Journal{}), webhook.ErrNotFound)
			wantErr(t, "deliver", s.AddDelivery(t.Context(), webhook.Delivery{ID: "dlv_1", EndpointID: id}, Journal{}), webhook.ErrNotFound)
		}
		wantErr(t, "an owner that is no text", s.AddEndpoint(t.Context(), newEndpoint("\xff", start), 10, Journal{}), session.ErrUnavailable)
	})
}

func TestEndpointsNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var of [2][]string // of two owners, the newest first
		var all []string
		for i := range 9 {
			e := addEndpoint(t, s, newEndpoint(fmt.Sprint("owner", i%2), start.Add(time.Duration(i)*time.Minute)))
			of[i%2] = append([]string{e.ID}, of[i%2]...)
			all = append([]string{e.ID}, all...)
		}
		pages := func(owner string, everybodys bool) []string {
			t.Helper()
			var found []string
			after := ""
			for {
				page, err := s.Endpoints(t.Context(), owner, everybodys, after, 2)
				must(t, err)
				if len(page) == 0 {
					return found
				}
				found = append(found, endpointIDs(page)...)
				after = found[len(found)-1]
			}
		}
		wantSame(t, "one's", pages("owner0", false), of[0])
		wantSame(t, "another's", pages("owner1", true), of[1])
		wantSame(t, "everybody's", pages("", true), all)
		wantSame(t, "nobody's", pages("", false), []string(nil))
		for _, after := range []string{"whk_none", "a\x00b"} {
			got, err := s.Endpoints(t.Context(), "owner0", false, after, 10)
			must(t, err)
			wantSame(t, "behind what is none", endpointIDs(got), []string(nil))
		}
	})
}

// TestWebhooksOfOneOwnerAreBounded races for the last places.
func TestWebhooksOfOneOwnerAreBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		var added, refused atomic.Int32
		together(30, func(i int) {
			switch err := stores[i%2].AddEndpoint(t.Context(), newEndpoint("ann", start), 5, Journal{}); err {
			case nil:
				added.Add(1)
			case webhook.ErrTooMany:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
		if added.Load() != 5 || refused.Load() != 25 {
			t.Errorf("%d added, %d refused, want 5 and 25", added.Load(), refused.Load())
		}
		must(t, s.AddEndpoint(t.Context(), newEndpoint("bob", start), 5, Journal{}))
	})
}

func TestRacingChangesOfOneWebhook(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		e := addEndpoint(t, s, newEndpoint("ann", start))
		var won atomic.Int32
		together(10, func(i int) {
			switch _, err := stores[i%2].ChangeEndpoint(t.Context(), e, Journal{}); err {
			case nil:
				won.Add(1)
			case webhook.ErrConflict:
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d won, want 1", won.Load())
		}
	})
}

// TestRemovedWebhookTakesItsDeliveriesAlong removes one of two, while events for
// both are written.
func TestRemovedWebhookTakesItsDeliveriesAlong(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		other := open(t, Config{URL: url})
		gone, stays := addEndpoint(t, s, newEndpoint("ann", start)), addEndpoint(t, s, newEndpoint("ann", start))
		emit(t, s, newEvent(webhook.KeyCreated, "ann", start))
		together(9, func(i int) {
			if i == 5 {
				if err := other.RemoveEndpoint(t.Context(), gone.ID, Journal{}); err != nil {
					t.Error(err)
				}
				return
			}
			e := newEndpoint("whoever emits", start)
			if err := s.AddEndpoint(t.Context(), e, 100, Journal{Events: []webhook.Event{newEvent(webhook.KeyCreated, "ann", start)}}); err != nil {
				t.Error(err)
			}
		})
		wantSame(t, "deliveries", count(t, s, "deliveries"), 9)
		left, err := s.Deliveries(t.Context(), stays.ID, "", "", 100)
		must(t, err)
		wantSame(t, "deliveries of the one that stays", len(left), 9)
	})
}
