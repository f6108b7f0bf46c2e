package limit

import "time"

// A rate lets n requests come at once and one more every cost after that: the
// generic cell rate algorithm. Its whole state is one number, the theoretical
// arrival time: when the requests so far would all have come, had they kept the
// pace. Times are whole microseconds since 1970 and stay below 2^53, so that the
// same arithmetic is exact where numbers are doubles, as in Redis' Lua.
type rate struct {
	n    int64 // requests at once; 0 lets nothing through
	cost int64 // microseconds
}

// lastMoment is in the year 2255. It keeps every sum below 2^53 for windows of a month
// and less.
const lastMoment = 1<<53 - 1<<43

// newRate returns the rate of n requests a window, at most one a microsecond.
// What a request costs is rounded up, so that the pace is never above n.
func newRate(n int64, window time.Duration) rate {
	w := window.Microseconds()
	n = min(n, w)
	if n <= 0 {
		return rate{cost: w}
	}
	return rate{n: n, cost: (w + n - 1) / n}
}

// An answer is what a rate says to one request. Times are microseconds.
type answer struct {
	ok    bool
	tat   int64 // the state from now on; where ok is false, also
	room  int64 // time that is still free; what is left is room / cost
	retry int64 // until one request fits; 0 where ok
	reset int64 // until all n fit
}

// take spends one request. A state that lies further ahead than requests can
// have put it, by a whole window, comes from a clock that was set back: it counts as
// full. Less than that is a request whose time was read before that of another.
func (r rate) take(tat, now int64) answer {
	now = min(max(now, 0), lastMoment)
	full := r.n * r.cost
	tat = max(tat, now)
	if tat-now > 2*full {
		tat = now + full
	}
	room := now + full - tat
	if room < r.cost {
		return answer{tat: tat, retry: r.cost - room, reset: tat - now}
	}
	tat += r.cost
	return answer{ok: true, tat: tat, room: room - r.cost, reset: tat - now}
}

// left returns how many requests fit after a.
func (r rate) left(a answer) int64 { return max(a.room, 0) / r.cost }

// unspent returns how many fit, and until when all do, if a is not spent after all.
func (r rate) unspent(a answer) (left, reset int64) {
	if !a.ok {
		return 0, a.reset
	}
	return r.left(a) + 1, a.reset - r.cost
}
