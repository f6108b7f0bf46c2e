package webhook

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// NewEvent returns an event with an ID of its own. Data must hold no secret: it
// goes to another server as it is.
func NewEvent(typ, owner string, at time.Time, data map[string]any) Event {
	return Event{ID: newID("evt_"), Type: typ, At: at.UTC(), Owner: owner, Data: data}
}

// NewEndpointID returns an ID for an Endpoint.
func NewEndpointID() string { return newID("whk_") }

// newID returns a public name that nobody has had: 26 characters, 130 random bits,
// in lower case as all names here.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// Payload returns the body that tells of the event, in the shape that Standard
// Webhooks proposes: its type, when it happened, and what about. The ID stands
// there too, for those who keep bodies without headers.
func (e *Event) Payload() ([]byte, error) {
	data := e.Data
	if data == nil {
		data = map[string]any{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		ID        string         `json:"id"`
		Type      string         `json:"type"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}{e.ID, e.Type, e.At.UTC().Truncate(time.Millisecond), data})
	if err != nil {
		return nil, fmt.Errorf("event %s of type %s: %w", e.ID, e.Type, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// NewDelivery returns the delivery of an event to an endpoint, due at once. It is
// given up a day after now.
func NewDelivery(endpointID string, e *Event, now time.Time) (Delivery, error) {
	payload, err := e.Payload()
	if err != nil {
		return Delivery{}, err
	}
	d := Delivery{EndpointID: endpointID, EventID: e.ID, EventType: e.Type, Payload: payload}
	return d.Again(now), nil
}

// Again returns the same delivery as a new one, due at once: a redelivery. The
// receiver sees the ID of the event that it knows.
func (d *Delivery) Again(now time.Time) Delivery {
	return Delivery{
		ID: newID("dlv_"), EndpointID: d.EndpointID, EventID: d.EventID, EventType: d.EventType, Payload: d.Payload,
		State: Pending, CreatedAt: now, NextAt: now,
	}
}
