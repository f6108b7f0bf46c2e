package limit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A plainAccount is the plain, slow reading of one account: logs of what passed.
type plainAccount struct {
	minute, burst []int64 // when, microseconds
	running       int64
	passed        []time.Time
}

// refusals returns every bound of a that refuses now, each as a Verdict that says no
// more.
func (p *plainAccount) refusals(a *Account, now time.Time) (all []Verdict) {
	refuse := func(r Reason, wait time.Duration) {
		all = append(all, Verdict{Reason: r, Account: a, RetryAfter: wait})
	}
	if n := a.Tier.Concurrent; n != 0 && p.running >= n {
		refuse(Concurrency, time.Second)
	}
	for _, l := range []*arrivals{p.rate(a.Tier.RequestsPerMinute, time.Minute), p.rate(a.Tier.BurstPerSecond, time.Second)} {
		if l == nil {
			continue
		}
		if ok, _, retry, _ := l.take(now.UnixMicro()); !ok {
			refuse(Rate, time.Duration(retry)*time.Microsecond)
		}
	}
	count := func(layout string) (n int64) {
		for _, at := range p.passed {
			if at.Format(layout) == now.Format(layout) {
				n++
			}
		}
		return n
	}
	y, m, d := now.Date()
	if a.OpsTotal != 0 && count("") >= a.OpsTotal {
		refuse(Ops, 0)
	}
	if a.OpsPerDay != 0 && count("2006-01-02") >= a.OpsPerDay {
		refuse(OpsBudget, time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Sub(now))
	}
	if a.OpsPerMonth != 0 && count("2006-01") >= a.OpsPerMonth {
		refuse(OpsBudget, time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Sub(now))
	}
	return all
}

// rate returns a rate's log, or nil for no bound. It is a copy.
func (p *plainAccount) rate(n int64, window time.Duration) *arrivals {
	if n == 0 {
		return nil
	}
	log := p.minute
	if window == time.Second {
		log = p.burst
	}
	r := newRate(n, window)
	return &arrivals{n: r.n, cost: r.cost, log: slices.Clone(log)}
}

func (p *plainAccount) pass(now time.Time) {
	p.running++
	p.passed = append(p.passed, now)
	p.minute = append(p.minute, now.UnixMicro())
	p.burst = append(p.burst, now.UnixMicro())
}

// A plain is the plain, slow reading of a Limiter.
type plain struct{ accounts map[string]*plainAccount }

func (p *plain) of(a *Account) *plainAccount {
	if p.accounts[a.Name] == nil {
		p.accounts[a.Name] = new(plainAccount)
	}
	return p.accounts[a.Name]
}

// take returns what the rate fields must say, and all refusals. Where there are none, the request has passed.
func (p *plain) take(now time.Time, accounts []*Account) (rates Verdict, refusals []Verdict) {
	for _, a := range accounts {
		refusals = append(refusals, p.of(a).refusals(a, now)...)
	}
	for _, a := range accounts {
		if len(refusals) == 0 {
			p.of(a).pass(now)
		}
		l := p.of(a).rate(a.Tier.RequestsPerMinute, time.Minute)
		if l == nil {
			continue
		}
		if left := l.left(now.UnixMicro()); rates.Limit == 0 || left < rates.Remaining {
			rates = Verdict{Limit: l.n, Window: time.Minute, Remaining: left}
			rates.Reset = now.Add(time.Duration(l.reset(now.UnixMicro())) * time.Microsecond)
		}
	}
	return rates, refusals
}

// expect compares a verdict with the plain one. Budgets are asked for only where nothing
// else refuses, so of several refusals it need not name the longest, but one that is no
// shorter than those that the process knows of itself.
func (p *plain) expect(t *rapid.T, got, rates Verdict, refusals []Verdict) {
	refusal := Verdict{Reason: got.Reason, Account: got.Account, RetryAfter: got.RetryAfter}
	got.Reason, got.Account, got.RetryAfter = None, nil, 0
	if diff := cmp.Diff(rates, got); diff != "" {
		t.Fatalf("rates: (-want +got)\n%s", diff)
	}
	if len(refusals) == 0 {
		refusals = []Verdict{{}}
	}
	if !slices.Contains(refusals, refusal) {
		t.Fatalf("got %+v, want one of %+v", refusal, refusals)
	}
	for _, r := range refusals {
		if (r.Reason == Rate || r.Reason == Concurrency) && refusal.RetryAfter != 0 && refusal.RetryAfter < r.RetryAfter {
			t.Fatalf("got %+v, but %+v lasts longer", refusal, r)
		}
	}
}

func anyAccount(t *rapid.T, name string) *Account {
	bound := func(what string, choices ...int64) int64 { return rapid.SampledFrom(choices).Draw(t, what) }
	return &Account{
		Name: name,
		Tier: Tier{
			RequestsPerMinute: bound("minute", 0, 0, 3, 7, 60),
			BurstPerSecond:    bound("burst", 0, 0, 1, 3),
			Concurrent:        bound("concurrent", 0, 0, 1, 4),
		},
		OpsTotal:    bound("ops", 0, 0, 5, 40),
		OpsPerDay:   bound("ops a day", 0, 0, 4, 35),
		OpsPerMonth: bound("ops a month", 0, 0, 6, 50),
	}
}

func anyStep(t *rapid.T) time.Duration {
	unit := rapid.SampledFrom([]time.Duration{
		0, time.Microsecond, time.Millisecond, 100 * time.Millisecond, time.Second, time.Second, 10 * time.Second, time.Hour,
	}).Draw(t, "unit")
	return time.Duration(rapid.IntRange(0, 9).Draw(t, "later")) * unit
}

// TestMemoryDecidesAsThePlainModelWould sends random requests over accounts that they
// share, in one process. Numbers change while it goes on; requests end in any order.
func TestMemoryDecidesAsThePlainModelWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBank()
		m := NewMemory(MemoryConfig{Ledger: b})
		p := &plain{make(map[string]*plainAccount)}
		now := friday
		var accounts [4]*Account
		for i := range accounts {
			accounts[i] = anyAccount(t, fmt.Sprintf("key:%d", i))
		}
		var running [][]*Account
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(anyStep(t))
			switch n := rapid.IntRange(0, 19).Draw(t, "what"); {
			case n == 0:
				i := rapid.IntRange(0, len(accounts)-1).Draw(t, "account")
				accounts[i] = sameBounds(accounts[i], anyAccount(t, accounts[i].Name))
			case n < 6 && len(running) > 0:
				i := rapid.IntRange(0, len(running)-1).Draw(t, "request")
				ended := running[i]
				running = slices.Delete(running, i, i+1)
				m.Release(now, ended)
				for _, a := range ended {
					p.of(a).running--
				}
			default:
				of := someOf(t, accounts[:])
				rates, refusals := p.take(now, of)
				got, err := m.Take(t.Context(), now, of)
				if err != nil {
					t.Fatal(err)
				}
				p.expect(t, got, rates, refusals)
				if got.Reason == None {
					running = append(running, of)
				}
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.expectSame(t, m, b, accounts[:], now)
	})
}

// sameBounds returns the new limits for those bounds that the account had already:
// what is not bounded is not counted. Rates stay, since of those it is the part of a
// window that is kept, not the number of requests.
func sameBounds(was, limits *Account) *Account {
	keep := func(was, limit int64) int64 {
		if was == 0 {
			return 0
		}
		return max(limit, 1)
	}
	limits.Tier.RequestsPerMinute = was.Tier.RequestsPerMinute
	limits.Tier.BurstPerSecond = was.Tier.BurstPerSecond
	limits.OpsTotal = keep(was.OpsTotal, limits.OpsTotal)
	limits.OpsPerDay = keep(was.OpsPerDay, limits.OpsPerDay)
	limits.OpsPerMonth = keep(was.OpsPerMonth, limits.OpsPerMonth)
	if !was.Bounded() {
		limits.Tier.Concurrent = 0 // its requests were not counted
	} else {
		limits.Tier.Concurrent = max(limits.Tier.Concurrent, 1)
	}
	return limits
}

// someOf draws one account or more, in any order.
func someOf(t *rapid.T, accounts []*Account) (some []*Account) {
	order := rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "order")
	for _, i := range order[:rapid.IntRange(1, 4).Draw(t, "how many")] {
		some = append(some, accounts[i])
	}
	return some
}

// expectSame compares what is left at the end.
func (p *plain) expectSame(t *rapid.T, m *Memory, b *bank, accounts []*Account, now time.Time) {
	for _, a := range accounts {
		if !a.Bounded() {
			continue
		}
		if got, want := m.Left(now, a).Running, p.of(a).running; got != want {
			t.Errorf("%s: %d are running, want %d", a.Name, got, want)
		}
		if got, want := b.of(a.Name, "ops"), int64(len(p.of(a).passed)); a.OpsTotal != 0 && got != want {
			t.Errorf("%s: the ledger counts %d, want %d", a.Name, got, want)
		}
	}
}
