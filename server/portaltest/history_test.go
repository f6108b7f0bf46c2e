package portaltest

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"wavegate/server/store"
	"wavegate/server/usage"
)

// A habit is how a key or an app is used over time.
type habit struct {
	usage.Dims
	daily    float64 // requests on a usual day
	refused  float64 // share of them that is refused
	reason   string  // code of these refusals
	failed   float64 // share that the app fails at
	latency  int     // index of the bucket that most fall into
	everyDay bool    // no rest at weekends
}

func (w world) habits() []habit {
	of := func(key, route string) usage.Dims {
		return usage.Dims{Key: w.keys[key].ID, Owner: "sub:local|ada", Route: route}
	}
	dashboard := usage.Dims{Key: w.keys["Dashboard"].ID, Owner: "sub:local|bob", Route: "/v1"}
	starplot := usage.Dims{Owner: "sub:local|ada", Client: w.apps["Starplot"], Route: "/v1"}
	return []habit{
		{of("Video encoder", "/v1"), 5200, .004, "insufficient_scope", .001, 3, true},
		{of("Nightly export", "/v1"), 340, .01, "insufficient_scope", .02, 8, true},
		{of("Player", "/v1"), 1900, .06, "rate_limit_exceeded", .002, 4, false},
		{of("CI pipeline", "/v1"), 38, .02, "insufficient_scope", 0, 5, false},
		{of("Laptop", "/"), 25, 0, "", 0, 4, false},
		{dashboard, 900, .002, "insufficient_scope", .001, 4, false},
		{starplot, 640, .015, "invalid_token", .003, 5, true},
	}
}

// writeHistory puts usage into the store as if the world had been at work before: by
// the minute for three hours, by the hour for a month, by the day for 400 days. What
// it draws is the same each time.
func (g *gate) writeHistory(t *testing.T, w world) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: g.storeURL, Dir: filepath.Join(g.dir, "data")})
	must(t, err)
	draw, now := rand.New(rand.NewPCG(6, 28)), time.Now()
	var buckets []usage.Bucket
	for _, h := range w.habits() {
		for back := range 400 - 30 {
			buckets = append(buckets, h.bucket(draw, usage.Day.Of(now.AddDate(0, 0, -31-back)), 24*time.Hour))
		}
		for back := range 30*24 - 3 {
			buckets = append(buckets, h.bucket(draw, usage.Hour.Of(now.Add(-time.Duration(back+4)*time.Hour)), time.Hour))
		}
		for back := range 3 * 60 {
			buckets = append(buckets, h.bucket(draw, usage.Minute.Of(now.Add(-time.Duration(back+1)*time.Minute)), time.Minute))
		}
	}
	for some := range slices.Chunk(buckets, 250) {
		must(t, s.AddUsage(t.Context(), some))
	}
	must(t, s.Close())
}

// bucket draws what was done in a span of time, as the counts of its first minute.
func (h habit) bucket(draw *rand.Rand, start time.Time, span time.Duration) usage.Bucket {
	n := h.daily * span.Hours() / 24 * (.85 + .3*draw.Float64())
	if weekend := start.Weekday() == time.Saturday || start.Weekday() == time.Sunday; weekend && !h.everyDay {
		n *= .2
	}
	if span < 24*time.Hour { // more by day than by night
		n *= 1 + .8*math.Sin((float64(start.Hour())-9)/24*2*math.Pi)
	}
	b := usage.Bucket{Span: usage.Minute, Start: start, Dims: h.Dims}
	for range whole(draw, n) {
		h.request(draw, &b.Counts)
	}
	return b
}

// request draws one request.
func (h habit) request(draw *rand.Rand, c *usage.Counts) {
	c.Requests++
	c.BytesIn += 200 + draw.Int64N(400)
	if draw.Float64() < h.refused {
		if c.Refusals == nil {
			c.Refusals = map[string]int64{}
		}
		c.Refusals[h.reason]++
		c.Latency[0]++
		return
	}
	if draw.Float64() < h.failed {
		c.Errors++
	}
	c.BytesOut += 500 + draw.Int64N(9000)
	slower := h.latency + int(math.Round(draw.NormFloat64()*1.1))
	c.Latency[min(max(slower, 0), len(c.Latency)-1)]++
}

// whole is a number of requests: what is behind the point is drawn.
func whole(draw *rand.Rand, n float64) int {
	floor := math.Floor(n)
	if draw.Float64() < n-floor {
		floor++
	}
	return int(floor)
}
