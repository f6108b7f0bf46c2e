package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
)

// errBoundedMaker refuses a key whose operations are counted: what it makes would
// be counted by itself, so that it could spend more than it has.
var errBoundedMaker = fault.New(http.StatusForbidden, "insufficient_scope",
	"A key that has an operation limit or a budget cannot make or change keys and clients.")

// mayMake reports whether the caller may make keys and clients, or widen them, at all.
func mayMake(c *apiCaller) error {
	if c.key != nil && (c.key.OpsLimit > 0 || c.key.Budget != apikey.Budget{} || c.key.Environment == apikey.Trial) {
		return errBoundedMaker
	}
	return nil
}

// beyond returns what a key would hold beyond whoever makes it, in words.
func (k *keyService) beyond(c *apiCaller, rec *apikey.Record) []string {
	list := k.policy.Exceeds(c.who, rec.Role, rec.Scopes, rec.Tier)
	if !c.owns(rec.Owner) {
		list = append(list, "another owner")
	}
	if c.key == nil {
		return list
	}
	list = append(list, beyondEnvironment(c.key, rec)...)
	if !endsBy(rec.ExpiresAt, c.key.ExpiresAt) {
		list = append(list, endAfter(c.key))
	}
	if !isWithin(rec.AllowedIPs, c.key.AllowedIPs) {
		list = append(list, "allowed_ips outside of those of the key that asks")
	}
	return list
}

// beyondChange returns what a change gives a key beyond whoever makes it. What
// the key held before is not asked about.
func (k *keyService) beyondChange(c *apiCaller, old, next *apikey.Record) []string {
	var list []string
	for _, what := range k.policy.Exceeds(c.who, next.Role, added(old.Scopes, next.Scopes), next.Tier) {
		sameRole := next.Role == old.Role
		if strings.HasPrefix(what, "role ") && sameRole || strings.HasPrefix(what, "tier ") && sameRole && next.Tier == old.Tier {
			continue
		}
		list = append(list, what)
	}
	if c.key == nil {
		return list
	}
	list = append(list, beyondEnvironment(c.key, next)...)
	if !endsBy(next.ExpiresAt, old.ExpiresAt) && !endsBy(next.ExpiresAt, c.key.ExpiresAt) {
		list = append(list, endAfter(c.key))
	}
	if !isWithin(next.AllowedIPs, old.AllowedIPs) && !isWithin(next.AllowedIPs, c.key.AllowedIPs) {
		list = append(list, "allowed_ips outside of those of the key that asks")
	}
	return list
}

// beyondEnvironment refuses keys of one environment what is of another: a leaked
// test key says nothing about live ones.
func beyondEnvironment(key, rec *apikey.Record) []string {
	if key.Environment == rec.Environment {
		return nil
	}
	return []string{"environment " + string(rec.Environment)}
}

func endAfter(key *apikey.Record) string { return "expires_at after " + rfc3339(key.ExpiresAt) }

// exceeding refuses what is beyond the caller and names all of it.
func exceeding(beyond []string) error {
	if len(beyond) == 0 {
		return nil
	}
	code := errInsufficientRole.Code
	if slices.ContainsFunc(beyond, func(what string) bool { return strings.HasPrefix(what, "scope ") }) {
		code = "insufficient_scope"
	}
	e := fault.New(http.StatusForbidden, code, "Nobody can give more than they hold. This is too much: "+strings.Join(beyond, ", ")+".")
	e.Need = beyond
	return e
}

// added returns the scopes that are in next and were not in old.
func added(old, next []string) []string {
	var more []string
	for _, s := range next {
		if !slices.Contains(old, s) {
			more = append(more, s)
		}
	}
	return more
}

// endsBy reports whether what ends at a time has ended by a limit; zero is never.
func endsBy(end, limit time.Time) bool {
	return limit.IsZero() || !end.IsZero() && !end.After(limit)
}

// isWithin reports whether an allow-list lets in nobody whom the bound keeps out.
// An empty list lets in everybody.
func isWithin(list, bound []netip.Prefix) bool {
	if len(bound) == 0 {
		return true
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(bound, func(b netip.Prefix) bool { return b.Bits() <= p.Bits() && b.Contains(p.Addr()) })
	})
}
