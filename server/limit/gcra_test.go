package limit

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An arrivals is the naive reading of a rate: the log of all requests that passed. A
// request passes if, counted from any of them, no more came than fit at once, plus
// one for every cost since.
type arrivals struct {
	n, cost int64
	log     []int64
}

// over returns by how many microseconds extra more requests are too many now.
func (l *arrivals) over(now, extra int64) int64 {
	over := (extra - l.n) * l.cost // if nothing was before
	for i, at := range l.log {
		count := int64(len(l.log)-i) + extra
		over = max(over, (count-l.n)*l.cost-(now-at))
	}
	return over
}

// reset returns how long it is until all n fit.
func (l *arrivals) reset(now int64) int64 { return max(l.over(now, l.n), 0) }

// heal forgets a log that reaches a whole window further ahead than it can have:
// the clock was set back.
func (l *arrivals) heal(now int64) {
	if l.reset(now) <= 2*l.n*l.cost {
		return
	}
	l.log = nil
	for range l.n {
		l.log = append(l.log, now)
	}
}

func (l *arrivals) take(now int64) (ok bool, left, retry, reset int64) {
	l.heal(now)
	if retry = l.over(now, 1); retry > 0 {
		return false, 0, retry, l.reset(now)
	}
	l.log = append(l.log, now)
	return true, l.left(now), 0, l.reset(now)
}

func (l *arrivals) left(now int64) (left int64) {
	for l.over(now, left+1) <= 0 {
		left++
	}
	return left
}

func TestGCRADecidesAsTheLogOfEventsWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 12).Draw(t, "n")
		window := time.Duration(rapid.Int64Range(1, 90).Draw(t, "window")) * time.Microsecond
		r := newRate(n, window)
		log := &arrivals{n: r.n, cost: r.cost}
		now, tat := rapid.Int64Range(0, 1<<51).Draw(t, "start"), int64(0)
		for range rapid.IntRange(1, 80).Draw(t, "requests") {
			now = max(now+gap(t, window.Microseconds()), 0)
			got := r.take(tat, now)
			tat = got.tat
			ok, left, retry, reset := log.take(now)
			want := []any{ok, left, retry, reset}
			if diff := cmp.Diff(want, []any{got.ok, r.left(got), got.retry, got.reset}); diff != "" {
				t.Fatalf("%d in %v, cost %d, at %d, after %v: (-want +got)\n%s", n, window, r.cost, now, log.log, diff)
			}
		}
	})
}

// gap draws the time between two requests: mostly small, sometimes idle, sometimes
// back.
func gap(t *rapid.T, window int64) int64 {
	switch rapid.IntRange(0, 9).Draw(t, "gap") {
	case 0:
		return rapid.Int64Range(0, 3*window).Draw(t, "idle")
	case 1:
		return -rapid.Int64Range(0, window).Draw(t, "back")
	case 2:
		return -rapid.Int64Range(0, 100*window).Draw(t, "far back")
	}
	return rapid.Int64Range(0, window/4+1).Draw(t, "step")
}

func TestGCRANeverPassesMoreThanItsPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, math.MaxInt64).Draw(t, "n")
		window := time.Duration(rapid.Int64Range(1000, int64(31*24*time.Hour)).Draw(t, "window"))
		r, w := newRate(n, window), window.Microseconds()
		if r.n != min(n, w) || r.n*r.cost < w || r.n*(r.cost-1) >= w {
			t.Fatalf("%d in %v: %+v, want the least whole cost that is enough", n, window, r)
		}
	})
}

func TestGCRADoesNotOverflow(t *testing.T) {
	const exact = 1 << 53 // what a double can count to
	rapid.Check(t, func(t *rapid.T) {
		r := newRate(rapid.Int64().Draw(t, "n"), time.Duration(rapid.Int64Range(1000, int64(31*24*time.Hour)).Draw(t, "window")))
		now, tat := rapid.Int64().Draw(t, "now"), rapid.Int64().Draw(t, "tat")
		a := r.take(tat, now)
		full := r.n * r.cost
		for name, n := range map[string]int64{"tat": a.tat, "room": a.room, "retry": a.retry, "reset": a.reset, "full": full} {
			if n < 0 || n >= exact {
				t.Errorf("%s is %d", name, n)
			}
		}
		if left := r.left(a); left > r.n || a.ok && r.n == 0 || a.reset > 2*full {
			t.Errorf("%+v: left %d, full %d", a, left, full)
		}
	})
}

func TestGCRA(t *testing.T) {
	const start = 1_700_000_000_000_000
	r := newRate(3, time.Second) // one more each 333,334 µs
	tests := []struct {
		name string
		at   int64
		want answer
	}{
		{"the first", 0, answer{ok: true, tat: start + 333_334, room: 666_668, reset: 333_334}},
		{"the second", 0, answer{ok: true, tat: start + 666_668, room: 333_334, reset: 666_668}},
		{"the third", 0, answer{ok: true, tat: start + 1_000_002, reset: 1_000_002}},
		{"one too many", 0, answer{tat: start + 1_000_002, retry: 333_334, reset: 1_000_002}},
		{"too early by a microsecond", 333_333, answer{tat: start + 1_000_002, retry: 1, reset: 666_669}},
		{"in time", 333_334, answer{ok: true, tat: start + 1_333_336, reset: 1_000_002}},
		{"read a little earlier", 333_000, answer{tat: start + 1_333_336, retry: 333_668, reset: 1_000_336}},
		{"an hour back", -3_600_000_000, answer{tat: start - 3_600_000_000 + 1_000_002, retry: 333_334, reset: 1_000_002}},
		{"as new", 5_000_000, answer{ok: true, tat: start + 5_333_334, room: 666_668, reset: 333_334}},
	}
	tat := int64(0)
	for _, tt := range tests {
		got := r.take(tat, start+tt.at)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		tat = got.tat
	}
}

func TestANegativeRateLetsNothingThrough(t *testing.T) {
	r := newRate(-1, time.Minute)
	if a := r.take(0, 1_700_000_000_000_000); a.ok || a.retry != 60_000_000 || r.left(a) != 0 {
		t.Errorf("%+v", a)
	}
}
