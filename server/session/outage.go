package session

import (
	"sync"
	"time"
)

const (
	outageAfter = 3               // questions in a row without an answer
	probeWait   = 5 * time.Second // for others, while one session finds out whether the provider is back
)

// outages are the providers that do not answer. Their sessions go on, and wait
// together: one of them at a time finds out whether the provider is back, in
// place of each waiting for an answer of its own.
type outages struct {
	mu  sync.Mutex         // guards the rest
	all map[string]*outage // by provider; those that answered are not in it
}

// An outage is a provider that did not answer the last question.
type outage struct {
	failed  int   // questions in a row without an answer
	pause   int64 // the last one, milliseconds
	until   int64 // nobody asks before, milliseconds since the epoch
	probing bool  // somebody finds out
}

// ask reports whether a session may ask its provider now; then leave has to be
// called when it has. If it may not, it may try again at the time at.
func (o *outages) ask(provider string, now int64) (leave func(), at int64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.all[provider]
	switch {
	case p == nil || p.failed < outageAfter:
		return func() {}, 0, true
	case now < p.until:
		return nil, p.until, false
	case p.probing:
		return nil, now + probeWait.Milliseconds(), false
	}
	p.probing = true
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		p.probing = false
	}, 0, true
}

// answered says whether a provider answered; a refusal is an answer. Those who
// asked before a pause began make it no longer.
func (o *outages) answered(provider string, did bool, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if did {
		delete(o.all, provider)
		return
	}
	p := o.all[provider]
	if p == nil {
		p = new(outage)
		o.all[provider] = p
	}
	p.failed++
	if p.failed >= outageAfter && now >= p.until {
		p.pause = longer(p.pause)
		p.until = now + p.pause
	}
}

// longer is the pause after one that was in vain, in milliseconds.
func longer(pause int64) int64 {
	return min(max(2*pause, backoffFirst.Milliseconds()), backoffMost.Milliseconds())
}
