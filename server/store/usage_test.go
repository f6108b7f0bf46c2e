package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
	"wavegate/server/usage"
)

// bucket is some counts of a minute: n requests, of which one was refused.
func bucket(minutes int, key, owner, route string, n int64) usage.Bucket {
	b := usage.Bucket{
		Start:  start.Add(time.Duration(minutes) * time.Minute),
		Dims:   usage.Dims{Key: key, Owner: owner, Client: "c", Route: route},
		Counts: usage.Counts{Requests: n, Errors: 1, BytesIn: 10 * n, BytesOut: 100 * n, Refusals: map[string]int64{"locked_out": 1}},
	}
	b.Latency[0], b.Latency[len(b.Latency)-1] = n-1, 1
	return b
}

func query(t testing.TB, s *Store, q usage.Query) []usage.Bucket {
	t.Helper()
	rows, more, err := s.Usage(t.Context(), q)
	must(t, err)
	if more {
		t.Fatalf("more than %d rows", q.Limit)
	}
	return rows
}

// TestUsageAddsUpToHoursAndDays adds the same minutes twice, across an hour and a
// day.
func TestUsageAddsUpToHoursAndDays(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		some := []usage.Bucket{bucket(0, "k1", "ann", "r", 3), bucket(59, "k1", "ann", "r", 4), bucket(60, "k1", "ann", "r", 5), bucket(24*60, "k1", "ann", "r", 6)}
		must(t, s.AddUsage(t.Context(), some))
		must(t, s.AddUsage(t.Context(), some))
		must(t, s.AddUsage(t.Context(), nil))
		day := usage.Day.Of(start)
		for _, tt := range []struct {
			span usage.Span
			want map[time.Time]int64
		}{
			{usage.Minute, map[time.Time]int64{start: 6, start.Add(59 * time.Minute): 8, start.Add(time.Hour): 10, start.Add(24 * time.Hour): 12}},
			{usage.Hour, map[time.Time]int64{start: 14, start.Add(time.Hour): 10, start.Add(24 * time.Hour): 12}},
			{usage.Day, map[time.Time]int64{day: 24, day.Add(24 * time.Hour): 12}},
		} {
			got := map[time.Time]int64{}
			for _, b := range query(t, s, usage.Query{Span: tt.span, By: []string{"time"}, Limit: 10}) {
				got[b.Start] = b.Requests
			}
			wantSame(t, fmt.Sprint("span ", tt.span), got, tt.want)
		}
	})
}

func TestUsageIsToldApartAsAsked(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		must(t, s.AddUsage(t.Context(), []usage.Bucket{
			bucket(0, "k1", "ann", "r1", 1), bucket(0, "k2", "ann", "r1", 2), bucket(0, "K3", "bob", "r2", 3), bucket(1, "k1", "ann", "r2", 4),
		}))
		total := bucket(0, "", "", "", 10).Counts
		total.Errors, total.Refusals = 4, map[string]int64{"locked_out": 4}
		total.Latency[0], total.Latency[len(total.Latency)-1] = 6, 4
		hour := usage.Query{Span: usage.Hour, From: start, To: start.Add(time.Hour), Limit: 10}
		wantSame(t, "one total", query(t, s, hour), []usage.Bucket{{Span: usage.Hour, Counts: total}})
		for _, tt := range []struct {
			name   string
			change func(*usage.Query)
			want   []string
		}{
			{"by key", func(q *usage.Query) { q.By = []string{"key"} }, []string{"|K3||| 3", "|k1||| 5", "|k2||| 2"}},
			{"by route and time", func(q *usage.Query) { q.By = []string{"route", "time"}; q.Span = usage.Minute }, []string{
				"12:00||||r1 3", "12:00||||r2 3", "12:01||||r2 4",
			}},
			{"everything", func(q *usage.Query) { q.By = []string{"time", "key", "owner", "client", "route"} }, []string{
				"12:00|K3|bob|c|r2 3", "12:00|k1|ann|c|r1 1", "12:00|k1|ann|c|r2 4", "12:00|k2|ann|c|r1 2",
			}},
			{"of a key", func(q *usage.Query) { q.By = []string{"owner"}; q.Key = "k1" }, []string{"||ann|| 5"}},
			{"of an owner", func(q *usage.Query) { q.By = []string{"owner", "route"}; q.Owner = "ann" }, []string{"||ann||r1 3", "||ann||r2 4"}},
			{"of key and owner", func(q *usage.Query) { q.By = []string{"key"}; q.Key, q.Owner = "k1", "bob" }, nil},
			{"of a client", func(q *usage.Query) { q.Client = "c" }, []string{"|||| 10"}},
			{"of a route", func(q *usage.Query) { q.By = []string{"key"}; q.Route = "r2" }, []string{"|K3||| 3", "|k1||| 4"}},
			{"from", func(q *usage.Query) { q.Span, q.From = usage.Minute, start.Add(time.Minute) }, []string{"|||| 4"}},
			{"to", func(q *usage.Query) { q.Span, q.To = usage.Minute, start.Add(time.Minute) }, []string{"|||| 6"}},
			{"a total of nothing", func(q *usage.Query) { q.Key = "nobody's" }, []string{"|||| 0"}},
			{"nothing", func(q *usage.Query) { q.By = []string{"key"}; q.Key = "nobody's\x00" }, nil},
		} {
			q := hour
			tt.change(&q)
			var got []string
			for _, b := range query(t, s, q) {
				at := ""
				if !b.Start.IsZero() {
					at = b.Start.Format("15:04")
				}
				got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s %d", at, b.Key, b.Owner, b.Client, b.Route, b.Requests))
			}
			wantSame(t, tt.name, got, tt.want)
		}
		_, _, err := s.Usage(t.Context(), usage.Query{By: []string{"key; DROP TABLE usage"}, Limit: 1})
		if err == nil || errors.Is(err, session.ErrUnavailable) {
			t.Errorf("grouped by nonsense: error %v", err)
		}
	})
}

// TestUsageSaysThatThereIsMore also looks at the refusals of a page that ends in
// the middle of a time.
func TestUsageSaysThatThereIsMore(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var all []usage.Bucket
		for i := range 250 { // more than one statement's
			b := bucket(i/50, fmt.Sprintf("k%02d", i%50), "ann", "r", 1)
			b.Refusals = map[string]int64{fmt.Sprint("code", i): int64(i + 1)}
			all = append(all, b)
		}
		must(t, s.AddUsage(t.Context(), all))
		q := usage.Query{Span: usage.Minute, By: []string{"time", "key", "owner", "client", "route"}}
		for _, limit := range []int{0, 1, 75, 249, 250, 251} {
			q.Limit = limit
			rows, more, err := s.Usage(t.Context(), q)
			must(t, err)
			if more != (limit > 0 && limit < 250) {
				t.Errorf("limit %d: more is %v", limit, more)
			}
			if diff := cmp.Diff(all[:min(limit, 250)], rows); diff != "" && limit > 0 {
				t.Errorf("limit %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}

// TestUsageIsAddedWholeOrNotAtAll lets each statement fail in turn, so that what
// the recorder adds again is not counted twice.
func TestUsageIsAddedWholeOrNotAtAll(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for n := 1; ; n++ {
			seen := 0
			s.watch = func(q querier) querier { return &failing{q, n, &seen} }
			err := s.AddUsage(t.Context(), []usage.Bucket{bucket(0, "k", "ann", "r", 1)})
			s.watch = nil
			if err == nil {
				wantSame(t, "statements", seen, 2)
				break
			}
			wantErr(t, "add", err, session.ErrUnavailable)
			wantSame(t, "rows", count(t, s, "usage")+count(t, s, "usage_refusals"), 0)
		}
		wantSame(t, "rows", count(t, s, "usage")+count(t, s, "usage_refusals"), 6)
	})
}

// TestRacingUsageIsAddedUp has several processes add to the same rows, in orders
// of their own.
func TestRacingUsageIsAddedUp(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		together(8, func(i int) {
			var all []usage.Bucket
			for n := range 40 {
				all = append(all, bucket(n%3, fmt.Sprint("k", (n*(2*i+1))%40), "ann", "r", 1))
			}
			for range 3 {
				if err := stores[i%2].AddUsage(t.Context(), all); err != nil {
					t.Error(err)
				}
			}
		})
		for _, span := range spans {
			total := query(t, s, usage.Query{Span: span, Limit: 1})
			wantSame(t, fmt.Sprint("requests of span ", span), total[0].Requests, int64(8*3*40))
			wantSame(t, fmt.Sprint("refusals of span ", span), total[0].Refusals["locked_out"], int64(8*3*40))
		}
	})
}

func TestSweepUsage(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var all []usage.Bucket
		for i := range 48 {
			all = append(all, bucket(60*i, "k", "ann", "r", 1))
		}
		must(t, s.AddUsage(t.Context(), all))
		before := map[usage.Span]time.Time{usage.Minute: start.Add(24 * time.Hour), usage.Hour: start.Add(12 * time.Hour)}
		n, err := s.SweepUsage(t.Context(), before, 10)
		must(t, err)
		wantSame(t, "removed of at most 10", n, 10)
		wantSame(t, "the oldest first", count(t, s, "usage WHERE span = 0 AND start < ?", start.Add(10*time.Hour).UnixMilli()), 0)
		n, err = s.SweepUsage(t.Context(), before, 1000)
		must(t, err)
		wantSame(t, "removed", n, 2*(24+12)-10)
		for span, want := range []int{24, 36, 3} {
			wantSame(t, fmt.Sprint("left of span ", span), []int{
				count(t, s, "usage WHERE span = ?", span), count(t, s, "usage_refusals WHERE span = ?", span),
			}, []int{want, want})
		}
	})
}

// TestNamesThatAreNoTextDoNotStopUsage: counts that cannot be stored would be
// tried again for ever.
func TestNamesThatAreNoTextDoNotStopUsage(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		a, b := bucket(0, "k", "a\x00", "\xff", 1), bucket(0, "k", "a\uFFFD", "\uFFFD", 1)
		a.Refusals, b.Refusals = map[string]int64{"\x00": 1, "\uFFFD": 1}, nil
		must(t, s.AddUsage(t.Context(), []usage.Bucket{a, b}))
		got := query(t, s, usage.Query{By: []string{"owner", "route"}, Owner: "a\x00", Limit: 5})
		wantSame(t, "rows", len(got), 1)
		wantSame(t, "requests", got[0].Requests, int64(2))
		wantSame(t, "refusals", got[0].Refusals, map[string]int64{"\uFFFD": 2})
	})
}

// TestUsageIsTheSumOfWhatWasAdded adds random counts in random batches: minutes,
// hours and days each add up to the plain sum, in all and for each key.
func TestUsageIsTheSumOfWhatWasAdded(t *testing.T) {
	s := open(t, Config{URL: storetest.SQLite(t)})
	rapid.Check(t, func(rt *rapid.T) {
		run(t, s, "DELETE FROM usage")
		run(t, s, "DELETE FROM usage_refusals")
		var total usage.Counts
		byKey := map[string]int64{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			all := rapid.SliceOfN(rapid.Custom(drawBucket), 0, 30).Draw(rt, "buckets")
			for _, b := range all {
				total.Add(&b.Counts)
				byKey[b.Key] += b.Requests
			}
			if err := s.AddUsage(t.Context(), all); err != nil {
				rt.Fatal(err)
			}
		}
		for _, span := range spans {
			rows := query(t, s, usage.Query{Span: span, By: []string{"time", "key", "route"}, Limit: 1000})
			var sum usage.Counts
			keys := map[string]int64{}
			for _, b := range rows {
				sum.Add(&b.Counts)
				keys[b.Key] += b.Requests
				if !span.Of(b.Start).Equal(b.Start) {
					rt.Fatalf("a bucket of span %d begins at %v", span, b.Start)
				}
			}
			if diff := cmp.Diff(total, sum); diff != "" {
				rt.Fatalf("span %d (-want +got):\n%s", span, diff)
			}
			if !maps.Equal(keys, byKey) {
				rt.Fatalf("span %d: by key %v, want %v", span, keys, byKey)
			}
			if !slices.IsSortedFunc(rows, func(a, b usage.Bucket) int { return a.Start.Compare(b.Start) }) {
				rt.Fatalf("span %d: not in the order of time", span)
			}
		}
	})
}

func drawBucket(t *rapid.T) usage.Bucket {
	c := usage.Counts{
		Requests: rapid.Int64Range(1, 1000).Draw(t, "requests"),
		BytesOut: rapid.Int64Range(0, 1<<40).Draw(t, "bytes"),
	}
	c.Latency[rapid.IntRange(0, len(c.Latency)-1).Draw(t, "latency")] = c.Requests
	if code := rapid.SampledFrom([]string{"", "locked_out", "not_found"}).Draw(t, "code"); code != "" {
		c.Refusals = map[string]int64{code: 1}
	}
	return usage.Bucket{
		Start: start.Add(time.Duration(rapid.IntRange(0, 3*24*60*60).Draw(t, "seconds")) * time.Second),
		Dims: usage.Dims{
			Key:   rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "key"),
			Route: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "route"),
		},
		Counts: c,
	}
}
