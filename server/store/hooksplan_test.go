package store

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"wavegate/server/usage"
	"wavegate/server/webhook"
)

// fillHooks makes 100 webhooks of 50 owners, 3,000 deliveries of all states, and
// 3,000 counts of usage, and returns a webhook that stays.
func fillHooks(t testing.TB, s *Store) webhook.Endpoint {
	t.Helper()
	var some webhook.Endpoint
	for i := range 100 {
		e := newEndpoint(fmt.Sprint("owner", i%50), start.Add(time.Duration(i)*time.Second))
		if i%20 == 0 {
			e.DisabledAt = start
		}
		e.All = i%20 == 1
		some = addEndpoint(t, s, e)
	}
	hash := map[bool]string{false: "lower(hex(randomblob(8)))", true: "md5(random()::text)"}[s.dialect.numbered]
	run(t, s, "INSERT INTO events (id, type, owner, at, payload) SELECT 'evt_' || w.id || n.id, 'x', w.owner, n.created_at, ? FROM webhooks w, webhooks n WHERE n.created_at < ?",
		[]byte("{}"), start.Add(30*time.Second).UnixMilli())
	run(t, s, `INSERT INTO deliveries (id, endpoint_id, event_id, state, attempts, created_at, next_at, due_at, last_at, last_status, last_error, last_body)
		SELECT `+hash+` || v.id, substr(v.id, 5, 30), v.id,
			CASE v.at % 3000 WHEN 0 THEN 'pending' WHEN 1000 THEN 'delivered' ELSE 'dead' END, 0, v.at, v.at, v.at, v.at, 0, '', '' FROM events v`)
	run(t, s, "INSERT INTO events (id, type, owner, at, payload) SELECT 'alone' || w.id, 'x', w.owner, w.created_at - 50000, ? FROM webhooks w", []byte("{}"))
	var buckets []usage.Bucket
	for i := range 1000 {
		buckets = append(buckets, usage.Bucket{
			Start:  start.Add(time.Duration(i) * 3 * time.Hour),
			Dims:   usage.Dims{Key: fmt.Sprint("key", i%100), Owner: fmt.Sprint("owner", i%50), Route: "r"},
			Counts: usage.Counts{Requests: 1, Refusals: map[string]int64{"locked_out": 1}},
		})
	}
	must(t, s.AddUsage(t.Context(), buckets))
	return some
}

// TestStatementsOfHooksAndUsageUseIndices runs every call on tables of some size.
// SQLite has no statistics of them, as it has none where the program runs.
func TestStatementsOfHooksAndUsageUseIndices(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := fillHooks(t, s)
		if s.dialect.numbered { // small tables are read whole, unless there is another way and it must be taken
			s.writes.SetMaxOpenConns(1)
			_, err := s.writes.Exec("ANALYZE; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
			must(t, err)
		}
		plans := map[string]string{}
		s.watch = func(q querier) querier { return &explained{q, t, s.dialect, plans} }
		hooksCalls(t, s, e)
		usageCalls(t, s)
		s.watch = nil
		if len(plans) < 25 {
			t.Errorf("only %d statements were seen", len(plans))
		}
		for query, plan := range plans {
			if wholeTable(plan) {
				t.Errorf("%s\nreads a whole table:\n%s\n", query, plan)
			}
		}
		for part, index := range map[string]string{
			"due_at <= ?":          "deliveries_due",
			"min(at) FROM now_due": "deliveries_due",
			"d.endpoint_id = w.id AND d.state = 'dead'":            "deliveries_", // which one, PostgreSQL decides by how many there are
			"d.endpoint_id = ? ORDER BY":                           "deliveries_newest",
			"d.state = ? ORDER BY":                                 "deliveries_in_state",
			"last_at < ? ORDER BY":                                 "deliveries_ended",
			"endpoint_id > '' LIMIT":                               "deliveries_due",
			"last_at DESC, id DESC LIMIT":                          "deliveries_ended",
			"w.owner = ? ORDER BY":                                 "webhooks_of_owner",
			"everybodys AND w.owner <> ?":                          "webhooks_of_everybody",
			"span = ? AND start >= ? AND start < ? AND key_id = ?": "_of_key",
			"span = ? AND start >= ? AND start < ? AND owner = ?":  "_of_owner",
		} {
			wantIndex(t, plans, part, index)
		}
	})
}

// wantIndex looks for an index in the plans of all statements with some words.
func wantIndex(t testing.TB, plans map[string]string, part, index string) {
	t.Helper()
	found := false
	for query, plan := range plans {
		if strings.Contains(parameter.ReplaceAllString(query, "?"), part) {
			found = true
			if !strings.Contains(plan, index) {
				t.Errorf("%s\nwants %s:\n%s\n", query, index, plan)
			}
		}
	}
	if !found {
		t.Errorf("no statement with %q", part)
	}
}

// parameter is one of PostgreSQL's.
var parameter = regexp.MustCompile(`\$[0-9]+`)

func hooksCalls(t testing.TB, s *Store, e webhook.Endpoint) {
	t.Helper()
	ctx := t.Context()
	for _, after := range []string{"", e.ID} {
		_, err := s.Endpoints(ctx, e.Owner, false, after, 5)
		must(t, err)
		_, err = s.Endpoints(ctx, "", true, after, 5)
		must(t, err)
	}
	for _, owner := range []string{e.Owner, ""} {
		_, err := s.FailingEndpoints(ctx, owner, owner == "", start.Add(time.Minute), 5)
		must(t, err)
	}
	_, err := s.Endpoint(ctx, e.ID)
	must(t, err)
	e, err = s.ChangeEndpoint(ctx, e, Journal{Events: []webhook.Event{newEvent(webhook.KeyCreated, "owner7", start)}})
	must(t, err)
	deliver(t, s, e, "1", start)
	for _, state := range []webhook.State{"", webhook.Dead} {
		for _, after := range []string{"", "dlv_1"} {
			_, err = s.Deliveries(ctx, e.ID, state, after, 5)
			must(t, err)
		}
	}
	_, err = s.Delivery(ctx, e.ID, "dlv_1")
	must(t, err)
	_, _, err = s.DeliveryCounts(ctx, 5)
	must(t, err)
	wantNext(t, s, start)
	claimed(t, s, start.Add(minute), 50, 5)
	finish(t, s, "1", webhook.Pending, start, start.Add(time.Hour))
	_, err = s.LastDeliveries(ctx, []string{e.ID, "whk_none"})
	must(t, err)
	_, err = s.SweepDeliveries(ctx, start.Add(5*time.Second), 5000)
	must(t, err)
	must(t, s.RemoveEndpoint(ctx, e.ID, Journal{}))
	must(t, s.AddEndpoint(ctx, newEndpoint("owner7", start), 100, Journal{}))
}

func usageCalls(t testing.TB, s *Store) {
	t.Helper()
	q := usage.Query{Span: usage.Hour, From: start, To: start.Add(2000 * time.Hour), Limit: 10}
	for _, by := range [][]string{nil, {"time"}, {"time", "key"}} {
		q.By = by
		for _, change := range []func(*usage.Query){
			func(*usage.Query) {},
			func(q *usage.Query) { q.Key = "key7" },
			func(q *usage.Query) { q.Owner = "owner7" },
		} {
			one := q
			change(&one)
			_, _, err := s.Usage(t.Context(), one)
			must(t, err)
		}
	}
	_, err := s.SweepUsage(t.Context(), map[usage.Span]time.Time{usage.Minute: start.Add(48 * time.Hour)}, 1000)
	must(t, err)
}
