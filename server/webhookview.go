package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"wavegate/keychain/apikey"
	"wavegate/server/webhook"
)

// maxWebhookText bounds the description of a webhook, in characters.
const maxWebhookText = 500

// A webhookView is a webhook as the API shows it. What it does not have is null.
type webhookView struct {
	ID            string   `json:"id"`
	Owner         string   `json:"owner"`
	URL           string   `json:"url"`
	Description   string   `json:"description"`
	Events        []string `json:"events"` // empty: all
	All           bool     `json:"all"`
	Disabled      bool     `json:"disabled"`
	Secret        string   `json:"secret,omitempty"` // where it was made just now
	OldSecretEnds *string  `json:"old_secret_expires_at"`
	DisabledAt    *string  `json:"disabled_at"`
	CreatedAt     string   `json:"created_at"`
	UpdatedAt     string   `json:"updated_at"`
	Version       int64    `json:"version"` // raised by each change

	// Last is the newest delivery, where webhooks are listed or shown; nil for none.
	Last *deliveryView `json:"last_delivery,omitempty"`
}

func viewWebhook(e *webhook.Endpoint, now time.Time) webhookView {
	v := webhookView{
		ID: e.ID, Owner: e.Owner, URL: e.URL, Description: e.Description, Events: append([]string{}, e.Events...), All: e.All,
		Disabled: !e.DisabledAt.IsZero(), DisabledAt: orNull(rfc3339(e.DisabledAt)), CreatedAt: rfc3339(e.CreatedAt), UpdatedAt: rfc3339(e.UpdatedAt), Version: e.Version,
	}
	if now.Before(e.OldEnds) {
		v.OldSecretEnds = orNull(rfc3339(e.OldEnds))
	}
	return v
}

// A webhookAnswer shows one webhook, and where its secret is shown says that this
// was the only time.
type webhookAnswer struct {
	Webhook webhookView `json:"webhook"`
	Warning string      `json:"warning,omitempty"`
}

const secretWarning = "Store the secret now: it is not shown again."

// A deliveryView is a delivery as the API shows it. The payload is in the answer
// about one delivery alone.
type deliveryView struct {
	ID           string          `json:"id"`
	WebhookID    string          `json:"webhook_id"`
	EventID      string          `json:"event_id"`
	EventType    string          `json:"event_type"`
	State        string          `json:"state"`
	Attempts     int             `json:"attempts"`
	CreatedAt    string          `json:"created_at"`
	NextAt       *string         `json:"next_attempt_at"`
	LastAt       *string         `json:"last_attempt_at"`
	LastStatus   *int            `json:"last_status"`
	LastError    *string         `json:"last_error"`
	LastResponse *string         `json:"last_response"` // how the last answer began
	Payload      json.RawMessage `json:"payload,omitempty"`
}

func viewDelivery(d *webhook.Delivery) deliveryView {
	v := deliveryView{
		ID: d.ID, WebhookID: d.EndpointID, EventID: d.EventID, EventType: d.EventType, State: string(d.State), Attempts: d.Attempts,
		CreatedAt: rfc3339(d.CreatedAt), LastAt: orNull(rfc3339(d.LastAt)),
		LastStatus: orNull(d.LastStatus), LastError: orNull(d.LastError), LastResponse: orNull(d.LastBody),
	}
	if d.State == webhook.Pending {
		v.NextAt = orNull(rfc3339(d.NextAt))
	}
	return v
}

// A deliveryAnswer shows one delivery.
type deliveryAnswer struct {
	Delivery deliveryView `json:"delivery"`
}

// A webhookRequest is the body of the calls that make and change a webhook. A
// field that is nil was not given.
type webhookRequest struct {
	URL         *string   `json:"url"`
	Events      *[]string `json:"events"`
	Description *string   `json:"description"`
	All         *bool     `json:"all"`
	Disabled    *bool     `json:"disabled"`
}

// check notes what is wrong with any field.
func (q *webhookRequest) check(rules webhook.Rules, p *problems) {
	if q.URL != nil {
		if err := webhook.CheckURL(*q.URL, rules); err != nil {
			p.add("url", "%s", err)
		} else if hasKey(*q.URL) {
			p.add("url", holdsKey)
		}
	}
	if q.Description != nil {
		switch n := utf8.RuneCountInString(*q.Description); {
		case n > maxWebhookText:
			p.add("description", "has %d characters, at most %d", n, maxWebhookText)
		case strings.ContainsRune(*q.Description, 0):
			p.add("description", "holds a NUL character")
		case apikey.Holds(*q.Description):
			p.add("description", holdsKey)
		}
	}
	if q.Events != nil {
		checkEvents(*q.Events, p)
	}
}

// hasKey reports whether an API key stands in an address, escaped or not.
func hasKey(address string) bool {
	plain, err := url.PathUnescape(address)
	return apikey.Holds(address) || err == nil && apikey.Holds(plain)
}

// checkEvents notes each type that there is not, and each that comes twice. What
// was given is not repeated: it may be a secret in the wrong place.
func checkEvents(events []string, p *problems) {
	types := webhook.Types()
	if len(events) > len(types) {
		p.add("events", "has %d entries; there are %d events", len(events), len(types))
		return
	}
	for i, e := range events {
		field := fmt.Sprintf("events[%d]", i)
		switch {
		case !slices.Contains(types, e):
			p.add(field, "is no event that there is: choose %s", strings.Join(types, ", "))
		case slices.Contains(events[:i], e):
			p.add(field, "is there twice")
		}
	}
}

// apply writes the fields that were given into a webhook, and returns their names
// and new values for the audit log. It may be called again with the webhook as
// somebody else left it.
func (q *webhookRequest) apply(e *webhook.Endpoint, now time.Time) map[string]string {
	details := map[string]string{}
	note := func(name, value string) { details[name] = clip(value) }
	if q.URL != nil && *q.URL != e.URL {
		e.URL = *q.URL
		note("url", hostOf(e.URL))
	}
	if q.Description != nil && *q.Description != e.Description {
		e.Description = *q.Description
		note("description", e.Description)
	}
	if q.Events != nil && !slices.Equal(*q.Events, e.Events) {
		e.Events = *q.Events
		note("events", strings.Join(e.Events, " "))
	}
	if q.All != nil && *q.All != e.All {
		e.All = *q.All
		note("all", word(e.All))
	}
	if q.Disabled != nil && *q.Disabled == e.DisabledAt.IsZero() {
		e.DisabledAt = time.Time{}
		if *q.Disabled {
			e.DisabledAt = now
		}
		note("disabled", word(*q.Disabled))
	}
	return details
}

func word(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// hostOf is what the audit log keeps of a webhook's URL, whose path may be a
// secret of the receiver.
func hostOf(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	return scheme + "://" + host
}
