package portal

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A UsageAnswer is what the API says of usage.
type UsageAnswer struct {
	Bounds []float64  `json:"latency_bounds_ms"`
	Rows   []UsageRow `json:"rows"`
	More   bool       `json:"more"`
}

// A UsageRow is the counts of a time, and of a key, owner, client or route.
type UsageRow struct {
	Time     time.Time        `json:"time"`
	Key      string           `json:"key"`
	Owner    string           `json:"owner"`
	Client   string           `json:"client"`
	Route    string           `json:"route"`
	Requests int64            `json:"requests"`
	Refused  int64            `json:"refused"`
	Refusals map[string]int64 `json:"refusals"`
	Errors   int64            `json:"errors"`
	BytesIn  int64            `json:"bytes_in"`
	BytesOut int64            `json:"bytes_out"`
	Latency  struct {
		Buckets []int64 `json:"buckets"` // by UsageAnswer.Bounds, and one more
	} `json:"latency_ms"`
}

// Dim is what the row is told apart by: "key", "owner", "client" or "route".
func (r *UsageRow) Dim(by string) string {
	switch by {
	case "key":
		return r.Key
	case "owner":
		return r.Owner
	case "client":
		return r.Client
	}
	return r.Route
}

// add adds the counts of another row.
func (r *UsageRow) add(o *UsageRow) {
	r.Requests += o.Requests
	r.Refused += o.Refused
	r.Errors += o.Errors
	r.BytesIn += o.BytesIn
	r.BytesOut += o.BytesOut
	if len(o.Refusals) > 0 && r.Refusals == nil {
		r.Refusals = map[string]int64{}
	}
	for code, n := range o.Refusals {
		r.Refusals[code] += n
	}
	for len(r.Latency.Buckets) < len(o.Latency.Buckets) {
		r.Latency.Buckets = append(r.Latency.Buckets, 0)
	}
	for i, n := range o.Latency.Buckets {
		r.Latency.Buckets[i] += n
	}
}

// percentile estimates how many milliseconds a share of the requests did not exceed,
// as the API does: as if they were spread evenly within their bucket. NaN is none.
func (r *UsageRow) percentile(bounds []float64, part float64) float64 {
	total := int64(0)
	for _, n := range r.Latency.Buckets {
		total += n
	}
	if total == 0 || len(bounds) == 0 {
		return math.NaN()
	}
	rank, below, from := part*float64(total), 0.0, 0.0
	for i, bound := range bounds[:min(len(bounds), len(r.Latency.Buckets))] {
		n := float64(r.Latency.Buckets[i])
		if n > 0 && below+n >= rank {
			return from + (bound-from)*(rank-below)/n
		}
		below, from = below+n, bound
	}
	return bounds[len(bounds)-1]
}

// Usage is what was done in a range of time.
type Usage struct {
	Range UsageRange
	Times []time.Time
	Steps []UsageRow // one for each time
	Total UsageRow

	bounds []float64
}

// UsageOf sorts rows that are told apart by time into the steps of a range. What lies
// outside of it is left out.
func UsageOf(a UsageAnswer, r UsageRange, now time.Time) Usage {
	u := Usage{Range: r, Times: r.Times(now), Steps: make([]UsageRow, r.Count), bounds: a.Bounds}
	for i := range a.Rows {
		row := &a.Rows[i]
		since := row.Time.Sub(u.Times[0])
		if n := int(since / r.Step); since >= 0 && n < r.Count {
			u.Steps[n].add(row)
			u.Total.add(row)
		}
	}
	return u
}

// maxPoints is how many numbers a Spark is made of: it is small.
const maxPoints = 30

// Spark is the requests.
func (u Usage) Spark() Spark {
	per := (len(u.Steps) + maxPoints - 1) / maxPoints
	values := make([]int64, (len(u.Steps)+max(per, 1)-1)/max(per, 1))
	for i := range u.Steps {
		values[i/per] += u.Steps[i].Requests
	}
	return Spark{values}
}

// series makes a series of each step.
func (u Usage) series(name string, of func(*UsageRow) float64) Series {
	s := Series{Name: name, Values: make([]float64, len(u.Steps))}
	for i := range u.Steps {
		s.Values[i] = of(&u.Steps[i])
	}
	return s
}

// counted is series for counts, with their sum.
func (u Usage) counted(name string, of func(*UsageRow) int64) Series {
	s := u.series(name, func(r *UsageRow) float64 { return float64(of(r)) })
	s.Total = Thousands(of(&u.Total))
	return s
}

func (u Usage) chart(id, title, unit, none, csv string, series ...Series) Chart {
	return Chart{ID: id, Title: title, Unit: unit, None: none, CSV: csv, Times: u.Times, Step: u.Range.Step, Series: series}
}

// Requests is the chart of requests, and of how they ended.
func (u Usage) Requests(csv string) Chart {
	return u.chart("requests", "Requests", u.Range.Unit, "No requests in "+u.Range.Last+".", csv,
		u.counted("Answered", func(r *UsageRow) int64 { return max(r.Requests-r.Refused-r.Errors, 0) }),
		u.counted("Refused", func(r *UsageRow) int64 { return r.Refused }),
		u.counted("Failed", func(r *UsageRow) int64 { return r.Errors }))
}

// RefusalCodes are the codes of refusals, the most frequent first.
func (u Usage) RefusalCodes() []string {
	return slices.SortedFunc(maps.Keys(u.Total.Refusals), func(a, b string) int {
		return cmp.Or(cmp.Compare(u.Total.Refusals[b], u.Total.Refusals[a]), cmp.Compare(a, b))
	})
}

// Refusals is the chart of refusals by reason: those that come most often, and the rest.
func (u Usage) Refusals(csv string) Chart {
	codes := u.RefusalCodes()
	own := codes
	if len(codes) > maxTones {
		own = codes[:maxTones-1]
	}
	var series []Series
	for _, code := range own {
		series = append(series, u.counted(reason(code), func(r *UsageRow) int64 { return r.Refusals[code] }))
	}
	if len(own) < len(codes) {
		series = append(series, u.counted("Other reasons", func(r *UsageRow) int64 {
			rest := r.Refused
			for _, code := range own {
				rest -= r.Refusals[code]
			}
			return max(rest, 0)
		}))
	}
	return u.chart("refusals", "Refused, by reason", u.Range.Unit, "Nothing was refused in "+u.Range.Last+".", csv, series...)
}

// reason writes the code of a refusal for people.
func reason(code string) string {
	words := plain(strings.ReplaceAll(code, "_", " "))
	if words == "" {
		return "No reason"
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// Latency is the chart of how long requests took.
func (u Usage) Latency(csv string) Chart {
	var series []Series
	for _, p := range []struct {
		name string
		part float64
	}{{"p50", .50}, {"p95", .95}, {"p99", .99}} {
		s := u.series(p.name, func(r *UsageRow) float64 { return r.percentile(u.bounds, p.part) })
		if all := u.Total.percentile(u.bounds, p.part); !math.IsNaN(all) {
			s.Total = millis(all)
		}
		series = append(series, s)
	}
	c := u.chart("latency", "How long they took", "p50, p95 and p99", "Nothing was measured in "+u.Range.Last+".", csv, series...)
	c.Lines = true
	return c
}

// A Tile is a number at a glance.
type Tile struct {
	Name, Number string
	Sub          string // below it; "" for none
	URL          string // where more is; "" for nowhere
	Spark        *Spark // nil for none
}

// Tiles are the totals.
func (u Usage) Tiles() []Tile {
	t, slow := &u.Total, "–"
	if p := u.Total.percentile(u.bounds, .95); !math.IsNaN(p) {
		slow = millis(p)
	}
	return []Tile{
		{Name: "Requests", Number: bigNumber(t.Requests)},
		{Name: "Refused", Number: share(t.Refused, t.Requests), Sub: count(t.Refused, "request", "requests")},
		{Name: "Failed", Number: share(t.Errors, t.Requests), Sub: count(t.Errors, "request", "requests")},
		{Name: "95 % took at most", Number: slow},
		{Name: "Sent", Number: octets(t.BytesOut), Sub: octets(t.BytesIn) + " received"},
	}
}

// bigNumber writes a count so that it fits on a tile.
func bigNumber(n int64) string {
	if n < 10_000_000 {
		return Thousands(n)
	}
	return compact(float64(n))
}
