package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"wavegate/server/webhook"

	"github.com/google/go-cmp/cmp"
)

func TestWants(t *testing.T) {
	ann := webhook.Endpoint{Owner: "user:ann"}
	some := webhook.Endpoint{Owner: "user:ann", Events: []string{webhook.KeyCreated, webhook.KeyRevoked}}
	admin := webhook.Endpoint{Owner: "user:root", All: true}
	off := webhook.Endpoint{Owner: "user:root", All: true, DisabledAt: time.Now()}
	nobody := webhook.Endpoint{}
	for _, test := range []struct {
		what       string
		e          webhook.Endpoint
		typ, owner string
		want       bool
	}{
		{"one's own", ann, webhook.KeyCreated, "user:ann", true},
		{"somebody else's", ann, webhook.KeyCreated, "user:bob", false},
		{"whose name begins alike", ann, webhook.KeyCreated, "user:ann2", false},
		{"the server's", ann, webhook.Lockout, "", false},
		{"the server's, for an endpoint of nobody", nobody, webhook.Lockout, "", false},
		{"a type that was asked for", some, webhook.KeyRevoked, "user:ann", true},
		{"another type", some, webhook.KeyRotated, "user:ann", false},
		{"everybody's", admin, webhook.KeyCreated, "user:ann", true},
		{"the server's, for administrators", admin, webhook.Lockout, "", true},
		{"switched off", off, webhook.Lockout, "", false},
		{"a ping", admin, webhook.Ping, "user:root", false},
	} {
		if got := test.e.Wants(&webhook.Event{Type: test.typ, Owner: test.owner}); got != test.want {
			t.Errorf("%s: %t", test.what, got)
		}
	}
}

func TestPayload(t *testing.T) {
	at := time.Date(2026, 11, 27, 9, 0, 0, 123456789, time.FixedZone("", 3600))
	e := webhook.NewEvent(webhook.KeyRotated, "user:ann", at, map[string]any{"id": "key_1", "name": "<a&b>"})
	if len(e.ID) != 30 || !strings.HasPrefix(e.ID, "evt_") || e.ID == webhook.NewEvent("", "", at, nil).ID {
		t.Errorf("ID %q", e.ID)
	}
	got, err := e.Payload()
	must(t, err)
	want := `{"id":"` + e.ID + `","type":"key_rotated","timestamp":"2026-11-27T08:00:00.123Z","data":{"id":"key_1","name":"<a&b>"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	empty, err := (&webhook.Event{}).Payload()
	must(t, err)
	if !json.Valid(empty) || !strings.Contains(string(empty), `"data":{}`) {
		t.Errorf("payload %s", empty)
	}
	if _, err := (&webhook.Event{Data: map[string]any{"f": func() {}}}).Payload(); err == nil {
		t.Error("a function was written as JSON")
	}
}

func TestRedeliveryIsTheSameEvent(t *testing.T) {
	now := time.Now()
	e := webhook.NewEvent(webhook.Ping, "user:ann", now, nil)
	d, err := webhook.NewDelivery("whk_1", &e, now)
	must(t, err)
	d.State, d.Attempts, d.LastError = webhook.Dead, 12, "the server answered 500"
	again := d.Again(now.Add(time.Hour))
	if again.ID == d.ID || !strings.HasPrefix(again.ID, "dlv_") || len(again.ID) != 30 {
		t.Errorf("ID %q", again.ID)
	}
	want := webhook.Delivery{
		ID: again.ID, EndpointID: "whk_1", EventID: e.ID, EventType: webhook.Ping, Payload: d.Payload,
		State: webhook.Pending, CreatedAt: now.Add(time.Hour), NextAt: now.Add(time.Hour),
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("redelivery (-want +got):\n%s", diff)
	}
}
