package portal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A PolicyPage shows the policy in force.
type PolicyPage struct {
	Policy Policy
	Search string // what the tables are narrowed to; "" for nothing
}

func (PolicyPage) page() string { return "policy" }

// Shown is the policy with what fits the search alone.
func (v PolicyPage) Shown() Policy {
	p := v.Policy
	p.Routes = sift(p.Routes, v.Search)
	p.Scopes = sift(p.Scopes, v.Search)
	p.Roles = sift(p.Roles, v.Search)
	p.AccessKeys = sift(p.AccessKeys, v.Search)
	p.Tiers = sift(p.Tiers, v.Search)
	p.Providers = sift(p.Providers, v.Search)
	p.Issuers = sift(p.Issuers, v.Search)
	return p
}

// sift keeps what has a text in one of its words, in letters of any case.
func sift[T interface{ words() []string }](list []T, q string) []T {
	q = strings.ToLower(strings.TrimSpace(q))
	return slices.DeleteFunc(slices.Clone(list), func(item T) bool {
		return !slices.ContainsFunc(item.words(), func(s string) bool { return strings.Contains(strings.ToLower(s), q) })
	})
}

// A PolicyPart leads to a part of the page.
type PolicyPart struct {
	ID, Name string
	Many     int // entries; 0 is not said
}

// Parts are the parts of the page that have something in them.
func (v PolicyPage) Parts() []PolicyPart {
	p := v.Shown()
	parts := []PolicyPart{
		{"routes", "Routes", len(p.Routes)},
		{"scopes", "Scopes", len(p.Scopes)},
		{"roles", "Roles", len(p.Roles)},
		{"access-keys", "Access keys", len(p.AccessKeys)},
		{"tiers", "Tiers", len(p.Tiers)},
		{"providers", "Providers", len(p.Providers)},
		{"issuers", "Issuers", len(p.Issuers)},
	}
	parts = slices.DeleteFunc(parts, func(part PolicyPart) bool { return part.Many == 0 })
	if v.Search == "" {
		parts = append(parts, PolicyPart{"defaults", "Defaults", 0}, PolicyPart{"oauth", "OAuth", 0}, PolicyPart{"webhooks", "Webhooks", 0})
	}
	return parts
}

// NoFile reports whether no policy file is named: the settings of the command line are
// all that counts.
func (v PolicyPage) NoFile() bool { return len(v.Policy.Files) == 0 }

// NoneFits stands where nothing fits the search.
func (v PolicyPage) NoneFits() Empty {
	return Empty{Icon: "rules", Title: "Nothing fits", Words: "The search looks at names, paths, scopes, roles, members and addresses."}
}

// lasting writes seconds in words, in the greatest unit that they are a whole number of,
// and those of less than a day as they are.
func lasting(seconds int64) string {
	for _, unit := range []struct {
		seconds   int64
		one, many string
	}{{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}} {
		if seconds >= unit.seconds && seconds%unit.seconds == 0 {
			return count(seconds/unit.seconds, unit.one, unit.many)
		}
	}
	return count(seconds, "second", "seconds")
}

// binarySize writes a number of bytes as the policy does: K, M, G and T count by 1,024.
func binarySize(n int64) string {
	size, unit := float64(n), "bytes"
	for _, next := range []string{"KB", "MB", "GB", "TB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	return cmp.Or(strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0"), "0") + " " + unit
}
