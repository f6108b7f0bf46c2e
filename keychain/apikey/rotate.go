package apikey

import (
	"errors"
	"slices"
	"time"
)

// Errors of Rotate.
var (
	ErrRevoked = errors.New("the API key is revoked and cannot be rotated: create a new one")
	ErrExpired = errors.New("the API key has expired and cannot be rotated: create a new one")
	ErrRotated = errors.New("the API key was rotated already: rotate the one that replaced it")
	ErrGrace   = errors.New("the grace period of a rotation cannot be negative: 0 ends the old API key at once")
)

// Rotate returns what becomes of a key that is replaced, and the key that
// replaces it. Both are accepted until grace is over; the old one never outlives
// its own expiry, and with a grace of 0 it is expired at once. The next key
// inherits everything, the account that limits and budgets are counted by and
// the expiry too; its Prefix, Hash and HashBy are left to the caller. The version
// of the old key is not raised, for the store to compare. Errors: ErrRevoked,
// ErrExpired, ErrRotated, ErrGrace.
func Rotate(old Record, now time.Time, grace time.Duration) (deprecated, next Record, err error) {
	now = now.UTC().Truncate(time.Millisecond)
	if err := rotatable(&old, now, grace); err != nil {
		return Record{}, Record{}, err
	}
	next = inherit(old, now)
	deprecated = old
	deprecated.DeprecatedAt = now
	deprecated.ReplacedBy = next.ID
	if end := now.Add(grace); old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
		deprecated.ExpiresAt = end.Truncate(time.Millisecond)
	}
	return deprecated, next, nil
}

func rotatable(r *Record, now time.Time, grace time.Duration) error {
	switch r.Status(now) {
	case Revoked:
		return ErrRevoked
	case Expired:
		return ErrExpired
	case Deprecated:
		return ErrRotated
	}
	if grace < 0 {
		return ErrGrace
	}
	return nil
}

// inherit returns the key that follows old.
func inherit(old Record, now time.Time) Record {
	next := old
	next.ID = NewID()
	if old.Account == "" {
		next.Account = old.ID
	}
	next.Hash, next.HashBy, next.Prefix = [32]byte{}, "", ""
	next.CreatedAt, next.LastUsedAt, next.Version = now, time.Time{}, 1
	next.Networks = nil
	next.Scopes = slices.Clone(old.Scopes)
	next.AllowedIPs = slices.Clone(old.AllowedIPs)
	next.Metadata = slices.Clone(old.Metadata)
	return next
}
