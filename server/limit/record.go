package limit

import (
	"net/netip"
	"slices"
	"time"
)

// A record is the failures of one source or key and the lock that they led to.
// Times are instants. Its zero value has seen nothing.
type record struct {
	fails        []instant // ascending, those of the last window, fewer than lock it
	since, until instant   // of the last lock; both 0 when there was none
}

// wait returns how long the lock still holds. A nil record is not locked.
func (r *record) wait(at instant) time.Duration {
	if !r.locked() {
		return 0
	}
	return max(0, r.until-at)
}

// locked reports whether there is a lock, over or not.
func (r *record) locked() bool { return r != nil && r.until != r.since }

// fail counts a failure. With the given number of them inside the window the
// lock goes on, they are spent, and fail returns true. While it holds, nothing
// is counted: those who wait do not make it longer.
func (r *record) fail(at instant, tries int, window, hold time.Duration) bool {
	if r.wait(at) > 0 {
		return false
	}
	r.since, r.until = 0, 0
	r.fails = slices.DeleteFunc(r.fails, func(t instant) bool { return at-t >= window })
	if len(r.fails)+1 < tries {
		r.fails = append(r.fails, at)
		return false
	}
	r.fails, r.since, r.until = nil, at, at+hold
	return true
}

// count returns how many failures are inside the window.
func (r *record) count(at instant, window time.Duration) int {
	if r == nil {
		return 0
	}
	n := 0
	for _, t := range r.fails {
		if at-t < window {
			n++
		}
	}
	return n
}

// maxSources is how many sources an account remembers that have used it rightly.
const maxSources = 64

// refresh is how old the last right use may be before it is written again: it
// only orders the sources for eviction, and most requests then need no writing.
const refresh = time.Minute

// An account is the record of a key that there is, and the sources that have
// used it rightly.
type account struct {
	record
	sources map[netip.Addr]*use
}

// A use is what one source did with one key.
type use struct {
	right  instant // last right use, up to refresh ago
	wrong  instant // last wrong try since the first right use
	failed bool    // there was a wrong try
}

// trusts reports whether the key's lock does not hold this source up.
func (a *account) trusts(from netip.Addr, at instant, window time.Duration) bool {
	u := a.sources[from]
	return u != nil && (!u.failed || at-u.wrong >= window)
}

// fresh reports whether trust has nothing to write.
func (a *account) fresh(from netip.Addr, at instant) bool {
	if a == nil {
		return false
	}
	u := a.sources[from]
	return u != nil && at-u.right < refresh
}

// trust notes a right use. When there are too many sources, the one whose last
// right use is longest ago goes.
func (a *account) trust(from netip.Addr, at instant) {
	if u := a.sources[from]; u != nil {
		u.right = max(u.right, at)
		return
	}
	if a.sources == nil {
		a.sources = make(map[netip.Addr]*use)
	}
	if len(a.sources) >= maxSources {
		var oldest netip.Addr
		for ip, u := range a.sources {
			if !oldest.IsValid() || u.right < a.sources[oldest].right {
				oldest = ip
			}
		}
		delete(a.sources, oldest)
	}
	a.sources[from] = &use{right: at}
}

// blame notes a wrong try. Sources that never used the key rightly have nothing
// to lose.
func (a *account) blame(from netip.Addr, at instant) {
	if u := a.sources[from]; u != nil && (!u.failed || u.wrong < at) {
		u.wrong, u.failed = at, true
	}
}
