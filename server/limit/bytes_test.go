package limit

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func monthly(bytes int64) *Account {
	return &Account{Name: "key:a", Tier: Tier{BandwidthPerMonth: bytes}}
}

func TestBytesAreCountedWhileTheyFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		m := newMemory(t, MemoryConfig{Ledger: b})
		a := monthly(10 << 20)
		accounts := []*Account{a, {Name: "user:u", Tier: Tier{BandwidthPerMonth: 1 << 40}}}
		take(t, m, friday, accounts...)
		flowed := int64(0)
		for m.Spend(friday, accounts, 64<<10) {
			synctest.Wait()
			flowed += 64 << 10
		}
		if flowed += 64 << 10; flowed != 10<<20 {
			t.Errorf("%d bytes flowed, want 10 MiB", flowed)
		}
		month := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
		want := Verdict{Reason: Bandwidth, Account: a, RetryAfter: month.Sub(friday)}
		if v := take(t, m, friday, accounts...); v != want {
			t.Errorf("Take = %+v, want %+v", v, want)
		}
		if v := take(t, m, month, accounts...); v.Reason != None {
			t.Errorf("in December: %+v", v)
		}
		if !m.Spend(month, accounts, 1) {
			t.Error("nothing flows in December")
		}
	})
}

func TestSpendNeverWaitsForTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		gate := make(chan struct{})
		b.setGate(gate)
		m := newMemory(t, MemoryConfig{Ledger: b})
		a := []*Account{monthly(3 << 20)}
		began := time.Now()
		take(t, m, friday, a...)
		for range 4 {
			if !m.Spend(friday, a, 1<<20) {
				t.Error("refused before anything is known")
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
		gate <- struct{}{} // the first draw, of one lease
		synctest.Wait()
		if !m.Spend(friday, a, 0) {
			t.Error("refused while the debt is being drawn")
		}
		gate <- struct{}{} // the second, of the debt
		synctest.Wait()
		if m.Spend(friday, a, 0) {
			t.Error("a month that is spent goes on")
		}
		if n := b.of("key:a", "bytes 2026-11"); n != 3<<20 {
			t.Errorf("the ledger counts %d", n)
		}
		b.setGate(nil)
	})
}

func TestBytesEndWhereTheLedgerFailsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		b.breakWith(always(errBank))
		m := newMemory(t, MemoryConfig{Ledger: b})
		a := []*Account{monthly(1 << 40)}
		take(t, m, friday, a...)
		flowed := int64(0)
		for m.Spend(friday, a, 1<<20) {
			synctest.Wait()
			if flowed += 1 << 20; flowed > maxDebt {
				t.Fatal("bytes flow for ever, and nobody counts them")
			}
		}
		if _, err := m.Take(t.Context(), friday, a); !errors.Is(err, errBank) {
			t.Errorf("Take: %v", err)
		}
		if n := b.calls(); n != 1 {
			t.Errorf("%d calls of a ledger that fails, in an instant", n)
		}
		b.breakWith(nil)
		later := friday.Add(time.Second)
		m.Spend(later, a, 0)
		synctest.Wait()
		if !m.Spend(later, a, 0) {
			t.Error("refused after the ledger is well again")
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := b.of("key:a", "bytes 2026-11"); n != flowed+1<<20 {
			t.Errorf("the ledger counts %d, want %d", n, flowed+1<<20)
		}
	})
}

func TestARaisedMonthFlowsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, MemoryConfig{Ledger: newBank()})
		take(t, m, friday, monthly(100))
		m.Spend(friday, []*Account{monthly(100)}, 150)
		synctest.Wait()
		if v := take(t, m, friday, monthly(100)); v.Reason != Bandwidth {
			t.Errorf("%+v", v)
		}
		take(t, m, friday, monthly(200))
		synctest.Wait()
		old := []*Account{monthly(100)} // a stream that began before
		if !m.Spend(friday, old, 49) {
			t.Error("refused with one byte left")
		}
		if m.Spend(friday, old, 1) {
			t.Error("goes on with none left")
		}
	})
}

func TestTheEndOfAMonthIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		var mu sync.Mutex
		told := 0
		m := newMemory(t, MemoryConfig{Ledger: b, BudgetReached: func(a *Account, period string, limit int64) {
			mu.Lock()
			defer mu.Unlock()
			if told++; period != "bytes 2026-11" || limit != 5<<20 {
				t.Errorf("told of %s, %d", period, limit)
			}
		}})
		a := []*Account{monthly(5 << 20)}
		for i := range 12 {
			if want := i >= 5; told > 0 != want {
				t.Errorf("after %d MiB: told %d times", i, told)
			}
			take(t, m, friday, a...)
			m.Spend(friday, a, 1<<20)
			synctest.Wait()
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		again := newMemory(t, MemoryConfig{Ledger: b, BudgetReached: m.cfg.BudgetReached})
		again.Spend(friday, a, 1)
		synctest.Wait()
		again.Spend(friday, a, 1)
		if told != 1 {
			t.Error("told by a process that found the month spent")
		}
	})
}

func TestLeasesOfBytesGrowButStaySmall(t *testing.T) {
	m := newMemory(t, MemoryConfig{Ledger: newBank()})
	a := []*Account{monthly(256 << 20)}
	largest := int64(0)
	for range 200 {
		m.Spend(friday, a, 1<<20)
		quiet(m)
		largest = max(largest, m.Left(friday, a[0]).Bytes)
	}
	if largest <= minBytes || largest > 256<<20/64 {
		t.Errorf("the largest lease is of %d bytes, want more than a MiB and 4 MiB at most", largest)
	}
}

// TestBytesAreExactWhenNothingIsUnderWay spends at random, and waits for each draw.
func TestBytesAreExactWhenNothingIsUnderWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBank()
		limit := rapid.Int64Range(1, 20<<20).Draw(t, "limit")
		m := NewMemory(MemoryConfig{Ledger: b})
		a := []*Account{monthly(limit)}
		total := int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.Int64Range(0, limit/4+1).Draw(t, "bytes")
			m.Spend(friday, a, n)
			quiet(m)
			total += n
			v, err := m.Take(t.Context(), friday, a)
			if err != nil || (v.Reason == Bandwidth) != (total >= limit) {
				t.Fatalf("after %d of %d bytes: %+v, %v", total, limit, v, err)
			}
			quiet(m)
			if n := b.of("key:a", "bytes 2026-11"); n > limit || n < min(total, limit) {
				t.Fatalf("after %d of %d bytes the ledger counts %d", total, limit, n)
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := b.of("key:a", "bytes 2026-11"); n != min(total, limit) {
			t.Fatalf("after %d of %d bytes the ledger counts %d at the end", total, limit, n)
		}
	})
}
