package limit

import (
	"sync"
	"time"
)

const (
	minute = time.Minute
	second = time.Second
)

// A state is what is counted of one account.
type state struct {
	id   uint64 // locks are taken in its order
	name string

	mu       sync.Mutex // guards everything below
	gone     bool       // dropped from the table: look the name up again
	account  *Account   // whose numbers count: the last that was seen
	minute   rate
	burst    rate
	minuteAt int64 // theoretical arrival times
	burstAt  int64
	running  int64
	used     int64 // microseconds; when it was last used
	budgets  [kinds]*budget
}

// adopt makes the numbers of an account count.
func (s *state) adopt(a *Account) {
	if s.account == a {
		return
	}
	s.account = a
	s.minute = newRate(a.Tier.RequestsPerMinute, minute)
	s.burst = newRate(a.Tier.BurstPerSecond, second)
	for k, limit := range [kinds]int64{a.OpsTotal, a.OpsPerDay, a.OpsPerMonth, a.Tier.BandwidthPerMonth} {
		b := s.budgets[k]
		switch {
		case b != nil:
			b.setLimit(limit)
		case limit != 0:
			s.budgets[k] = &budget{kind: kind(k), limit: limit, left: unknown}
		}
	}
}

// holds reports whether the ledger must hear of the state before it is dropped.
func (s *state) holds() bool {
	for _, b := range s.budgets {
		if b != nil && b.holds() {
			return true
		}
	}
	return false
}

// pinned reports whether the state cannot be dropped: somebody comes back to it.
func (s *state) pinned() bool {
	if s.running > 0 {
		return true
	}
	for _, b := range s.budgets {
		if b != nil && b.flight != nil {
			return true
		}
	}
	return false
}

// fullAt is when the rates are as new.
func (s *state) fullAt() int64 { return max(s.minuteAt, s.burstAt) }

// A moment is the time of a request in the forms that are needed.
type moment struct {
	time.Time
	micro    int64
	calendar *calendar
}

// refuse notes a refusal if it lasts longer than the one before. 0 is for ever.
func (v *Verdict) refuse(reason Reason, a *Account, wait time.Duration) {
	switch {
	case v.Reason == None,
		v.RetryAfter != 0 && (wait == 0 || wait > v.RetryAfter):
		v.Reason, v.Account, v.RetryAfter = reason, a, wait
	}
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
