package server

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/audit"
	"wavegate/server/usage"
)

const used = "/v1/auth/usage"

// flushed stops a server, which writes what it counted, and starts it again.
func (m *managed) flushed(cfg Config) *managed {
	m.t.Helper()
	if err := m.stop(); err != nil {
		m.t.Fatal(err)
	}
	return &managed{startServer(m.t, cfg), m.described}
}

// TestUsageIsWhatWasSent counts requests of two owners, refusals and bytes.
func TestUsageIsWhatWasSent(t *testing.T) {
	var kept Config
	m := manage(t, withPolicyText(t, "upstreams:", "  - {route: /ok, url: \"static://200\"}", "  - {route: /down, url: \"static://503\"}",
		"  - {route: /closed, url: \"static://200\", require: {groups: [none]}}",
		"roles:", "  account_admin: {members: [ann, bob]}"), func(c *Config) { kept = *c })
	key := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(t, 201, "")
	send := func(n int, path string, headers ...string) {
		for range n {
			m.do("GET", path, "", headers...)
		}
	}
	send(5, "/ok", "X-API-Key", key.text(t, "api_key.key"))
	send(2, "/down", "X-API-Key", key.text(t, "api_key.key"))
	send(3, "/closed", "Authorization", basic("ann", "secret"))
	send(4, "/ok", "Authorization", basic("bob", "secret"))
	send(1, "/ok", "Authorization", basic("bob", "wrong"))
	m = m.flushed(kept)

	total := func(who, query string) []any {
		a := m.as(who, "GET", used+query, "").want(t, 200, "")
		row := mapOf(a.at(t, "rows.0"))
		if row == nil {
			return nil
		}
		return []any{row["requests"], row["refused"], row["errors"]}
	}
	id := key.text(t, "api_key.id")
	for _, x := range []struct {
		who, query string
		want       []any
	}{
		{"ann", "?by=&key=" + id, []any{7., 0., 2.}},
		{"ann", "?by=&route=/closed", []any{3., 3., 0.}},
		{"ann", "?by=", []any{11., 3., 2.}}, // with the call that made the key
		{"ann", "?by=&span=minute", []any{11., 3., 2.}},
		{"ann", "?by=&span=day", []any{11., 3., 2.}},
		{"ann", "?by=&owner=key:ann", []any{11., 3., 2.}},
		{"bob", "?by=&key=" + id, []any{0., 0., 0.}}, // somebody else's
		{"bob", "?by=&route=/ok", []any{4., 0., 0.}},
		{"admin", "?by=&owner=key:bob", []any{4., 0., 0.}},
		{"admin", "?by=&all=true&route=/ok", []any{10., 1., 0.}},
		{"ann", "?by=&from=2020-01-01&to=2020-01-02", []any{0., 0., 0.}},
		{"ann", "?from=2020-01-01&to=2020-01-02", nil},
	} {
		if got := total(x.who, x.query); !cmp.Equal(got, x.want) {
			t.Errorf("%s %s: requests, refused, errors %v, want %v", x.who, x.query, got, x.want)
		}
	}

	a := m.as("ann", "GET", used+"?by=time,key,route&span=minute&key="+id, "")
	if a.at(t, "rows.0.key") != id || a.at(t, "rows.0.owner") != nil || a.at(t, "span") != "minute" || a.at(t, "more") != false {
		t.Errorf("rows %s", a.body)
	}
	if p50, ok := a.at(t, "rows.0.latency_ms.p50").(float64); !ok || p50 <= 0 || p50 > 10_000 {
		t.Errorf("latency %v", a.at(t, "rows.0.latency_ms"))
	}
	if more := m.as("ann", "GET", used+"?by=route&limit=1", ""); more.at(t, "more") != true || more.at(t, "rows.1") != nil {
		t.Errorf("one row of several: %s", more.body)
	}
	refusals := m.as("ann", "GET", used+"?by=&route=/closed", "")
	if refusals.at(t, "rows.0.refusals.insufficient_role") != 3.0 {
		t.Errorf("refusals %s", refusals.body)
	}
	table := m.as("ann", "GET", used+"?by=route&format=csv", "").want(t, 200, "")
	rows, err := csv.NewReader(strings.NewReader(table.body)).ReadAll()
	if err != nil || len(rows) != 5 || len(rows[0]) != 14 || table.Header.Get("Content-Disposition") == "" {
		t.Errorf("%v %v", rows, err)
	}
}

// TestOneCallShowsEachOfOnesKeysOverTime is what lists draw a line for each key from,
// and nobody else's key is among them.
func TestOneCallShowsEachOfOnesKeysOverTime(t *testing.T) {
	var kept Config
	m := manage(t, func(c *Config) { kept = *c })
	made := map[string]int{}
	for i := range 3 {
		key := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(t, 201, "")
		made[key.text(t, "api_key.id")] = i + 1
		for range i + 1 {
			m.do("GET", "/ok", "", "X-API-Key", key.text(t, "api_key.key")).want(t, 204, "")
		}
	}
	bobs := m.as("bob", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(t, 201, "")
	m.do("GET", "/ok", "", "X-API-Key", bobs.text(t, "api_key.key")).want(t, 204, "")
	m = m.flushed(kept)
	for _, query := range []string{"", "&owner=key:ann", "&route=/", "&span=minute"} {
		a := m.as("ann", "GET", used+"?by=time,key&limit=10000"+query, "").want(t, 200, "")
		got := map[string]int{}
		rows, _ := a.at(t, "rows").([]any)
		for _, r := range rows {
			row := mapOf(r)
			if key := row["key"].(string); key != "ann" { // the access key
				got[key] += int(row["requests"].(float64))
			}
			if row["time"] == nil {
				t.Errorf("%q: a row without a time: %v", query, row)
			}
		}
		if diff := cmp.Diff(made, got); diff != "" || a.at(t, "more") != false {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	m.try([]try{
		{"ann", "GET", used + "?by=time,key&key=" + bobs.text(t, "api_key.id"), "", 200, "", []string{`"rows":[]`}, nil},
		{"ann", "GET", used + "?by=time,key&client=client_none", "", 200, "", []string{`"rows":[]`}, nil},
		{"ann", "GET", used + "?by=time,key&owner=key:bob", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", used + "?by=time,key&limit=10001", "", 400, "invalid_request", []string{`"field":"limit"`}, nil},
	})
}

func TestEveryWrongParameterOfUsageIsNamedAtOnce(t *testing.T) {
	m := manage(t)
	m.try([]try{
		{
			"ann", "GET", used + "?span=year&from=x&to=y&by=time,colour&format=xml&limit=0&all=maybe&kee=1", "", 400, "invalid_request",
			[]string{`"field":"span"`, `"field":"from"`, `"field":"to"`, `"field":"by"`, `"field":"format"`, `"field":"limit"`, `"field":"all"`, `"field":"kee"`},
			nil,
		},
		{"ann", "GET", used + "?span=minute&from=2026-01-01&to=2026-01-03", "", 400, "invalid_request", []string{"at most a day"}, nil},
		{"ann", "GET", used + "?from=2026-01-01&to=2026-03-03", "", 400, "invalid_request", []string{"at most 31 days"}, nil},
		{"ann", "GET", used + "?span=day&from=2020-01-01&to=2026-03-03", "", 400, "invalid_request", []string{"at most two years"}, nil},
		{"ann", "GET", used + "?from=2026-01-02&to=2026-01-02", "", 400, "invalid_request", []string{"after from"}, nil},
		{"ann", "GET", used + "?by=time,time", "", 400, "invalid_request", []string{"each once"}, nil},
		{"ann", "GET", used + "?all=true", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", used + "?owner=key:bob", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", used + "?span=minute&from=2026-01-01&to=2026-01-02", "", 200, "", []string{`"rows":[]`, `"from":"2026-01-01T00:00:00Z"`}, nil},
		{"ann", "GET", used + "?%zz", "", 400, "invalid_request", []string{`"field":"query"`}, nil},
	})
}

// TestUsageTableIsNoFormula names things as a spreadsheet would take them for
// formulas.
func TestUsageTableIsNoFormula(t *testing.T) {
	row := viewUsage(&usage.Bucket{Dims: usage.Dims{Key: "=1+1", Owner: "+1", Client: "@x", Route: "-x"}}, usageDims())
	for i, cell := range row.cells()[1:5] {
		if !strings.HasPrefix(cell, "'") {
			t.Errorf("cell %d is %q", i, cell)
		}
	}
	for text, want := range map[string]string{"": "", "=x": "'=x", "\tx": "'\tx", "/x": "/x", "a=b": "a=b"} {
		if got := audit.Cell(text); got != want {
			t.Errorf("Cell(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzUsageQuery checks that what is asked for is bounded, whatever is written.
func FuzzUsageQuery(f *testing.F) {
	for _, s := range []string{"", "span=minute", "from=2026-01-01&to=2026-01-02&by=", "by=time,key&limit=10000", "to=1970-01-01", "from=9999-12-31", "span=day&from=2020-01-01T00:00:00+14:00"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 27, 8, 30, 15, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		q := newQuery(&http.Request{URL: &url.URL{RawQuery: raw}})
		u := q.usageQuery(now)
		if q.end() != nil {
			return
		}
		if !u.From.Before(u.To) || u.To.Sub(u.From) > u.span.most+25*time.Hour || u.Limit < 1 || u.Limit > maxUsageRows || len(u.By) > len(usageDims()) {
			t.Errorf("%q asks for %+v", raw, u.Query)
		}
		if got := u.Span.Of(u.From); !got.Equal(u.From) {
			t.Errorf("%q begins at %v, inside a bucket", raw, u.From)
		}
	})
}
