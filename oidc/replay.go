package oidc

import (
	"sync"
	"time"
)

const maxReplays = 10_000 // IDs of logout tokens that are remembered

// replays remembers which IDs were used until their tokens are too old to be
// taken. Only tokens that the provider signed get this far, so strangers cannot
// fill it.
type replays struct {
	most int

	mu   sync.Mutex // guards used
	used map[string]time.Time
}

func newReplays(most int) *replays {
	return &replays{most: most, used: make(map[string]time.Time)}
}

// spend marks id as used until the given time and reports whether it was new.
func (r *replays) spend(id string, until, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end, ok := r.used[id]; ok && now.Before(end) {
		return false
	}
	if len(r.used) >= r.most {
		r.shrink(now)
	}
	r.used[id] = until
	return true
}

// shrink forgets what is over, and where that is nothing the one that ends
// first. It is called with r.mu held.
func (r *replays) shrink(now time.Time) {
	var first string
	var earliest time.Time
	for id, end := range r.used {
		if !now.Before(end) {
			delete(r.used, id)
		} else if first == "" || end.Before(earliest) {
			first, earliest = id, end
		}
	}
	if len(r.used) >= r.most {
		delete(r.used, first)
	}
}

func (r *replays) release(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.used, id)
}
