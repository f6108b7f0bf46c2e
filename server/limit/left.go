package limit

import "time"

// A Left is what this process knows of an account, for people to read. Where there is
// no bound, it is 0.
type Left struct {
	Requests int64 // of the minute
	Burst    int64 // of the second
	Running  int64 // now

	// Drawn from the ledger and not spent yet: what the ledger counts as spent, less
	// these, is what was spent. Bytes are negative where they flowed and could not be
	// drawn yet.
	Ops, OpsDay, OpsMonth, Bytes int64
}

// Left returns what this process knows of an account. It spends nothing and asks
// nobody.
func (m *Memory) Left(now time.Time, a *Account) Left {
	at := m.moment(now)
	left := Left{Requests: max(a.Tier.RequestsPerMinute, 0), Burst: max(a.Tier.BurstPerSecond, 0)}
	s := m.states.get(a.Name)
	if s == nil {
		return left
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	left.Running = s.running
	peek := func(n, tat int64, window time.Duration) int64 {
		r := newRate(n, window)
		free, _ := r.unspent(r.take(tat, at.micro))
		return free
	}
	left.Requests = peek(a.Tier.RequestsPerMinute, s.minuteAt, minute)
	left.Burst = peek(a.Tier.BurstPerSecond, s.burstAt, second)
	for k, n := range [kinds]*int64{&left.Ops, &left.OpsDay, &left.OpsMonth, &left.Bytes} {
		if b := s.budgets[k]; b != nil && b.period == at.calendar.period[k] {
			*n = add(b.lease, b.back)
		}
	}
	return left
}
