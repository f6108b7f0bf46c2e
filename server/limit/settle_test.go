package limit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnIdleAccountGivesBackWhatItDrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		m := NewMemory(MemoryConfig{Ledger: b})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- m.Run(ctx) }()
		idle := &Account{Name: "key:idle", OpsTotal: 1000, Tier: Tier{BandwidthPerMonth: 1 << 40}}
		socket := &Account{Name: "key:socket", OpsTotal: 1000}
		busy := &Account{Name: "key:busy", OpsTotal: 1000}
		take(t, m, time.Now(), idle)
		m.Spend(time.Now(), []*Account{idle}, 1000)
		m.Release(time.Now(), []*Account{idle})
		take(t, m, time.Now(), socket)
		for range 5 {
			time.Sleep(20 * time.Second)
			take(t, m, time.Now(), busy)
			m.Release(time.Now(), []*Account{busy})
		}
		synctest.Wait()
		for name, want := range map[string]int64{"key:idle": 1, "key:socket": 1, "key:busy": 16} {
			if got := b.of(name, "ops"); got != want {
				t.Errorf("%s: the ledger counts %d, want %d", name, got, want)
			}
		}
		period := newCalendar(time.Now()).period[bytesMonth]
		if got := b.of("key:idle", period); got != 1000 {
			t.Errorf("the ledger counts %d bytes", got)
		}
		if m.states.get("key:idle") != nil || m.states.get("key:socket") == nil {
			t.Error("want the idle account forgotten and the one with a socket remembered")
		}
		stop()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := b.of("key:busy", "ops"); got != 5 {
			t.Errorf("after the end the ledger counts %d, want 5", got)
		}
	})
}

func TestWhatCannotBeGivenBackIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		var log bytes.Buffer
		m := newMemory(t, MemoryConfig{Ledger: b, Log: slog.New(slog.NewTextHandler(&log, nil))})
		a := &Account{Name: "key:a", OpsTotal: 1000}
		take(t, m, friday, a)
		m.Release(friday, []*Account{a})
		b.breakWith(always(errBank))
		m.sweep(friday.Add(time.Minute))
		synctest.Wait()
		if got := b.of("key:a", "ops"); got != 16 || !strings.Contains(log.String(), errBank.Error()) {
			t.Errorf("the ledger counts %d, and the log says %q", got, log.String())
		}
		b.breakWith(nil)
		m.sweep(friday.Add(time.Minute))
		synctest.Wait()
		if got := b.of("key:a", "ops"); got != 1 {
			t.Errorf("the ledger counts %d, want 1", got)
		}
	})
}

func TestCloseSaysWhatStaysSpent(t *testing.T) {
	b := newBank()
	m := NewMemory(MemoryConfig{Ledger: b})
	for i := range 20 {
		take(t, m, friday, &Account{Name: fmt.Sprintf("key:%d", i), OpsTotal: 1000})
	}
	b.breakWith(always(errBank))
	err := m.Close(t.Context())
	if !errors.Is(err, errBank) || !strings.Contains(err.Error(), "20 accounts") {
		t.Errorf("Close: %v", err)
	}
	b.breakWith(nil)
	if err := m.Close(t.Context()); err != nil {
		t.Errorf("Close again: %v", err)
	}
	for i := range 20 {
		if got := b.of(fmt.Sprintf("key:%d", i), "ops"); got != 1 {
			t.Errorf("account %d: the ledger counts %d", i, got)
		}
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		b.setGate(make(chan struct{}))
		m := newMemory(t, MemoryConfig{Ledger: b})
		m.Spend(friday, []*Account{monthly(1000)}, 10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		b.setGate(nil)
	})
}

func TestAFullTableDropsWhatIsAsNewFirst(t *testing.T) {
	b := newBank()
	m := newMemory(t, MemoryConfig{Ledger: b, Most: looks})
	used := &Account{Name: "key:used", Tier: Tier{RequestsPerMinute: 1}}
	drew := &Account{Name: "key:drew", OpsTotal: 1000}
	runs := &Account{Name: "key:runs", Tier: Tier{Concurrent: 1}}
	for _, a := range []*Account{used, drew, runs} {
		take(t, m, friday, a)
	}
	m.Release(friday, []*Account{used, drew})
	for i := range 100 {
		a := &Account{Name: fmt.Sprintf("ip:%d", i), Tier: Tier{BurstPerSecond: 100}}
		take(t, m, friday.Add(time.Second), a)
		m.Release(friday.Add(time.Second), []*Account{a})
	}
	if n := len(m.states.list()); n > looks {
		t.Errorf("%d accounts are remembered, want %d at most", n, looks)
	}
	if v := take(t, m, friday.Add(time.Second), used); v.Reason != Rate {
		t.Errorf("what was used of the minute is forgotten: %+v", v)
	}
	if v := take(t, m, friday.Add(time.Second), runs); v.Reason != Concurrency {
		t.Errorf("a running request is forgotten: %+v", v)
	}
	quiet(m)
	if got := b.of("key:drew", "ops"); got != 16 {
		t.Errorf("a lease was dropped for an account that is as new: the ledger counts %d", got)
	}
}

func TestADroppedAccountGivesBackItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBank()
		m := newMemory(t, MemoryConfig{Ledger: b, Most: 3})
		for i := range 12 {
			a := &Account{Name: fmt.Sprintf("key:%d", i), OpsTotal: 1000}
			take(t, m, friday, a)
			m.Release(friday, []*Account{a})
		}
		synctest.Wait()
		if n := len(m.states.list()); n > 3 {
			t.Errorf("%d accounts are remembered", n)
		}
		held := 0
		for i := range 12 {
			if b.of(fmt.Sprintf("key:%d", i), "ops") != 1 {
				held++
			}
		}
		if held > 3 {
			t.Errorf("%d leases are held by 3 accounts", held)
		}
	})
}

func TestRunningRequestsAreNeverForgotten(t *testing.T) {
	m := newMemory(t, MemoryConfig{Most: 2})
	var all []*Account
	for i := range 50 {
		all = append(all, &Account{Name: fmt.Sprintf("key:%d", i), Tier: Tier{Concurrent: 1}})
		take(t, m, friday, all[i])
	}
	m.sweep(friday.Add(24 * time.Hour))
	for _, a := range all {
		if v := take(t, m, friday, a); v.Reason != Concurrency {
			t.Fatalf("%s is forgotten", a.Name)
		}
	}
	m.Release(friday, all)
	for i := range 50 {
		m.Spend(friday, []*Account{{Name: fmt.Sprintf("ip:%d", i), Tier: Tier{BandwidthPerMonth: 1}}}, 0)
	}
	if n := len(m.states.list()); n > 52 {
		t.Errorf("%d accounts are remembered: the table grows on", n)
	}
}

func TestTheTableIsSpreadAndBounded(t *testing.T) {
	m := newMemory(t, MemoryConfig{Most: 1000})
	for i := range 5000 {
		take(t, m, friday, &Account{Name: fmt.Sprintf("ip:%d", i), Tier: Tier{RequestsPerMinute: 60}})
		m.Release(friday, []*Account{{Name: fmt.Sprintf("ip:%d", i), Tier: Tier{RequestsPerMinute: 60}}})
	}
	if n := len(m.states.list()); n < 800 || n > 1000+len(m.states.shards) {
		t.Errorf("%d accounts are remembered, want about 1000", n)
	}
	m.sweep(friday.Add(2 * time.Minute))
	if n := len(m.states.list()); n != 0 {
		t.Errorf("%d accounts are remembered after two idle minutes", n)
	}
}
