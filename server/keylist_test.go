package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
)

// names are the names of keys page by page, of two each.
func (m *managed) names(who, query string) (all []string) {
	m.t.Helper()
	cursor := ""
	for {
		a := m.as(who, "GET", "/v1/auth/keys?limit=2"+query+cursor, "").want(m.t, 200, "")
		var page struct {
			Keys []keyView `json:"api_keys"`
			Next string    `json:"next_cursor"`
		}
		must(m.t, json.Unmarshal([]byte(a.body), &page))
		for _, k := range page.Keys {
			all = append(all, k.Name)
		}
		if page.Next == "" {
			return all
		}
		cursor = "&cursor=" + page.Next
	}
}

func TestKeysAreListedInTheOrderThatIsAskedFor(t *testing.T) {
	m := manage(t)
	start := time.Now().UTC().Truncate(time.Millisecond)
	for i, c := range []struct {
		name          string
		expires, used int // hours; 0 is never
		owner         string
	}{
		{name: "beta", expires: 3, used: 1},
		{name: "Alpha", expires: 0, used: 3},
		{name: "gamma", expires: 1, used: 0},
		{name: "Ärger", expires: 2, used: 2},
		{name: "delta", expires: 0, used: 0, owner: "key:bob"},
	} {
		m.keyOf("key:ann", c.name, func(r *apikey.Record) {
			r.CreatedAt = start.Add(time.Duration(i) * time.Second)
			if c.expires > 0 {
				r.ExpiresAt = start.Add(time.Duration(c.expires) * time.Hour)
			}
			if c.used > 0 {
				r.LastUsedAt = start.Add(-time.Duration(c.used) * time.Hour)
			}
			if c.owner != "" {
				r.Owner = c.owner
			}
		})
	}
	for query, want := range map[string]string{
		"":                                   "Ärger gamma Alpha beta",
		"&sort=created_at&order=asc":         "beta Alpha gamma Ärger",
		"&sort=name&order=asc":               "Alpha beta gamma Ärger",
		"&sort=name":                         "Ärger gamma beta Alpha",
		"&sort=last_used_at&order=desc":      "beta Ärger Alpha gamma",
		"&sort=last_used_at&order=asc":       "Alpha Ärger beta gamma",
		"&sort=name&order=asc&q=a":           "Alpha beta gamma Ärger",
		"&sort=name&order=asc&status=active": "Alpha beta gamma Ärger",
	} {
		if diff := cmp.Diff(strings.Fields(want), m.names("ann", query)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	for query, want := range map[string]string{"&order=asc": "gamma Ärger beta", "": "beta Ärger gamma"} {
		if got := m.names("admin", "&all=true&sort=expires_at"+query); !slices.Equal(got[:3], strings.Fields(want)) || len(got) != 5 {
			t.Errorf("%q: %v, want %s and those that never end", query, got, want)
		}
	}
	byName := m.as("ann", "GET", "/v1/auth/keys?limit=1&sort=name", "").text(t, "next_cursor")
	byTime := m.as("ann", "GET", "/v1/auth/keys?limit=1", "").text(t, "next_cursor")
	if !isKeyID(byTime) {
		t.Errorf("the cursor of the usual list is %s", byTime)
	}
	m.try([]try{
		{"ann", "GET", "/v1/auth/keys?sort=owner&order=up", "", 400, "invalid_request", []string{`"field":"sort"`, `"field":"order"`}, nil},
		{"ann", "GET", "/v1/auth/keys?sort=last_used_at&cursor=" + byName, "", 400, "invalid_request", []string{`"field":"cursor"`}, nil},
		{"ann", "GET", "/v1/auth/keys?sort=name&cursor=" + byTime, "", 400, "invalid_request", []string{`"field":"cursor"`}, nil},
		{"ann", "GET", "/v1/auth/keys?cursor=" + byName, "", 400, "invalid_request", []string{`"field":"cursor"`}, nil},
		{"ann", "GET", "/v1/auth/keys/export?sort=name&order=asc", "", 200, "", []string{"Alpha", "gamma"}, nil},
	})
}
