// Package apikey owns API keys: how they look, how they are hashed, what is
// known of each, and the memory of those that are in use. It keeps nothing on
// disk itself (package store does), decides nothing about requests (package
// policy does), and counts no requests (package limit does).
package apikey

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Errors of Store and Manager.
var (
	ErrNotFound    = errors.New("no such API key")                         // never was, or was removed: the same to the caller
	ErrConflict    = errors.New("the API key was changed meanwhile")       // read it again, then decide again
	ErrUnavailable = errors.New("the store of API keys cannot be asked")   // nothing may be concluded: answer 503
	ErrReplayed    = errors.New("the Idempotency-Key was used already")    // the earlier answer is to be given again
	ErrReused      = errors.New("the Idempotency-Key came with a request") // of another content than the first time
)

// An Environment says what a key is for. It stands in the key itself.
type Environment string

// The environments.
const (
	Live  Environment = "live"
	Test  Environment = "test"
	Dev   Environment = "dev"
	Trial Environment = "trial"
)

// Valid reports whether e is one of the four.
func (e Environment) Valid() bool { return e == Live || e == Test || e == Dev || e == Trial }

// A Status is what a key is at a moment.
type Status string

// The statuses. Only Active and Deprecated keys open anything.
const (
	Active     Status = "active"
	Deprecated Status = "deprecated" // rotated, in its grace period
	Expired    Status = "expired"
	Revoked    Status = "revoked"
)

// Bounds of a record.
const (
	MaxName        = 200      // characters
	MaxDescription = 2000     // characters
	MaxMetadata    = 16 << 10 // bytes of JSON
	MaxScopes      = 200
	MaxAllowedIPs  = 100
	MaxNetworks    = 64 // that are remembered of one key
)

// A Budget bounds operations by calendar day and month (UTC). 0 is no bound.
type Budget struct {
	PerDay   int64
	PerMonth int64
}

// A Record is one API key as the store keeps it. Times are UTC, milliseconds;
// the zero time is never.
type Record struct {
	ID      string   // "key_" and 26 characters: public
	Hash    [32]byte // of the whole key, see Hasher
	HashBy  string   // which secret hashed it: Hasher.Version, or ImportedSHA256
	Prefix  string   // how the key begins: brand, environment and 8 digits, to tell keys apart in lists
	Account string   // ID of the first key of a chain of rotations; limits and budgets are counted by it

	Name        string
	Description string
	Environment Environment
	Role        string   // "" is none
	Scopes      []string // beside those of the role; "*" is all
	AllowedIPs  []netip.Prefix
	Metadata    []byte // a JSON object, or nil
	Tier        string // "" is the policy's default
	OpsLimit    int64  // operations in the key's whole life; 0 is no limit
	Budget      Budget

	Owner  string // "sub:SUBJECT" of a person, "key:ID" of an access key, "cli", or "trial"
	UserID string // session.User.ID of an owner who signed in; "" for others

	CreatedAt    time.Time
	ExpiresAt    time.Time
	LastUsedAt   time.Time
	DeprecatedAt time.Time // when it was rotated
	RevokedAt    time.Time
	ReplacedBy   string // ID of the key that rotation made; "" for none
	Version      int64  // raised by each change, from 1

	// Networks are those that the key was used from, as NetworkOf names them. Only
	// Store.ByHash and Store.Get fill them in.
	Networks []netip.Prefix
}

// NewID returns the ID of a new key.
func NewID() string { return "key_" + strings.ToLower(rand.Text()) }

// Status returns what the key is at a time.
func (r *Record) Status(now time.Time) Status {
	switch {
	case !r.RevokedAt.IsZero():
		return Revoked
	case !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt):
		return Expired
	case !r.DeprecatedAt.IsZero():
		return Deprecated
	}
	return Active
}

// Allows reports whether the key's allow-list lets an address in. Mapped IPv4
// counts as IPv4; an empty list lets everybody in, and an invalid address (a Unix
// socket) only passes an empty list.
func (r *Record) Allows(ip netip.Addr) bool {
	if len(r.AllowedIPs) == 0 {
		return true
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range r.AllowedIPs {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// NetworkOf returns the network that an address stands for where the question is
// whether a key was used from there before: an IPv4 /24 or an IPv6 /48.
func NetworkOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
