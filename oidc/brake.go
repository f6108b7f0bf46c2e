package oidc

import (
	"sync"
	"time"
)

const (
	brakeAfter  = 5                // requests in a row without an answer that begin a pause
	longestRest = 10 * time.Second // between two questions to an endpoint that does not answer
)

// A brake keeps requests from an endpoint that has stopped answering, since each
// would hold a connection and its caller until the time limit. After brakeAfter
// of them in a row callers fail at once; when the pause is over one of them asks
// for all, and any answer, be it a refusal, ends the trouble. The zero value has
// seen nothing.
type brake struct {
	mu       sync.Mutex    // guards what follows
	failures int           // requests in a row without an answer
	rest     time.Duration // length of the pause; 0: there is none
	since    time.Time     // when the pause began
	probing  bool          // one request is under way in spite of the pause
	err      error         // of the last request without an answer
}

// enter returns an error when no request is to be made now. Otherwise leave must
// follow, with the same probe.
func (b *brake) enter(now time.Time) (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest == 0 {
		return false, nil
	}
	if left := b.rest - now.Sub(b.since); left > 0 || b.probing {
		return false, again(b.err, max(0, left))
	}
	b.probing = true
	return true, nil
}

// An outcome is what a request says about the endpoint.
type outcome int

const (
	unheard  outcome = iota // nothing: its caller left before the answer
	answered                // it answers, whatever it says
	silent                  // it gave no answer
)

// leave notes how a request ended, and of a silent one why. Requests that were
// under way when the pause began do not make it longer.
func (b *brake) leave(probe bool, now time.Time, o outcome, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch o {
	case answered:
		b.failures, b.rest, b.err = 0, 0, nil
	case silent:
		b.failures++
		b.err = err
		if probe {
			b.rest, b.since = min(2*b.rest, longestRest), now
		} else if b.rest == 0 && b.failures >= brakeAfter {
			b.rest, b.since = firstPause, now
		}
	}
}
