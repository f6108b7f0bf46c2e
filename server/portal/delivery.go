package portal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Delivery is an event on its way to one webhook, as the API shows it.
type Delivery struct {
	ID           string          `json:"id"`
	WebhookID    string          `json:"webhook_id"`
	EventID      string          `json:"event_id"`
	EventType    string          `json:"event_type"`
	State        string          `json:"state"` // pending, delivered or dead
	Attempts     int64           `json:"attempts"`
	CreatedAt    time.Time       `json:"created_at"`
	NextAt       time.Time       `json:"next_attempt_at"`
	LastAt       time.Time       `json:"last_attempt_at"`
	LastStatus   int             `json:"last_status"` // 0: there was no answer
	LastError    string          `json:"last_error"`
	LastResponse string          `json:"last_response"` // how the last answer began
	Payload      json.RawMessage `json:"payload"`       // where one delivery is shown
}

// Pending reports whether it is still to be sent.
func (d Delivery) Pending() bool { return d.State == "pending" }

// Pill is the class of the mark that shows the state.
func (d Delivery) Pill() string {
	switch {
	case d.State == "delivered":
		return "good"
	case d.State == "dead":
		return "bad"
	case d.Attempts > 0:
		return "caution"
	}
	return "off"
}

// StateName is the state as people say it.
func (d Delivery) StateName() string {
	switch {
	case d.State == "delivered":
		return "Delivered"
	case d.State == "dead":
		return "Given up"
	case d.State == "pending" && d.Attempts > 0:
		return "Waiting"
	case d.State == "pending":
		return "Sending"
	}
	return d.State
}

// Tries is how often it was tried.
func (d Delivery) Tries() string { return count(d.Attempts, "attempt", "attempts") }

// Result is what came of the last attempt, in a few words; "" before the first.
func (d Delivery) Result() string {
	switch {
	case d.LastStatus != 0:
		return strings.TrimSpace(fmt.Sprint(d.LastStatus, " ", http.StatusText(d.LastStatus)))
	case d.LastError != "":
		return upper(d.LastError)
	}
	return ""
}

// Problem says in a sentence why the last attempt failed; "" where it did not.
func (d Delivery) Problem() string {
	if d.LastError == "" {
		return ""
	}
	return upper(d.LastError) + "."
}

// upper gives a text a capital letter.
func upper(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// A DeliveryPage shows one delivery: what is sent, and what came back.
type DeliveryPage struct {
	Form     Form // of its button
	Hook     Webhook
	Delivery Delivery
}

func (DeliveryPage) page() string { return "delivery" }

func (v DeliveryPage) form() Form { return v.Form }

// Live is how the page follows the delivery: quickly before the first attempt is
// through, then slowly, and not at all once it has ended.
func (v DeliveryPage) Live() string {
	switch {
	case !v.Delivery.Pending():
		return ""
	case v.Delivery.Attempts == 0:
		return "soon"
	}
	return "true"
}

// GivenUp is when a delivery that waits is given up.
func (v DeliveryPage) GivenUp() time.Time { return v.Delivery.CreatedAt.Add(24 * time.Hour) }

// Moved reports whether the webhook was changed since it was tried last: it may have
// led elsewhere then.
func (v DeliveryPage) Moved() bool {
	return !v.Delivery.LastAt.IsZero() && v.Hook.UpdatedAt.After(v.Delivery.LastAt)
}

// Facts are what is said of a delivery.
func (v DeliveryPage) Facts() []Fact {
	d := v.Delivery
	facts := []Fact{text("Event", d.EventType), code("Event ID", d.EventID), code("Delivery ID", d.ID), at("Made", d.CreatedAt, "")}
	tried := at("Tried", d.LastAt, "not yet")
	if d.Attempts > 1 {
		tried = Fact{Name: "Tried", Time: momentOf(d.LastAt), Detail: "the last of " + d.Tries()}
	}
	return append(facts, tried)
}

// Headers are the lines at the head of the request, without the signature, which is
// made anew for each attempt.
func (v DeliveryPage) Headers() string {
	d := v.Delivery
	stamp := "seconds since 1970, of each attempt"
	if !d.LastAt.IsZero() {
		stamp = fmt.Sprint(d.LastAt.Unix())
	}
	return "POST " + visible(v.Hook.URL) + "\nContent-Type: application/json\nUser-Agent: wavegate\nwebhook-id: " + d.EventID +
		"\nwebhook-timestamp: " + stamp + "\nwebhook-signature: v1,…"
}

// Payload is the body for people. What is sent is the same without line breaks.
func (v DeliveryPage) Payload() string {
	var b bytes.Buffer
	if json.Indent(&b, v.Delivery.Payload, "", "  ") != nil {
		return visible(string(v.Delivery.Payload))
	}
	return visible(b.String())
}

// Response is how the answer began.
func (v DeliveryPage) Response() string { return visible(v.Delivery.LastResponse) }

// visible writes what cannot be seen, or turns the direction of its neighbours, as
// JSON writes it: \u202e. Line breaks and tabs stay.
func visible(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\n', c == '\t', !unicode.In(c, unicode.C, unicode.Other_Default_Ignorable_Code_Point):
			b.WriteRune(c)
		case c > 0xffff: // a pair, as in JSON
			high, low := (c-0x10000)>>10+0xd800, (c-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}
