// Package webhook delivers events to the addresses that people registered:
// signed as Standard Webhooks, retried for a day, never to private addresses
// unless that is allowed. It keeps nothing on disk itself: package store writes
// an event with the change that caused it, and hands out what is due.
package webhook

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Errors of Store.
var (
	ErrNotFound = errors.New("no such webhook or delivery")
	ErrConflict = errors.New("the webhook was changed meanwhile")
	ErrTooMany  = errors.New("the owner has as many webhooks as there may be")
)

// The types of events.
const (
	KeyCreated         = "key_created"
	KeyRotated         = "key_rotated"
	KeyRevoked         = "key_revoked"
	KeyExpiring        = "key_expiring"
	KeyExpired         = "key_expired"
	Lockout            = "lockout"
	SuspiciousActivity = "suspicious_activity"
	TrialIssued        = "trial_issued"
	BudgetReached      = "budget_reached"
	ClientCreated      = "client_created"
	Ping               = "ping" // the test event
)

// Types returns all types that can be subscribed to.
func Types() []string {
	return []string{
		KeyCreated, KeyRotated, KeyRevoked, KeyExpiring, KeyExpired, Lockout, SuspiciousActivity,
		TrialIssued, BudgetReached, ClientCreated,
	}
}

// An Event is something that happened.
type Event struct {
	ID    string // "evt_" and 26 characters; the webhook-id header
	Type  string
	At    time.Time
	Owner string         // whose thing it is about, as apikey.Record.Owner; "" is the server's
	Data  map[string]any // never a secret
}

// An Endpoint is a registered address.
type Endpoint struct {
	ID          string // "whk_" and 26 characters
	Owner       string
	All         bool // also the events of others and of the server; administrators alone
	URL         string
	Description string
	Events      []string // of Types; empty is all
	Secret      []byte   // sealed; see Secret
	OldSecret   []byte   // sealed, the one before; signs too until OldEnds; nil for none
	OldEnds     time.Time
	DisabledAt  time.Time // zero: in use
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Version     int64
}

// Wants reports whether the endpoint is to be told of an event: it is in use, may
// know of it, and asked for its type. A Ping goes to the endpoint that is tested
// and is wanted by none.
func (e *Endpoint) Wants(ev *Event) bool {
	if !e.DisabledAt.IsZero() || ev.Type == Ping {
		return false
	}
	if !e.All && (ev.Owner == "" || ev.Owner != e.Owner) {
		return false
	}
	return len(e.Events) == 0 || slices.Contains(e.Events, ev.Type)
}

// A State is where a delivery stands.
type State string

// The states.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Dead      State = "dead" // given up after a day
)

// A Delivery is an event on its way to one endpoint.
type Delivery struct {
	ID         string // "dlv_" and 26 characters
	EndpointID string
	EventID    string
	EventType  string
	Payload    []byte // the body, as it is sent and signed
	State      State
	Attempts   int // that have a Result
	CreatedAt  time.Time
	NextAt     time.Time // when it is tried (again)
	LastAt     time.Time
	LastStatus int    // of the last answer; 0 for none
	LastError  string // for people, without secrets; "" for none
	LastBody   string // how the answer began, at most 1 KB
}

// A Result is what came of an attempt.
type Result struct {
	ID     string // of the delivery
	At     time.Time
	Status int
	Error  string
	Body   string
	State  State
	NextAt time.Time // for Pending
}

// Due is a delivery together with the endpoint that it goes to.
type Due struct {
	Delivery
	Endpoint Endpoint
}

// A Store hands out deliveries.
type Store interface {
	// ClaimDeliveries returns deliveries that are due, each to one process alone
	// until the time until, at most limit, and at most perEndpoint of one endpoint.
	// Deliveries whose claim has ended are due again.
	ClaimDeliveries(ctx context.Context, now, until time.Time, limit, perEndpoint int) ([]Due, error)

	// FinishDelivery notes a result, counts the attempt and takes the claim back.
	// Error: ErrNotFound, when the delivery was removed meanwhile.
	FinishDelivery(ctx context.Context, r Result) error

	// NextDelivery returns when the next delivery is due that nobody holds a claim
	// on; zero for none.
	NextDelivery(ctx context.Context) (time.Time, error)
}
