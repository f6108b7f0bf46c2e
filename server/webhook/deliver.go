package webhook

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	claimFor = time.Minute // longer than an attempt and its notes take

	// beginWithin is how much of a claim must be left for an attempt to begin.
	beginWithin = attemptFor + 2*storeTimeout

	pollEvery = 5 * time.Second // for events that other processes wrote

	// crowded is the pause when something is due that cannot be had: its endpoint
	// is busy, or another process was faster.
	crowded = 500 * time.Millisecond

	storeTimeout = 5 * time.Second  // of one question to the store
	longestRest  = 30 * time.Second // between questions to a store that fails

	stopFor = 5 * time.Second // that attempts under way get at a stop
)

// Run delivers until ctx ends. Then it begins nothing more, gives attempts under
// way a few seconds and abandons the others: their claims end by themselves, and
// some process tries again. It is called once.
func (m *Manager) Run(ctx context.Context) error {
	going, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	r := &round{m: m, going: going, done: make(chan string), busy: map[string]int{}, waiting: map[string][]claimed{}}
	r.deliver(ctx)
	stop := time.AfterFunc(stopFor, abandon)
	defer stop.Stop()
	r.drain()
	return nil
}

// A claimed is a delivery that is this process's alone until a time.
type claimed struct {
	Due
	until time.Time
}

// A round is the state of Run, which its goroutine alone touches.
type round struct {
	m     *Manager
	going context.Context // of attempts
	wg    sync.WaitGroup
	done  chan string // endpoints whose attempt has ended

	running int
	busy    map[string]int       // attempts under way, by endpoint
	waiting map[string][]claimed // claimed and not begun, by endpoint; at most PerEndpoint of each
	rest    time.Duration        // after the store failed; 0: it did not
}

// deliver claims and begins until ctx ends.
func (r *round) deliver(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-r.done:
			r.ended(id)
			r.begin()
		case <-r.m.wake:
		case <-timer.C:
		}
		timer.Reset(r.look(ctx))
	}
}

// drain waits for the attempts under way.
func (r *round) drain() {
	for r.running > 0 {
		r.ended(<-r.done)
	}
	r.wg.Wait()
}

// look claims what is due and begins it. It returns when to look again, unless
// an attempt ends before.
func (r *round) look(ctx context.Context) time.Duration {
	for had := false; r.free() > 0; {
		wait, err := r.next(ctx)
		switch {
		case err != nil:
			return r.failed(ctx, err)
		case wait > 0:
			r.rest = 0
			return wait
		case had:
			return crowded
		}
		more, err := r.claim(ctx)
		if err != nil {
			return r.failed(ctx, err)
		}
		had = !more
	}
	return pollEvery
}

// free is how many attempts may begin.
func (r *round) free() int { return r.m.cfg.Workers - r.running }

// next returns how long nothing is due, at most pollEvery.
func (r *round) next(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	at, err := r.m.cfg.Store.NextDelivery(ctx)
	if err != nil || at.IsZero() {
		return pollEvery, err
	}
	return min(at.Sub(r.m.cfg.Now()), pollEvery), nil
}

// claim takes as much as may begin, and begins it. It reports whether there may
// be more.
func (r *round) claim(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now, most := r.m.cfg.Now(), r.m.cfg.PerEndpoint
	until := now.Add(claimFor)
	// With what endpoints that are busy may have at most on top, they cannot keep
	// the others from being among those that come.
	limit := r.free() + most*len(r.busy)
	list, err := r.m.cfg.Store.ClaimDeliveries(ctx, now, until, limit, most)
	if err != nil {
		return false, err
	}
	for _, due := range list {
		// More than that is left to the end of its claim: an endpoint that is slow
		// must not fill the memory.
		if id := due.Endpoint.ID; len(r.waiting[id]) < most {
			r.waiting[id] = append(r.waiting[id], claimed{due, until})
		}
	}
	r.begin()
	return len(list) >= limit, nil
}

// begin begins what waits, as far as that may be.
func (r *round) begin() {
	for id := range r.waiting {
		for len(r.waiting[id]) > 0 && r.busy[id] < r.m.cfg.PerEndpoint && r.free() > 0 {
			next := r.waiting[id][0]
			r.waiting[id] = r.waiting[id][1:]
			if next.until.Sub(r.m.cfg.Now()) >= beginWithin { // otherwise it is another's soon
				r.start(id, &next)
			}
		}
		if len(r.waiting[id]) == 0 {
			delete(r.waiting, id)
		}
	}
}

func (r *round) start(id string, c *claimed) {
	r.running++
	r.busy[id]++
	r.wg.Go(func() {
		r.m.attempt(r.going, c)
		r.done <- id
	})
}

func (r *round) ended(id string) {
	r.running--
	if r.busy[id]--; r.busy[id] == 0 {
		delete(r.busy, id)
	}
}

// failed notes that the store failed and returns when to ask it again.
func (r *round) failed(ctx context.Context, err error) time.Duration {
	r.rest = min(max(2*r.rest, time.Second), longestRest)
	if ctx.Err() == nil {
		r.m.cfg.Log.Warn("webhooks wait: the store cannot be asked", "again_in", r.rest.String(), "error", err)
	}
	return r.rest
}

// attempt sends one delivery and has the result noted, unless it is abandoned.
func (m *Manager) attempt(ctx context.Context, c *claimed) {
	began := m.cfg.Now()
	var result Result
	if c.Endpoint.DisabledAt.IsZero() {
		a := m.send(ctx, &c.Due)
		if ctx.Err() != nil {
			return
		}
		result = judge(&c.Delivery, a, began, m.cfg.Now())
	} else {
		result = Result{ID: c.ID, At: began, State: Dead, Error: "the webhook is switched off"}
	}
	m.report(c, result)
	m.note(ctx, c, result)
}

// report writes what came of an attempt to the log. The URL and the answer's body
// may hold secrets of the receiver and stay out.
func (m *Manager) report(c *claimed, r Result) {
	log := m.cfg.Log.With("webhook", c.EndpointID, "delivery", c.ID, "event", c.EventType, "attempt", c.Attempts+1, "status", r.Status)
	switch r.State {
	case Delivered:
		log.Debug("webhook delivered")
	case Dead:
		log.Warn("webhook given up", "error", r.Error)
	case Pending:
		log.Info("webhook not delivered", "error", r.Error, "again_at", r.NextAt.UTC().Format(time.RFC3339))
	}
}

// note has a result written while the claim lasts. When that fails the delivery
// is due again; the receiver knows it by its ID.
func (m *Manager) note(ctx context.Context, c *claimed, result Result) {
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(c.until.Sub(m.cfg.Now())))
	defer cancel()
	for pause := time.Second; ; pause = min(2*pause, storeTimeout) {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		err := m.cfg.Store.FinishDelivery(once, result)
		cancel()
		if err == nil || errors.Is(err, ErrNotFound) {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			m.cfg.Log.Warn("result of a webhook is lost: it will be sent again", "webhook", c.EndpointID, "delivery", c.ID, "error", err)
			return
		}
	}
}
