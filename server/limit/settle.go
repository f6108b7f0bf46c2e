package limit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	closeTimeout = 10 * time.Second // for Run's last work
	closers      = 8                // calls of the ledger at the same time, in Close
	maxDebts     = 1 << 17          // accounts and periods that are settled later
)

// An owed is what the ledger must still hear of an account's period: what was drawn and
// is not needed, or, where it is negative, bytes that flowed and were not drawn.
type owed struct {
	account string
	period  string
	forget  time.Time
	limit   int64
	amount  int64
}

func (o owed) of(account string) owed {
	o.account = account
	return o
}

// A debts is everything that is owed.
type debts struct {
	mu     sync.Mutex // guards everything below; a leaf
	all    map[debtor]owed
	queued bool // somebody will settle it
}

type debtor struct{ account, period string }

// add notes what is owed. It returns how many could not be noted because of how
// many there are already.
func (d *debts) add(all ...owed) (lost int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = make(map[debtor]owed)
	}
	for _, o := range all {
		key := debtor{o.account, o.period}
		o.amount = add(o.amount, d.all[key].amount)
		switch _, has := d.all[key]; {
		case o.amount == 0:
			delete(d.all, key)
		case has || len(d.all) < maxDebts:
			d.all[key] = o
		default:
			lost++
		}
	}
	return lost
}

// next takes out one.
func (d *debts) next() (owed, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, o := range d.all {
		delete(d.all, key)
		return o, true
	}
	return owed{}, false
}

// claim reports whether the caller is the one to settle; done lets the next.
func (d *debts) claim() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queued || len(d.all) == 0 {
		return false
	}
	d.queued = true
	return true
}

func (d *debts) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queued = false
}

func (d *debts) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// owe has the ledger told, soon. It may be called with locks held.
func (m *Memory) owe(all ...owed) {
	if lost := m.debts.add(all...); lost > 0 {
		m.cfg.Log.Error("what accounts drew and did not spend is lost to them: the ledger fails for too long", "accounts", lost)
	}
	m.settleSoon()
}

func (m *Memory) settleSoon() {
	if m.debts.claim() && !m.jobs.queue(m.settleAll) {
		m.debts.done()
	}
}

// settleAll tells the ledger everything that is owed. What fails is left for the
// next sweep.
func (m *Memory) settleAll() {
	for {
		err := m.settleEach(context.Background())
		m.debts.done()
		if err != nil {
			m.cfg.Log.Warn("cannot tell the ledger what was spent; it is tried again", "left", m.debts.len(), slog.Any("error", err))
			return
		}
		if !m.debts.claim() {
			return
		}
	}
}

// settleEach settles until nothing is owed or something fails.
func (m *Memory) settleEach(ctx context.Context) error {
	for {
		o, ok := m.debts.next()
		if !ok {
			return nil
		}
		if err := m.settle(ctx, o); err != nil {
			m.debts.add(o)
			return fmt.Errorf("limit: settle %s of %s: %w", o.period, o.account, err)
		}
	}
}

func (m *Memory) settle(ctx context.Context, o owed) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	if o.amount > 0 {
		return m.cfg.Ledger.Return(ctx, o.account, o.period, o.amount)
	}
	_, _, err := m.cfg.Ledger.Draw(ctx, o.account, o.period, o.limit, -o.amount, o.forget)
	return err
}

// sweep gives back what accounts drew that nobody has used for a while, and forgets
// those of them that are as new.
func (m *Memory) sweep(now time.Time) {
	at, idle := now.UnixMicro(), m.cfg.LeaseFor.Microseconds()
	var all []owed
	m.states.each(func(s *state) bool {
		age := at - s.used
		if s.account == nil || max(age, -age) < idle {
			return true
		}
		all = append(all, s.settle()...)
		return s.pinned() || s.fullAt() > at
	})
	m.owe(all...)
	m.settleSoon()
}

// Run does what time brings until ctx ends, and then Close's work; the error is
// Close's. ctx should end after the last request.
func (m *Memory) Run(ctx context.Context) error {
	tick := time.NewTicker(max(m.cfg.LeaseFor/4, time.Second))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			m.sweep(now)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			return m.Close(last)
		}
	}
}

// Close waits for draws under way and gives back everything that was drawn and not
// spent. What it cannot give back stays spent, and it says so. Afterwards nothing can be
// drawn: Take errs where it would have to.
func (m *Memory) Close(ctx context.Context) error {
	if err := m.jobs.close(ctx); err != nil {
		return fmt.Errorf("limit: draws are under way still: %w", err)
	}
	for _, s := range m.states.list() {
		s.mu.Lock()
		all := s.settle()
		s.mu.Unlock()
		m.debts.add(all...)
	}
	errs := make(chan error, closers)
	for range closers {
		go func() { errs <- m.settleEach(ctx) }()
	}
	var first error
	for range closers {
		if err := <-errs; first == nil {
			first = err
		}
	}
	if n := m.debts.len(); n > 0 {
		return fmt.Errorf("limit: what %d accounts drew and did not spend stays spent: %w", n, first)
	}
	return nil
}
