package server

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"wavegate/server/limit"
	"wavegate/server/session"
)

// Strangers begin as many login attempts as they like. A source is an IPv4
// address or an IPv6 /64, which may be many people: they wait for one another.
const (
	maxExchanges       = 32 // codes that are exchanged at a time
	maxExchangesSource = 4  // of one source
	maxWaiting         = 512
	maxWaitingSource   = 128
	maxAttempts        = 10_000 // that are remembered as used
)

// A codeGate decides which callbacks may make a request to a provider. Each login
// attempt gets one, whatever becomes of it: the cookie of an attempt says nothing
// of how often it was shown. The zero value is open.
type codeGate struct {
	patience time.Duration // how long a callback waits for room; 0 is 10 s

	mu      sync.Mutex // guards what follows
	used    map[session.Hash]bool
	order   []usedAttempt // those in used, the one that was used first in front
	sources map[netip.Addr]int
	open    int           // exchanges under way; the sum of sources
	waiting []*codeWaiter // those who came first in front
}

type usedAttempt struct {
	hash session.Hash
	ends time.Time // of the attempt, which is refused as too late from then on
}

// A codeWaiter is a callback that waits for room.
type codeWaiter struct {
	from netip.Addr
	in   chan struct{} // closed when it was let in
}

// A passage is what a codeGate says to a callback.
type passage int

const (
	passed  passage = iota // leave must be called when the exchange is over
	usedUp                 // the attempt had its exchange, or has it now
	crowded                // too many are under way; the attempt is not used up
)

// enter asks for the exchange of an attempt, which is used up when it passes, and
// waits for room until ctx ends or patience does. An invalid ip is a source
// without a name, as on a Unix socket: only the bounds for all hold there.
func (g *codeGate) enter(ctx context.Context, now time.Time, ip netip.Addr, attempt session.Attempt) passage {
	hash, w := attempt.Hash(), &codeWaiter{limit.Source(ip), make(chan struct{})}
	if p, wait := g.begin(now, hash, attempt.Ends, w); !wait {
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.patience, 10*time.Second))
	defer cancel()
	select {
	case <-w.in:
		return passed
	case <-ctx.Done():
	}
	return g.giveUp(hash, w)
}

// begin is enter as far as it does not wait.
func (g *codeGate) begin(now time.Time, hash session.Hash, ends time.Time, w *codeWaiter) (p passage, wait bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.order) > 0 && !now.Before(g.order[0].ends) {
		g.drop()
	}
	room := g.room(w.from)
	switch {
	case g.used[hash]:
		return usedUp, false
	case !room && g.queueFull(w.from):
		return crowded, false
	}
	g.add(hash, ends)
	if room {
		g.admit(w.from)
		return passed, false
	}
	g.waiting = append(g.waiting, w)
	return passed, true
}

// giveUp takes a callback out of the queue, unless it was let in just now.
func (g *codeGate) giveUp(hash session.Hash, w *codeWaiter) passage {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, w)
	if i < 0 {
		return passed
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	delete(g.used, hash)
	g.order = slices.DeleteFunc(g.order, func(u usedAttempt) bool { return u.hash == hash })
	return crowded
}

// leave ends what enter let pass, and lets in the first who fits.
func (g *codeGate) leave(ip netip.Addr) {
	from := limit.Source(ip)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if g.sources[from]--; g.sources[from] <= 0 {
		delete(g.sources, from)
	}
	i := slices.IndexFunc(g.waiting, func(w *codeWaiter) bool { return g.room(w.from) })
	if i < 0 {
		return
	}
	w := g.waiting[i]
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.admit(w.from)
	close(w.in)
}

// What follows is called with g.mu held.

func (g *codeGate) room(from netip.Addr) bool {
	return g.open < maxExchanges && (!from.IsValid() || g.sources[from] < maxExchangesSource)
}

func (g *codeGate) admit(from netip.Addr) {
	if g.sources == nil {
		g.sources = make(map[netip.Addr]int)
	}
	g.open++
	g.sources[from]++
}

func (g *codeGate) queueFull(from netip.Addr) bool {
	n := 0
	for _, w := range g.waiting {
		if w.from == from {
			n++
		}
	}
	return len(g.waiting) >= maxWaiting || from.IsValid() && n >= maxWaitingSource
}

// add remembers an attempt as used; where there are too many, the oldest goes.
func (g *codeGate) add(hash session.Hash, ends time.Time) {
	if g.used == nil {
		g.used = make(map[session.Hash]bool)
	}
	if len(g.order) >= maxAttempts {
		g.drop()
	}
	g.used[hash] = true
	g.order = append(g.order, usedAttempt{hash, ends})
}

// drop forgets the attempt that was used first.
func (g *codeGate) drop() {
	delete(g.used, g.order[0].hash)
	g.order = g.order[1:]
}
