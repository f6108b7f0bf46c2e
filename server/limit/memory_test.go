package limit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnAccountIsBoundedByAnyOfItsNumbers(t *testing.T) {
	for _, tt := range []struct {
		a    Account
		want bool
	}{
		{Account{Name: "key:a", Tier: Tier{Name: "unlimited"}}, false},
		{Account{Tier: Tier{RequestsPerMinute: 1}}, true},
		{Account{Tier: Tier{BurstPerSecond: 1}}, true},
		{Account{Tier: Tier{Concurrent: 1}}, true},
		{Account{Tier: Tier{BandwidthPerMonth: 1}}, true},
		{Account{OpsTotal: 1}, true},
		{Account{OpsPerDay: 1}, true},
		{Account{OpsPerMonth: 1}, true},
		{Account{OpsTotal: -1}, true},
	} {
		if got := tt.a.Bounded(); got != tt.want {
			t.Errorf("%+v: Bounded() = %v", tt.a, got)
		}
	}
}

func TestUnboundedAccountsLeaveNoTrace(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	free := &Account{Name: "key:a", Tier: Tier{Name: "unlimited"}}
	for _, accounts := range [][]*Account{nil, {}, {free, free}} {
		if v := take(t, m, friday, accounts...); v != (Verdict{}) {
			t.Errorf("Take(%v) = %+v, want nothing", accounts, v)
		}
		m.Release(friday, accounts)
		if !m.Spend(friday, accounts, 1<<40) {
			t.Error("bytes are bounded")
		}
	}
	if n := len(m.states.list()); n != 0 {
		t.Errorf("%d accounts are remembered", n)
	}
}

func TestRateVerdictsTellOfTheAccountWithTheLeastLeft(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	key := &Account{Name: "key:a", Tier: Tier{RequestsPerMinute: 60, BurstPerSecond: 2}}
	user := &Account{Name: "user:u", Tier: Tier{RequestsPerMinute: 6}}
	tests := []struct {
		name     string
		accounts []*Account
		at       time.Duration
		want     Verdict
	}{
		{"the first", []*Account{key, user}, 0, Verdict{Limit: 6, Window: time.Minute, Remaining: 5, Reset: friday.Add(10 * time.Second)}},
		{"key alone", []*Account{key}, 0, Verdict{Limit: 60, Window: time.Minute, Remaining: 58, Reset: friday.Add(2 * time.Second)}},
		{"burst", []*Account{key, user}, 0, Verdict{
			Reason: Rate, Account: key, RetryAfter: 500 * time.Millisecond,
			Limit: 6, Window: time.Minute, Remaining: 5, Reset: friday.Add(10 * time.Second),
		}},
		{"half a second later", []*Account{key, user}, 500 * time.Millisecond, Verdict{Limit: 6, Window: time.Minute, Remaining: 4, Reset: friday.Add(20 * time.Second)}},
		{"user alone", []*Account{user}, 500 * time.Millisecond, Verdict{Limit: 6, Window: time.Minute, Remaining: 3, Reset: friday.Add(30 * time.Second)}},
		{"again", []*Account{user}, 500 * time.Millisecond, Verdict{Limit: 6, Window: time.Minute, Remaining: 2, Reset: friday.Add(40 * time.Second)}},
		{"again", []*Account{user}, 500 * time.Millisecond, Verdict{Limit: 6, Window: time.Minute, Remaining: 1, Reset: friday.Add(50 * time.Second)}},
		{"the last", []*Account{user}, 500 * time.Millisecond, Verdict{Limit: 6, Window: time.Minute, Reset: friday.Add(60 * time.Second)}},
		{"refused", []*Account{key, user}, 500 * time.Millisecond, Verdict{
			Reason: Rate, Account: user, RetryAfter: 9500 * time.Millisecond,
			Limit: 6, Window: time.Minute, Reset: friday.Add(60 * time.Second),
		}},
		{"nobody else was charged", []*Account{key}, 500 * time.Millisecond, Verdict{
			Reason: Rate, Account: key, RetryAfter: 500 * time.Millisecond,
			Limit: 60, Window: time.Minute, Remaining: 57, Reset: friday.Add(3 * time.Second),
		}},
	}
	for _, tt := range tests {
		got := take(t, m, friday.Add(tt.at), tt.accounts...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestConcurrencyCountsUntilRelease(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	a := &Account{Name: "key:a", Tier: Tier{Concurrent: 2}}
	both := []*Account{a, {Name: "user:u", Tier: Tier{Concurrent: 5}}}
	take(t, m, friday, a)
	take(t, m, friday, both...)
	want := Verdict{Reason: Concurrency, Account: a, RetryAfter: time.Second}
	if v := take(t, m, friday.Add(time.Hour), both...); v != want {
		t.Errorf("Take = %+v, want %+v", v, want)
	}
	m.Release(friday, both)
	if v := take(t, m, friday, a); v.Reason != None {
		t.Errorf("after a release Take = %+v", v)
	}
	for range 5 {
		m.Release(friday, both)
	}
	if n := m.Left(friday, a).Running; n != 0 {
		t.Errorf("%d requests are running", n)
	}
}

func TestAnAccountListedTwiceCountsOnce(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	a := &Account{Name: "key:a", Tier: Tier{Concurrent: 3, RequestsPerMinute: 10}}
	same := &Account{Name: "key:a", Tier: Tier{Concurrent: 1, RequestsPerMinute: 1}}
	if v := take(t, m, friday, a, same, a); v.Remaining != 9 {
		t.Errorf("Take = %+v", v)
	}
	if n := m.Left(friday, a).Running; n != 1 {
		t.Errorf("%d are running, want 1", n)
	}
	m.Release(friday, []*Account{a, same, a})
	if n := m.Left(friday, a).Running; n != 0 {
		t.Errorf("%d are running, want 0", n)
	}
}

func TestAChangedTierCountsAtOnceAndForgetsNothing(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	tiers := func(perMinute, concurrent int64) *Account {
		return &Account{Name: "key:a", Tier: Tier{RequestsPerMinute: perMinute, Concurrent: concurrent}}
	}
	for range 3 {
		take(t, m, friday, tiers(6, 0))
	}
	if v := take(t, m, friday, tiers(600, 0)); v.Limit != 600 || v.Remaining != 299 {
		t.Errorf("with half of the minute gone: %+v", v)
	}
	if v := take(t, m, friday, tiers(600, 4)); v.Reason != Concurrency {
		t.Errorf("with 4 running, and 4 allowed: %+v", v)
	}
	if v := take(t, m, friday, tiers(600, 5)); v.Reason != None {
		t.Errorf("with 4 running, and 5 allowed: %+v", v)
	}
}

func TestNegativeBoundsLetNothingThrough(t *testing.T) {
	month := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC).Sub(friday)
	for _, tt := range []struct {
		a     Account
		want  Reason
		retry time.Duration
	}{
		{Account{Tier: Tier{RequestsPerMinute: -1}}, Rate, time.Minute},
		{Account{Tier: Tier{BurstPerSecond: -1}}, Rate, time.Second},
		{Account{Tier: Tier{Concurrent: -1}}, Concurrency, time.Second},
		{Account{Tier: Tier{BandwidthPerMonth: -1}}, Bandwidth, month},
		{Account{OpsTotal: -1}, Ops, 0},
		{Account{OpsPerDay: -1}, OpsBudget, 12 * time.Hour},
		{Account{OpsPerMonth: -1}, OpsBudget, month},
	} {
		b := newBank()
		m := newMemory(t, MemoryConfig{Ledger: b})
		v := take(t, m, friday, &tt.a)
		if v.Reason != tt.want || v.RetryAfter != tt.retry || v.Account != &tt.a || b.calls() != 0 {
			t.Errorf("%+v: %+v after %d draws", tt.a, v, b.calls())
		}
	}
}

func TestTheLongestRefusalIsTold(t *testing.T) {
	m := newMemory(t, MemoryConfig{})
	a := &Account{Name: "key:a", OpsTotal: 2, OpsPerDay: 2, Tier: Tier{RequestsPerMinute: 2, Concurrent: 2}}
	b := &Account{Name: "key:b", OpsPerDay: 2, Tier: Tier{RequestsPerMinute: 2, Concurrent: 2}}
	c := &Account{Name: "key:c", Tier: Tier{RequestsPerMinute: 2, Concurrent: 2}}
	for _, tt := range []struct {
		a    *Account
		want Reason
	}{{a, Ops}, {b, OpsBudget}, {c, Rate}} {
		take(t, m, friday, tt.a)
		take(t, m, friday, tt.a)
		if v := take(t, m, friday, tt.a); v.Reason != tt.want {
			t.Errorf("%s: %+v", tt.a.Name, v)
		}
	}
	if v := take(t, m, friday, c, a, b); v.Reason != Ops || v.Account != a {
		t.Errorf("of all: %+v", v)
	}
}

func TestTakeReleaseSpendDoNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, MemoryConfig{})
		accounts := []*Account{
			{Name: "key:a", Tier: wide, OpsTotal: 1 << 40},
			{Name: "user:u", Tier: wide, OpsPerDay: 1 << 40},
			{Name: "client:c", Tier: wide},
		}
		request := func() {
			if v := take(t, m, friday, accounts...); v.Reason != None {
				t.Fatalf("%+v", v)
			}
			m.Spend(friday, accounts, 1)
			m.Release(friday, accounts)
		}
		for range 20 { // the leases grow
			request()
			synctest.Wait()
		}
		if allocs := testing.AllocsPerRun(100, request); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// TestAStrangerHoldsNobodyUp has one account wait for the ledger while others go on.
func TestAStrangerHoldsNobodyUp(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	slow := &Account{Name: "key:slow", OpsTotal: 10, Tier: Tier{Concurrent: 5}}
	owner := &Account{Name: "user:owner", Tier: Tier{RequestsPerMinute: 100}}
	gate := make(chan struct{})
	b.setGate(gate)
	waits := make(chan error, 1)
	go func() {
		_, err := m.Take(context.Background(), friday, []*Account{slow, owner})
		waits <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Take(ctx, friday, []*Account{slow}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left: %v", err)
	}
	if v := take(t, m, friday, owner); v.Remaining != 99 {
		t.Errorf("the owner's other requests: %+v", v)
	}
	m.Release(friday, []*Account{owner})
	m.Spend(friday, []*Account{slow}, 10)
	gate <- struct{}{}
	if err := <-waits; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	if v := take(t, m, friday, owner); v.Remaining != 97 {
		t.Errorf("after all of it: %+v", v)
	}
}

func TestTakeWaitsFiveSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		m := newMemory(t, MemoryConfig{Ledger: b})
		b.setGate(make(chan struct{}))
		began := time.Now()
		a := &Account{Name: "key:a", OpsTotal: 10, Tier: Tier{Concurrent: 5}}
		_, err := m.Take(t.Context(), began, []*Account{a})
		if d := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || d != 5*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
		if n := m.Left(began, a).Running; n != 0 {
			t.Errorf("%d are running", n)
		}
	})
}

// TestRequestsRace has many requests share accounts in a table that is too small, and
// looks for a bound that was passed, a deadlock, or a count that is wrong at the end.
func TestRequestsRace(t *testing.T) {
	b := newBank()
	m := NewMemory(MemoryConfig{Ledger: b, Most: 4})
	const most = 3
	var accounts [6]*Account
	var running, passed [6]atomic.Int64
	for i := range accounts {
		accounts[i] = &Account{Name: fmt.Sprintf("key:%d", i), OpsTotal: 100_000, Tier: Tier{Concurrent: most}}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 150 {
				picked := []int{(g + i) % 6, (g * i) % 6, (5*g + 7*i) % 6}
				slices.Sort(picked)
				picked = slices.Compact(picked)
				if i%2 == 0 {
					slices.Reverse(picked)
				}
				var of []*Account
				for _, n := range picked {
					of = append(of, accounts[n])
				}
				v, err := m.Take(t.Context(), friday, of)
				if err != nil {
					t.Error(err)
				}
				if v.Reason != None {
					continue
				}
				for _, n := range picked {
					if running[n].Add(1) > most {
						t.Errorf("account %d has too many running", n)
					}
					passed[n].Add(1)
				}
				m.Spend(friday, of, 100)
				for _, n := range picked {
					running[n].Add(-1)
				}
				m.Release(friday, of)
			}
		})
	}
	wg.Wait()
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, a := range accounts {
		if n := m.Left(friday, a).Running; n != 0 {
			t.Errorf("account %d has %d running at the end", i, n)
		}
		if got, want := b.of(a.Name, "ops"), passed[i].Load(); got != want {
			t.Errorf("account %d: the ledger knows of %d operations, want %d", i, got, want)
		}
	}
}
