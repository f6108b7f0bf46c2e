package portal

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// answered is an answer of the API about usage.
func answered(t *testing.T, rows string) UsageAnswer {
	t.Helper()
	var a UsageAnswer
	if err := json.Unmarshal([]byte(`{"span": "hour", "latency_bounds_ms": [1, 10, 100], "rows": `+rows+`, "more": false}`), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestUsageIsSortedIntoSteps(t *testing.T) {
	now := time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC)
	u := UsageOf(answered(t, `[
		{"time": "2026-03-02T17:00:00Z", "requests": 100, "refused": 0, "refusals": {}},
		{"time": "2026-03-09T12:00:00Z", "requests": 5, "refused": 2, "refusals": {"key_expired": 2}, "errors": 1, "bytes_out": 1200, "latency_ms": {"p50": 1, "buckets": [5, 0, 0, 0]}},
		{"time": "2026-03-09T13:00:00Z", "requests": 3, "refused": 1, "refusals": {"not_found": 1}, "latency_ms": {"p50": null, "buckets": [0, 0, 3, 0]}},
		{"time": "2026-03-09T18:00:00Z", "requests": 100, "refusals": null}
	]`), UsageRangeOf("7d"), now)
	last := u.Steps[len(u.Steps)-1]
	if last.Requests != 8 || last.Refused != 3 || u.Total.Requests != 8 || last.Refusals["key_expired"] != 2 {
		t.Errorf("the last step is %+v, the total %+v", last, u.Total)
	}
	if diff := cmp.Diff([]int64{5, 0, 3, 0}, last.Latency.Buckets); diff != "" {
		t.Error(diff)
	}
	var tiles []string
	for _, tile := range u.Tiles() {
		tiles = append(tiles, tile.Number)
	}
	if diff := cmp.Diff([]string{"8", "38 %", "12 %", "88 ms", "1.2 KB"}, tiles); diff != "" {
		t.Error(diff)
	}
	if s := u.Spark(); s.Sum() != 8 || len(s.Values) != u.Range.Count {
		t.Errorf("the spark is %v", s)
	}
}

// TestPercentilesAreThoseOfTheAPI looks at the numbers that docs/usage.md promises:
// within the bucket where the truth is.
func TestPercentilesAreWithinTheRightBucket(t *testing.T) {
	bounds := []float64{1, 10, 100, 1000}
	bucket := func(ms float64) int {
		i, _ := slices.BinarySearch(bounds, ms)
		return i
	}
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Float64Range(0, 900), 1, 40).Draw(t, "took")
		var r UsageRow
		r.Latency.Buckets = make([]int64, len(bounds)+1)
		for _, ms := range took {
			r.Latency.Buckets[bucket(ms)]++
		}
		slices.Sort(took)
		for k, ms := range took {
			if got := r.percentile(bounds, (float64(k)+.5)/float64(len(took))); bucket(got) != bucket(ms) {
				t.Fatalf("%v for %v", got, ms)
			}
		}
	})
	for name, r := range map[string]UsageRow{"nothing": {}, "no buckets": {Requests: 1}} {
		if got := r.percentile(bounds, .5); !math.IsNaN(got) {
			t.Errorf("%s: %v, want none", name, got)
		}
	}
}

func TestRefusalsAreTheMostFrequentAndTheRest(t *testing.T) {
	now := time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC)
	u := UsageOf(answered(t, `[{"time": "2026-03-09T14:00:00Z", "requests": 20, "refused": 15, "refusals": {"a_b": 5, "c": 4, "d": 3, "e": 2, "f": 1}}]`), UsageRangeOf("24h"), now)
	got := map[string]string{}
	for _, s := range u.Refusals("").Series {
		got[s.Name] = s.Total
	}
	if diff := cmp.Diff(map[string]string{"A b": "5", "C": "4", "D": "3", "Other reasons": "3"}, got); diff != "" {
		t.Error(diff)
	}
	if !u.Latency("").Blank() || u.Requests("").Blank() {
		t.Error("what was not measured is shown, or what was is not")
	}
}

// TestUsagePagesTakeEverythingForText shows names, routes and codes that are markup.
func TestUsagePagesTakeEverythingForText(t *testing.T) {
	const evil = `"><script>alert(1)</script><b onclick='x'>`
	now := time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC)
	rows, _ := json.Marshal([]map[string]any{{"time": now, "requests": 20, "refused": 15, "refusals": map[string]int{evil: 15}, "latency_ms": map[string]any{"buckets": []int{1, 1, 1, 1}}}})
	u := UsageOf(answered(t, string(rows)), UsageRangeOf("24h"), now)
	chart := u.Refusals("/v1/" + evil)
	chart.ID, chart.Title, chart.Unit = evil, evil, evil
	for name, v := range map[string]View{
		"usage": UsagePage{
			Ranges: []Choice{{evil, "/" + evil, true}}, Filters: []Filter{{evil, evil, []Option{{Value: evil, Name: evil}}}}, Kept: []Kept{{evil, evil}},
			Tiles: []Tile{{Name: evil, Number: evil, Sub: evil, URL: evil}}, Charts: []Chart{chart, u.Latency(evil)}, Clear: evil,
			Shares: []Shares{{ID: evil, Title: evil, Head: evil, Left: evil, Rows: []Share{{Name: evil, Sub: evil, URL: "/" + evil, Requests: 1, Of: 1, Spark: u.Spark()}}}},
		},
		"empty usage": UsagePage{None: &Empty{Icon: "chart", Title: evil, Words: evil, Link: &Button{evil, evil}}},
		"overview": OverviewPage{
			Asked: true, Attention: slices.Repeat([]Attention{{Kind: evil, ID: evil, Name: evil, Owner: evil, Message: evil, URL: "/" + evil}}, 7), More: true,
			Tiles: u.Tiles(), Chart: &chart, Newest: []Key{{ID: "key_" + evil, Name: evil, Prefix: evil, Status: evil}},
			Server: &ServerState{Parts: []Part{{evil, "failed", evil}}, Tiles: u.Tiles(), Chart: chart},
		},
		"first steps": OverviewPage{Steps: &FirstSteps{Key: &Key{ID: evil, Name: evil}, Try: evil}},
	} {
		page := show(t, v)
		for _, bad := range []string{"<script>alert", "<b onclick", "%!"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %s", name, bad)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)") {
			t.Errorf("%s: the text is not there", name)
		}
	}
}

func TestOverviewSaysWhatIsWrongFirst(t *testing.T) {
	calm := show(t, OverviewPage{Asked: true, Server: &ServerState{}})
	for _, want := range []string{"Nothing needs your attention.", "Every part of the server works."} {
		if !strings.Contains(calm, want) {
			t.Errorf("the calm page lacks %q", want)
		}
	}
	items := slices.Repeat([]Attention{{Kind: "key_expiring", Severity: "serious", ID: "key_1", Name: "ci", Message: "It ends."}}, 7)
	page := show(t, OverviewPage{Asked: true, Attention: items, More: true, Server: &ServerState{Parts: []Part{{"store", "failed", "It is full."}}}})
	for _, want := range []string{`<details class="more-alerts" id="more-attention"><summary>2 more</summary>`, "There is still more", "It is full.", "Serious: "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if unasked := show(t, OverviewPage{}); strings.Contains(unasked, "attention") {
		t.Error("it speaks of what it does not know")
	}
}

func TestAttentionLeadsToTheThing(t *testing.T) {
	for _, tt := range []struct{ kind, id, want string }{
		{"key_expiring", "key_1", "keys/key_1"},
		{"key_locked", "AKIA", ""}, // an access key has no page of its own
		{"client_secret_ending", "client_1", "apps/client_1"},
		{"webhook_failing", "wh_1", "webhooks/wh_1"},
		{"something_new", "x", ""},
	} {
		if got := (Attention{Kind: tt.kind, ID: tt.id}).Path(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.kind, got, tt.want)
		}
	}
}
