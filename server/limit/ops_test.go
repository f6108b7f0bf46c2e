package limit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// race has n requests run at the same time, dealt out to memories, and returns how
// many passed and how many erred.
func race(t *testing.T, n int, a *Account, memories ...*Memory) (passed, erred int64) {
	t.Helper()
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		m := memories[i%len(memories)]
		wg.Go(func() {
			<-start
			switch v, err := m.Take(t.Context(), friday, []*Account{a}); {
			case err != nil:
				failed.Add(1)
			case v.Reason == None:
				ok.Add(1)
			case v.Reason != Ops || v.RetryAfter != 0 || v.Account != a:
				t.Errorf("refused with %+v", v)
			}
		})
	}
	close(start)
	wg.Wait()
	return ok.Load(), failed.Load()
}

func TestTrialsAreExactUnderFiftyRacingRequests(t *testing.T) {
	for _, tt := range []struct {
		name     string
		limit    int64
		memories int
		ledger   bool
	}{
		{"one process", 10, 1, true},
		{"two processes", 10, 2, true},
		{"five processes", 32, 5, true},
		{"without a ledger", 10, 1, false},
		{"larger leases, one process", 40, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b *bank
			var memories []*Memory
			cfg := MemoryConfig{}
			if tt.ledger {
				b = newBank()
				cfg.Ledger = b
			}
			for range tt.memories {
				memories = append(memories, newMemory(t, cfg))
			}
			a := &Account{Name: "key:trial", OpsTotal: tt.limit}
			if passed, erred := race(t, 50, a, memories...); passed != tt.limit || erred != 0 {
				t.Errorf("%d passed and %d erred, want %d", passed, erred, tt.limit)
			}
			if b != nil && b.of(a.Name, "ops") != tt.limit {
				t.Errorf("the ledger counts %d", b.of(a.Name, "ops"))
			}
		})
	}
}

func TestNothingIsSpentWhereTheLedgerErrs(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	b.breakWith(func(string) error {
		if b.draws%3 == 0 {
			return errBank
		}
		return nil
	})
	a := &Account{Name: "key:trial", OpsTotal: 10, Tier: Tier{RequestsPerMinute: 1000}}
	passed, erred := race(t, 50, a, m)
	if erred == 0 {
		t.Fatal("no request saw the ledger fail")
	}
	if left := m.Left(friday, a); left.Requests != 1000-passed || left.Running != passed {
		t.Errorf("%d passed, but %+v", passed, left)
	}
	b.breakWith(always(errBank))
	if passed < 10 {
		if v, err := m.Take(t.Context(), friday, []*Account{a}); !errors.Is(err, errBank) || v != (Verdict{}) {
			t.Errorf("Take = %+v, %v", v, err)
		}
	}
	b.breakWith(nil)
	more, _ := race(t, 50, a, m)
	if passed+more != 10 {
		t.Errorf("%d and %d passed, want 10 together", passed, more)
	}
}

func TestASpentAccountAsksTheLedgerRarely(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	a := &Account{Name: "key:a", OpsTotal: 3}
	race(t, 10, a, m)
	calls := b.calls()
	for i := range 100 {
		if v := take(t, m, friday.Add(time.Duration(i)*time.Millisecond), a); v.Reason != Ops {
			t.Fatalf("%+v", v)
		}
	}
	if n := b.calls(); n != calls {
		t.Errorf("%d calls for requests of a spent account", n-calls)
	}
	take(t, m, friday.Add(5*time.Second), a)
	if n := b.calls(); n != calls+1 {
		t.Errorf("%d calls after five seconds, want 1", n-calls)
	}
	if v := take(t, m, friday.Add(5*time.Second), &Account{Name: "key:a", OpsTotal: 4}); v.Reason != None {
		t.Errorf("a raised limit does not count at once: %+v", v)
	}
	if v := take(t, m, friday.Add(5*time.Second), &Account{Name: "key:a", OpsTotal: 2}); v.Reason != Ops {
		t.Errorf("a lowered limit: %+v", v)
	}
}

func TestALoweredLimitCountsForLeasesToo(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	passed := 0
	for range 20 {
		if take(t, m, friday, &Account{Name: "key:a", OpsTotal: 16_000}).Reason == None {
			passed++
		}
	}
	for range 20 {
		if take(t, m, friday, &Account{Name: "key:a", OpsTotal: 25}).Reason == None {
			passed++
		}
	}
	if passed != 25 || b.of("key:a", "ops") != 25 {
		t.Errorf("%d passed, and the ledger counts %d, want 25", passed, b.of("key:a", "ops"))
	}
}

func TestADrawUnderALimitThatWasLoweredMeanwhileIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		gate := make(chan struct{})
		b.setGate(gate)
		m := newMemory(t, MemoryConfig{Ledger: b})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m.Take(ctx, friday, []*Account{{Name: "key:a", OpsTotal: 1000}}) // draws, and does not wait
		low := &Account{Name: "key:a", OpsTotal: 5}
		waits := make(chan Verdict)
		go func() {
			v, err := m.Take(t.Context(), friday, []*Account{low})
			if err != nil {
				t.Error(err)
			}
			waits <- v
		}()
		synctest.Wait()
		b.setGate(nil)
		close(gate)
		passed := 0
		if v := <-waits; v.Reason == None {
			passed++
		}
		for range 10 {
			if take(t, m, friday, low).Reason == None {
				passed++
			}
		}
		if passed != 5 || b.of("key:a", "ops") != 5 {
			t.Errorf("%d passed, and the ledger counts %d, want 5", passed, b.of("key:a", "ops"))
		}
	})
}

func TestNoProcessHoldsOperationsOfASmallLimit(t *testing.T) {
	b := newBank()
	one, other := newMemory(t, MemoryConfig{Ledger: b}), newMemory(t, MemoryConfig{Ledger: b})
	a := &Account{Name: "key:trial", OpsTotal: exactUpTo}
	take(t, one, friday, a)
	passed := int64(1)
	for range 2 * exactUpTo {
		if take(t, other, friday, a).Reason == None {
			passed++
		}
	}
	if passed != exactUpTo {
		t.Errorf("%d passed, want %d", passed, exactUpTo)
	}
}

func TestWhatARefusedRequestDrewIsThereForTheNext(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	key := &Account{Name: "key:a", OpsTotal: 5}
	user := &Account{Name: "user:u", OpsPerDay: 1}
	take(t, m, friday, user)
	for range 3 {
		if v := take(t, m, friday, key, user); v.Reason != OpsBudget || v.Account != user {
			t.Fatalf("%+v", v)
		}
	}
	passed := 0
	for range 10 {
		if take(t, m, friday, key).Reason == None {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("%d passed, want 5", passed)
	}
}

func TestDaysAndMonthsBeginAnew(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b})
	a := &Account{Name: "key:a", OpsPerDay: 2, OpsPerMonth: 5}
	var got []string
	at := time.Date(2026, 11, 29, 23, 0, 0, 0, time.FixedZone("", -3600)) // the 30th in UTC
	for range 4 {
		for range 3 {
			v := take(t, m, at, a)
			got = append(got, map[Reason]string{None: "passed", OpsBudget: "retry " + v.RetryAfter.String()}[v.Reason])
		}
		at = at.Add(24 * time.Hour)
	}
	want := []string{
		"passed", "passed", "retry 24h0m0s",
		"passed", "passed", "retry 24h0m0s",
		"passed", "passed", "retry 24h0m0s",
		"passed", "retry 696h0m0s", "retry 696h0m0s", // of December five in all
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for period, want := range map[string]int64{"ops 2026-11-30": 2, "ops 2026-11": 2, "ops 2026-12-01": 2, "ops 2026-12": 5} {
		if got := b.of(a.Name, period); got != want {
			t.Errorf("%s: the ledger counts %d, want %d", period, got, want)
		}
	}
}

func TestALateRequestIsCountedOnItsOwnDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		m := newMemory(t, MemoryConfig{Ledger: b})
		a := &Account{Name: "key:a", OpsPerDay: 1000}
		midnight := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
		for range 3 {
			take(t, m, midnight.Add(-time.Millisecond), a)
			take(t, m, midnight, a)
		}
		synctest.Wait()
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.of(a.Name, "ops 2026-11-27") != 3 || b.of(a.Name, "ops 2026-11-28") != 3 {
			t.Errorf("the ledger counts %v, want 3 on each day", b.spent)
		}
	})
}

func TestADrawUnderWayAtMidnightIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		gate := make(chan struct{})
		b.setGate(gate)
		m := newMemory(t, MemoryConfig{Ledger: b})
		a := &Account{Name: "key:a", OpsPerDay: 1000}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m.Take(ctx, friday, []*Account{a}) // draws, and does not wait
		go m.Take(t.Context(), friday.Add(12*time.Hour), []*Account{a})
		synctest.Wait()
		b.setGate(nil)
		close(gate)
		synctest.Wait()
		if today, tomorrow := b.of(a.Name, "ops 2026-11-27"), b.of(a.Name, "ops 2026-11-28"); today != 0 || tomorrow != 16 {
			t.Errorf("the ledger counts %d and %d, want none and a lease of 16", today, tomorrow)
		}
	})
}

func TestCalendarNamesPeriodsAndTheirEnds(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tt := range []struct{ now, day, month, nextDay, nextMonth string }{
		{"2026-11-27T23:59:59.999Z", "ops 2026-11-27", "2026-11", "2026-11-28", "2026-12-01"},
		{"2026-12-31T00:00:00Z", "ops 2026-12-31", "2026-12", "2027-01-01", "2027-01-01"},
		{"2028-02-28T22:00:00-05:00", "ops 2028-02-29", "2028-02", "2028-03-01", "2028-03-01"},
		{"2027-02-28T12:00:00Z", "ops 2027-02-28", "2027-02", "2027-03-01", "2027-03-01"},
	} {
		now, err := time.Parse(time.RFC3339Nano, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		c := newCalendar(now)
		if want := [kinds]string{"ops", tt.day, "ops " + tt.month, "bytes " + tt.month}; c.period != want {
			t.Errorf("%s: %q, want %q", tt.now, c.period, want)
		}
		if want := [kinds]time.Time{{}, day(tt.nextDay), day(tt.nextMonth), day(tt.nextMonth)}; c.over != want {
			t.Errorf("%s: over at %v, want %v", tt.now, c.over, want)
		}
		if !c.covers(now) || c.covers(c.over[opsDay]) || c.covers(now.Add(-24*time.Hour)) {
			t.Errorf("%s: covers the wrong days", tt.now)
		}
		if !c.forget[opsTotal].IsZero() || !c.forget[opsDay].After(c.over[opsDay]) {
			t.Errorf("%s: forgotten at %v", tt.now, c.forget)
		}
	}
}

func TestTheEndOfABudgetIsToldOnce(t *testing.T) {
	b := newBank()
	var mu sync.Mutex
	var told []string
	m := newMemory(t, MemoryConfig{Ledger: b, BudgetReached: func(a *Account, period string, limit int64) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, a.Name+" "+period)
	}})
	a := &Account{Name: "key:a", OpsTotal: 40, OpsPerDay: 20}
	race(t, 19, a, m)
	if len(told) != 0 {
		t.Errorf("too early: %q", told)
	}
	take(t, m, friday, a)
	for i := range 20 {
		take(t, m, friday.Add(time.Duration(i)*time.Minute), a)
	}
	for range 30 {
		take(t, m, friday.Add(24*time.Hour), a)
	}
	want := []string{"key:a ops 2026-11-27", "key:a ops", "key:a ops 2026-11-28"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestClosedMemoriesDrawNoMore(t *testing.T) {
	b := newBank()
	m := NewMemory(MemoryConfig{Ledger: b})
	a := &Account{Name: "key:a", OpsTotal: 1000}
	take(t, m, friday, a)
	for range 2 {
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.of(a.Name, "ops"); n != 1 {
		t.Errorf("the ledger counts %d, want the one that was spent", n)
	}
	if _, err := m.Take(context.Background(), friday, []*Account{a}); !errors.Is(err, errClosed) {
		t.Errorf("Take after Close: %v", err)
	}
}
