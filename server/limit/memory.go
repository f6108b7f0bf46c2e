package limit

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// MemoryConfig is what a Memory needs. The zero value counts in the process alone.
type MemoryConfig struct {
	// Ledger keeps operations and bytes of months. nil keeps them in the process: they
	// are forgotten with it.
	Ledger Ledger

	// Most is how many accounts are remembered: 100,000 where it is 0. Beyond it,
	// those go first that are as new; one that somebody's request is running of never
	// goes, so there can be as many more as there are running requests.
	Most int

	// LeaseFor is how long an account that nobody uses keeps what it drew from the
	// ledger: a minute where it is 0. It takes Run.
	LeaseFor time.Duration

	// BudgetReached is told, once for each account and period, that the last
	// operation or byte of it was spent here. It must not block. Several processes
	// may each tell it once. nil is nobody.
	BudgetReached func(account *Account, period string, limit int64)

	// Log is told of what could not be given back to the ledger; nil is silence.
	Log *slog.Logger
}

// A Memory is a Limiter that counts rates and running requests in this process, and
// spends operations and bytes from leases that it draws from a Ledger: all processes
// together never spend more operations than there are, and one that is killed leaves
// some unspent. Bytes are drawn ahead while they flow; what flows beyond the end of
// a month's is what flows while the ledger is asked.
//
// It is safe for concurrent use. Each account has its own lock; none is held while
// the ledger is asked.
type Memory struct {
	cfg    MemoryConfig
	states *states
	jobs   *jobs
	debts  debts
	day    atomic.Pointer[calendar] // of the last request
}

var _ Limiter = (*Memory)(nil)

// NewMemory returns a Memory that has counted nothing. Close it, or have Run do so.
func NewMemory(cfg MemoryConfig) *Memory {
	cfg.Most = cmp.Or(max(cfg.Most, 0), 100_000)
	cfg.LeaseFor = cmp.Or(max(cfg.LeaseFor, 0), time.Minute)
	if cfg.Ledger == nil {
		cfg.Ledger = newCounts(int(kinds) * cfg.Most)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Memory{cfg: cfg, jobs: newJobs()}
	m.states = newStates(cfg.Most, m.owe)
	return m
}

// few is for how many accounts of a request Take does not allocate.
const few = 4

// Take implements Limiter. Of several bounds that refuse, the verdict names the one
// that does so longest. An account that is listed twice counts once, as it is
// listed first. What a request drew from the ledger and was then refused is there
// for the next. It waits for the ledger until ctx ends, for five seconds at most.
func (m *Memory) Take(ctx context.Context, now time.Time, accounts []*Account) (v Verdict, err error) {
	var room [few]claim
	claims := m.claims(room[:0], accounts)
	if len(claims) == 0 {
		return v, nil
	}
	at := m.moment(now)
	flights, err := m.try(claims, &at, &v)
	if len(flights) == 0 {
		return v, err
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	for len(flights) > 0 {
		if err := await(ctx, flights); err != nil {
			return Verdict{}, err
		}
		flights, err = m.try(claims, &at, &v)
	}
	return v, err
}

// claims appends a claim for each account that is bounded.
func (m *Memory) claims(claims []claim, accounts []*Account) []claim {
	for i, a := range accounts {
		if counted(accounts[:i], a) {
			claims = append(claims, claim{account: a, state: m.states.make(a.Name)})
		}
	}
	return claims
}

// counted reports whether an account is bounded, and no other of its name was before.
func counted(before []*Account, a *Account) bool {
	if !a.Bounded() {
		return false
	}
	for _, b := range before {
		if b.Name == a.Name && b.Bounded() {
			return false
		}
	}
	return true
}

// try spends what the claims want, or says in the verdict what refuses, or returns the
// draws that it takes to know.
func (m *Memory) try(claims []claim, now *moment, v *Verdict) ([]*flight, error) {
	var after aftermath
	*v = Verdict{}
	m.lock(claims)
	for i := range claims {
		claims[i].decide(now, v, &after)
	}
	flights, err := m.draws(claims, now, v.Reason == None)
	v.describe(claims, now)
	if v.Reason == None && err == nil && len(flights) == 0 {
		for i := range claims {
			claims[i].spend(&after)
		}
	}
	unlock(claims)
	m.finish(&after)
	if err != nil {
		*v = Verdict{}
	}
	return flights, err
}

// draws starts what the claims miss: bytes ahead of need, operations only for a
// request that nothing else refuses, and it is these that are returned.
func (m *Memory) draws(claims []claim, now *moment, open bool) (flights []*flight, err error) {
	for i := range claims {
		c := &claims[i]
		if b := c.state.budgets[bytesMonth]; b != nil && b.limit != 0 {
			if c.draws&(1<<bytesMonth) != 0 {
				m.draw(c.state, b, now)
			}
			if why := b.overdrawn(); open && why != nil {
				err = fmt.Errorf("limit: more bytes flowed than can be counted now: %w", why)
			}
		}
		for _, b := range c.state.budgets[:bytesMonth] {
			if open && b != nil && c.draws&(1<<b.kind) != 0 {
				flights = append(flights, m.draw(c.state, b, now))
			}
		}
	}
	return flights, err
}

// Release implements Limiter.
func (m *Memory) Release(now time.Time, accounts []*Account) {
	for i, a := range accounts {
		if !counted(accounts[:i], a) {
			continue
		}
		s := m.states.get(a.Name)
		if s == nil {
			continue
		}
		s.mu.Lock()
		s.running = max(s.running-1, 0)
		s.used = now.UnixMicro()
		s.mu.Unlock()
	}
}

// Spend implements Limiter. It never waits for the ledger.
func (m *Memory) Spend(now time.Time, accounts []*Account, bytes int64) bool {
	at, ok := m.moment(now), true
	for i, a := range accounts {
		if a.Tier.BandwidthPerMonth != 0 && counted(accounts[:i], a) {
			ok = m.spend(&at, a, max(bytes, 0)) && ok
		}
	}
	return ok
}

// spend counts the bytes of one account. The numbers that count are those of the last
// Take: a stream may be older.
func (m *Memory) spend(now *moment, a *Account, bytes int64) bool {
	s := m.states.locked(a.Name)
	if s.account == nil {
		s.adopt(a)
	}
	s.used = now.micro
	b := s.budgets[bytesMonth]
	if b == nil || b.limit == 0 {
		s.mu.Unlock()
		return true
	}
	var after aftermath
	if b.period != now.calendar.period[bytesMonth] {
		after.owe(b.turn(now.calendar).of(s.name))
	}
	if b.spend(bytes) {
		after.last = append(after.last, reached{s.account, b.period, b.limit})
	}
	if b.short(now.micro) {
		m.draw(s, b, now)
	}
	ok := !b.gone() && b.overdrawn() == nil
	s.mu.Unlock()
	m.finish(&after)
	return ok
}

func (m *Memory) moment(now time.Time) moment {
	c := m.day.Load()
	if c == nil || !c.covers(now) {
		c = newCalendar(now)
		m.day.Store(c)
	}
	return moment{Time: now, micro: now.UnixMicro(), calendar: c}
}

// An aftermath is what is to be done when the locks are free again. Mostly nothing.
type aftermath struct {
	late []owed
	last []reached
}

// A reached is a budget whose end BudgetReached is told.
type reached struct {
	account *Account
	period  string
	limit   int64
}

func (a *aftermath) owe(o owed) {
	if o.amount != 0 {
		a.late = append(a.late, o)
	}
}

func (m *Memory) finish(after *aftermath) {
	if len(after.late) > 0 {
		m.owe(after.late...)
	}
	if m.cfg.BudgetReached == nil {
		return
	}
	for _, r := range after.last {
		m.cfg.BudgetReached(r.account, r.period, r.limit)
	}
}
