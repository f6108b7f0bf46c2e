package server

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wavegate/server/audit"
	"wavegate/server/policy"
	"wavegate/server/usage"
)

const (
	usualUsageRows = 1000
	maxUsageRows   = 10_000
)

// A usageSpan is what ?span= may be, and how much time one answer may cover.
type usageSpan struct {
	name  string
	span  usage.Span
	most  time.Duration
	words string
}

func usageSpans() []usageSpan {
	const day = 24 * time.Hour
	return []usageSpan{
		{"hour", usage.Hour, 31 * day, "31 days"},
		{"minute", usage.Minute, day, "a day"},
		{"day", usage.Day, 731 * day, "two years"},
	}
}

// usageDims are what rows may be told apart by.
func usageDims() []string { return []string{"time", "key", "owner", "client", "route"} }

// A usageQuery is what a caller asks for.
type usageQuery struct {
	usage.Query
	span   usageSpan
	all    bool
	format string
}

// usageQuery reads the parameters of the call.
func (q *query) usageQuery(now time.Time) usageQuery {
	spans := usageSpans()
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = s.name
	}
	name := q.one("span", names...)
	u := usageQuery{span: spans[slices.Index(names, name)]}
	u.Query = usage.Query{
		Span: u.span.span, From: q.time("from"), To: q.time("to"), By: q.usageBy(),
		Key: q.text("key"), Owner: q.text("owner"), Client: q.text("client"), Route: q.text("route"),
	}
	u.all, u.format = q.flag("all"), q.one("format", "json", "csv")
	u.Limit = q.number("limit", usualUsageRows, maxUsageRows)
	q.usageRange(&u, now)
	return u
}

// usageRange fills in and checks the range: the last day of what is asked for,
// unless it says otherwise, from the beginning of the first bucket on.
func (q *query) usageRange(u *usageQuery, now time.Time) {
	if u.To.IsZero() {
		u.To = now.UTC().Truncate(time.Second).Add(time.Second) // the bucket of now is in
	}
	if u.From.IsZero() {
		u.From = u.To.Add(-24 * time.Hour)
	}
	switch {
	case !u.From.Before(u.To):
		q.add("to", "must be after from")
	case u.To.Sub(u.From) > u.span.most+time.Second:
		q.add("from", "is too early: with span=%s an answer covers at most %s", u.span.name, u.span.words)
	}
	u.From = u.Span.Of(u.From)
}

// usageBy reads what rows are told apart by: "time" alone, unless it says
// otherwise; nothing makes one total.
func (q *query) usageBy() []string {
	text := q.text("by")
	if !q.values.Has("by") {
		return []string{"time"}
	}
	if text == "" {
		return nil
	}
	by := strings.Split(text, ",")
	for i, dim := range by {
		if !slices.Contains(usageDims(), dim) || slices.Contains(by[:i], dim) {
			q.add("by", "must be a list of %s, each once", strings.Join(usageDims(), ", "))
			return nil
		}
	}
	return by
}

// getUsage says what was done: by the caller; administrators choose somebody with
// ?owner=, or everybody with ?all=true.
func (s *Server) getUsage(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadUsage)
	if err != nil {
		return err
	}
	q := newQuery(r)
	u := q.usageQuery(time.Now())
	if err := q.end(); err != nil {
		return err
	}
	if u.Owner, _, err = c.whose(u.Owner, u.all); err != nil {
		return err
	}
	buckets, more, err := s.store.Usage(ex.ctx, u.Query)
	if err != nil {
		return storeError(err)
	}
	rows := make([]usageRow, 0, len(buckets))
	for i := range buckets {
		rows = append(rows, viewUsage(&buckets[i], u.By))
	}
	if u.format == "csv" {
		return writeUsageCSV(ex, rows, more)
	}
	return writeJSON(ex, http.StatusOK, usageAnswer{
		Span: u.span.name, From: rfc3339(u.From), To: rfc3339(u.To), Bounds: latencyBounds(), Rows: rows, More: more,
	})
}

// A usageAnswer is the answer about usage.
type usageAnswer struct {
	Span   string     `json:"span"`
	From   string     `json:"from"`
	To     string     `json:"to"`
	Bounds []float64  `json:"latency_bounds_ms"` // upper bounds of the buckets of each row
	Rows   []usageRow `json:"rows"`
	More   bool       `json:"more"` // there are more rows than limit
}

// A usageRow is the counts of one time and whatever else rows are told apart by;
// what they are not told apart by is left out.
type usageRow struct {
	Time     *string          `json:"time,omitempty"`
	Key      *string          `json:"key,omitempty"`
	Owner    *string          `json:"owner,omitempty"`
	Client   *string          `json:"client,omitempty"`
	Route    *string          `json:"route,omitempty"`
	Requests int64            `json:"requests"`
	Refused  int64            `json:"refused"`
	Refusals map[string]int64 `json:"refusals"`
	Errors   int64            `json:"errors"`
	BytesIn  int64            `json:"bytes_in"`
	BytesOut int64            `json:"bytes_out"`
	Latency  usageLatency     `json:"latency_ms"`
}

// A usageLatency says how long requests took, in milliseconds. Percentiles are
// null where nothing was measured.
type usageLatency struct {
	P50     *float64 `json:"p50"`
	P95     *float64 `json:"p95"`
	P99     *float64 `json:"p99"`
	Buckets []int64  `json:"buckets"` // one more than there are bounds
}

func viewUsage(b *usage.Bucket, by []string) usageRow {
	row := usageRow{
		Requests: b.Requests, Errors: b.Errors, BytesIn: b.BytesIn, BytesOut: b.BytesOut, Refusals: map[string]int64{},
		Latency: usageLatency{percentile(&b.Counts, .50), percentile(&b.Counts, .95), percentile(&b.Counts, .99), b.Latency[:]},
	}
	for code, n := range b.Refusals {
		row.Refusals[code] = n
		row.Refused += n
	}
	start := rfc3339(b.Start)
	for _, dim := range by {
		switch dim {
		case "time":
			row.Time = &start
		case "key":
			row.Key = &b.Key
		case "owner":
			row.Owner = &b.Owner
		case "client":
			row.Client = &b.Client
		case "route":
			row.Route = &b.Route
		}
	}
	return row
}

// latencyBounds are usage.Bounds in milliseconds.
func latencyBounds() []float64 {
	ms := make([]float64, len(usage.Bounds))
	for i, b := range usage.Bounds {
		ms[i] = b * 1000
	}
	return ms
}

// percentile is Counts.Percentile in milliseconds, nil where nothing was measured.
func percentile(c *usage.Counts, share float64) *float64 {
	if !slices.ContainsFunc(c.Latency[:], func(n int64) bool { return n > 0 }) {
		return nil
	}
	ms := float64(c.Percentile(share).Round(10*time.Microsecond)) / float64(time.Millisecond)
	return &ms
}

// writeUsageCSV sends rows as a table (RFC 4180).
func writeUsageCSV(ex *exchange, rows []usageRow, more bool) error {
	var body bytes.Buffer
	out := csv.NewWriter(&body)
	lines := [][]string{{
		"time", "key", "owner", "client", "route", "requests", "refused", "refusals", "errors", "bytes_in", "bytes_out",
		"p50_ms", "p95_ms", "p99_ms",
	}}
	for i := range rows {
		lines = append(lines, rows[i].cells())
	}
	if err := out.WriteAll(lines); err != nil {
		return err
	}
	if more {
		ex.Header().Set("Wave-More", "true")
	}
	download(ex, "text/csv; charset=utf-8; header=present", "usage.csv")
	_, _ = ex.Write(body.Bytes()) // an error means that the client is gone
	return nil
}

// cells are a row of the table. What a spreadsheet would take for a formula is
// made text.
func (row *usageRow) cells() []string {
	cells := []string{}
	for _, dim := range []*string{row.Time, row.Key, row.Owner, row.Client, row.Route} {
		text := ""
		if dim != nil {
			text = audit.Cell(*dim)
		}
		cells = append(cells, text)
	}
	refusals := ""
	if len(row.Refusals) > 0 {
		refusals = jsonText(row.Refusals)
	}
	return append(cells,
		number(row.Requests), number(row.Refused), refusals, number(row.Errors), number(row.BytesIn), number(row.BytesOut),
		decimal(row.Latency.P50), decimal(row.Latency.P95), decimal(row.Latency.P99))
}

func jsonText(counts map[string]int64) string {
	text, err := json.Marshal(counts)
	if err != nil { // a map of numbers always marshals
		panic(err)
	}
	return string(text)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func decimal(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', 3, 64)
}
