package portal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThePolicyIsSearched(t *testing.T) {
	v := PolicyPage{Policy: Policy{
		Routes: []PolicyRoute{{Path: "/api", Roles: []string{"Reader"}}, {Path: "/other"}},
		Scopes: []PolicyScope{{Name: "streams:read", Endpoints: []string{"GET /readers"}}, {Name: "x"}},
		Roles:  []PolicyRole{{Name: "x", Members: []string{"READER@example.com"}}},
		Tiers:  []PolicyTier{{Name: "free"}},
	}}
	ids := func() (list []string) {
		for _, part := range v.Parts() {
			list = append(list, part.ID)
		}
		return list
	}
	if diff := cmp.Diff([]string{"routes", "scopes", "roles", "tiers", "defaults", "oauth", "webhooks"}, ids()); diff != "" {
		t.Errorf("all of it (-want +got):\n%s", diff)
	}
	v.Search = " reader "
	if diff := cmp.Diff([]string{"routes", "scopes", "roles"}, ids()); diff != "" {
		t.Errorf("reader (-want +got):\n%s", diff)
	}
	if p := v.Shown(); len(p.Routes) != 1 || len(p.Scopes) != 1 || len(v.Policy.Routes) != 2 || len(v.Policy.Scopes) != 2 {
		t.Errorf("got %+v of %+v", p, v.Policy)
	}
	v.Search = "none of it"
	if got := ids(); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestARouteIsAskedAbout(t *testing.T) {
	for want, r := range map[string]PolicyRoute{
		"GET /":                     {},
		"GET /v1":                   {Path: "/v1", Methods: []string{"POST", "GET"}},
		"POST api.example.com/v1":   {Host: "api.example.com", Path: "/v1", Methods: []string{"POST", "PUT"}},
		"GET www.old.example.com/x": {Host: "*.old.example.com", Path: "/x"},
	} {
		if got := r.Question(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNumbersOfThePolicyAreWords(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0 seconds", 90: "90 seconds", 300: "5 minutes", 5400: "90 minutes", 7200: "2 hours", 86400: "1 day", 2592000: "30 days"} {
		if got := lasting(seconds); got != want {
			t.Errorf("%d: got %q, want %q", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KB", 500 << 30: "500 GB", 1 << 40: "1 TB", 3 << 50: "3072 TB"} {
		if got := binarySize(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	for want, tier := range map[string]PolicyTier{
		"no bounds":                      {},
		"1 request a minute, 2 at once":  {PerMinute: 1, Concurrent: 2},
		"10 in a second, 1.5 KB a month": {PerSecond: 10, PerMonth: 1536},
	} {
		if got := tier.Bounds(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
