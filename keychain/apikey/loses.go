package apikey

import (
	"net/netip"
	"slices"
	"time"
)

// losesTo reports whether a key lost something when it became what next says:
// then requests under way with the old one must not go on. What it gained, its
// name, its metadata, its tier, its budget, and a rotation that leaves it a grace
// period take nothing away.
func losesTo(old, next *Record, now int64) bool {
	if s := next.Status(time.UnixMilli(now)); s != Active && s != Deprecated {
		return true
	}
	return old.ID != next.ID ||
		old.Environment != next.Environment ||
		old.Owner != next.Owner || old.UserID != next.UserID ||
		old.Role != "" && old.Role != next.Role ||
		losesScope(old.Scopes, next.Scopes) ||
		losesAddress(old.AllowedIPs, next.AllowedIPs)
}

func losesScope(old, next []string) bool {
	return !slices.Contains(next, "*") &&
		slices.ContainsFunc(old, func(s string) bool { return !slices.Contains(next, s) })
}

// losesAddress compares allow-lists. The empty one allows everybody.
func losesAddress(old, next []netip.Prefix) bool {
	if len(next) == 0 {
		return false
	}
	return len(old) == 0 || slices.ContainsFunc(old, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(next, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	})
}
