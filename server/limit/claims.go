package limit

// A claim is what a request wants of one account.
type claim struct {
	account *Account
	state   *state
	minute  answer
	burstAt int64 // theoretical arrival time
	draws   uint  // bit set of the kinds that have no lease
}

// decide holds all bounds of the account against one request. It changes nothing but
// what time alone has changed, and adds to the verdict the refusal that lasts
// longest. The locks are held, also below.
func (c *claim) decide(now *moment, v *Verdict, after *aftermath) {
	s := c.state
	s.adopt(c.account)
	s.used = now.micro
	c.draws = 0
	for k, b := range s.budgets {
		if b == nil || b.limit == 0 {
			continue
		}
		if b.period != now.calendar.period[k] {
			after.owe(b.turn(now.calendar).of(s.name))
		}
		if kind(k) == bytesMonth {
			c.decideBytes(b, now, v)
		} else {
			c.decideOps(b, now, v)
		}
	}
	if n := c.account.Tier.Concurrent; n != 0 && s.running >= n {
		v.refuse(Concurrency, c.account, second)
	}
	c.decideRates(now, v)
}

func (c *claim) decideBytes(b *budget, now *moment, v *Verdict) {
	if b.gone() {
		v.refuse(Bandwidth, c.account, now.calendar.wait(bytesMonth, now.Time))
	}
	if b.short(now.micro) {
		c.draws |= 1 << bytesMonth
	}
}

func (c *claim) decideOps(b *budget, now *moment, v *Verdict) {
	switch {
	case b.lease > 0:
	case b.gone() && !b.mayAsk(now.micro):
		reason := OpsBudget
		if b.kind == opsTotal {
			reason = Ops
		}
		v.refuse(reason, c.account, now.calendar.wait(b.kind, now.Time))
	default:
		c.draws |= 1 << b.kind
	}
}

func (c *claim) decideRates(now *moment, v *Verdict) {
	tier := &c.account.Tier
	if tier.RequestsPerMinute != 0 {
		c.minute = c.state.minute.take(c.state.minuteAt, now.micro)
		if !c.minute.ok {
			c.state.minuteAt = c.minute.tat
			v.refuse(Rate, c.account, microseconds(c.minute.retry))
		}
	}
	if tier.BurstPerSecond != 0 {
		burst := c.state.burst.take(c.state.burstAt, now.micro)
		c.burstAt = burst.tat
		if !burst.ok {
			c.state.burstAt = burst.tat
			v.refuse(Rate, c.account, microseconds(burst.retry))
		}
	}
}

// spend does what decide found to be possible.
func (c *claim) spend(after *aftermath) {
	s := c.state
	s.running++
	if c.account.Tier.RequestsPerMinute != 0 {
		s.minuteAt = c.minute.tat
	}
	if c.account.Tier.BurstPerSecond != 0 {
		s.burstAt = c.burstAt
	}
	for _, b := range s.budgets[:bytesMonth] {
		if b != nil && b.limit != 0 && b.spend(1) {
			after.last = append(after.last, reached{c.account, b.period, b.limit})
		}
	}
}

// describe fills in the rate of which the fewest requests are left.
func (v *Verdict) describe(claims []claim, now *moment) {
	var reset int64
	for i := range claims {
		r, a := claims[i].state.minute, claims[i].minute
		if r.n == 0 {
			continue
		}
		left, whole := r.left(a), a.reset
		if v.Reason != None {
			left, whole = r.unspent(a)
		}
		if v.Limit == 0 || left < v.Remaining {
			v.Limit, v.Window, v.Remaining, reset = r.n, minute, left, whole
		}
	}
	if v.Limit != 0 {
		v.Reset = now.Add(microseconds(reset))
	}
}

// lock locks the claims' states, in the order that all requests keep to.
func (m *Memory) lock(claims []claim) {
	for !lockAll(claims) {
		for i := range claims {
			claims[i].state = m.states.make(claims[i].account.Name)
		}
	}
}

// lockAll returns false, with nothing locked, if a state was dropped meanwhile.
func lockAll(claims []claim) bool {
	last := uint64(0)
	for n := range claims {
		s := next(claims, last)
		s.mu.Lock()
		if s.gone {
			for range n + 1 {
				s.mu.Unlock()
				s = before(claims, s.id)
			}
			return false
		}
		last = s.id
	}
	return true
}

func unlock(claims []claim) {
	for i := range claims {
		claims[i].state.mu.Unlock()
	}
}

// next returns the state of the claims that follows an id.
func next(claims []claim, id uint64) (s *state) {
	for i := range claims {
		if c := claims[i].state; c.id > id && (s == nil || c.id < s.id) {
			s = c
		}
	}
	return s
}

// before returns the state of the claims that comes before an id, or nil.
func before(claims []claim, id uint64) (s *state) {
	for i := range claims {
		if c := claims[i].state; c.id < id && (s == nil || c.id > s.id) {
			s = c
		}
	}
	return s
}
