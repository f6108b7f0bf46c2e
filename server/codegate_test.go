package server

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

var gateNoon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// attemptNo is an attempt that ends ten minutes after noon.
func attemptNo(i int) session.Attempt {
	return session.Attempt{State: fmt.Sprint("state", i), Ends: gateNoon.Add(10 * time.Minute)}
}

// v6 is an address of one of several /64.
func v6(net, host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%x", net, host))
}

func TestAttemptPassesTheGateOnce(t *testing.T) {
	t.Parallel()
	var g codeGate
	ip := v6(1, 1)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if g.enter(t.Context(), gateNoon, ip, attemptNo(1)) == passed {
				won.Add(1)
				g.leave(ip)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one attempt passed %d times", won.Load())
	}
	if p := g.enter(t.Context(), gateNoon.Add(10*time.Minute-1), ip, attemptNo(1)); p != usedUp {
		t.Errorf("before it ends: %v, want usedUp", p)
	}
	later := attemptNo(2)
	later.Ends = later.Ends.Add(time.Hour)
	if g.enter(t.Context(), later.Ends.Add(-time.Minute), ip, later) != passed || len(g.used) != 1 || len(g.order) != 1 {
		t.Errorf("%d attempts are kept of which one is over", len(g.used))
	}
}

func TestGateIsBoundedForOneSourceAndForAll(t *testing.T) {
	t.Parallel()
	g := codeGate{patience: time.Nanosecond}
	n := 0
	enter := func(ip netip.Addr) passage {
		n++
		return g.enter(t.Context(), gateNoon, ip, attemptNo(n))
	}
	for i := range 4 {
		if enter(v6(0, i)) != passed {
			t.Fatalf("number %d of one source is refused", i+1)
		}
	}
	if enter(v6(0, 99)) != crowded {
		t.Error("another address of the same /64 is another source")
	}
	refused := attemptNo(n)
	g.leave(v6(0, 1))
	if g.enter(t.Context(), gateNoon, v6(0, 99), refused) != passed {
		t.Error("an attempt that was refused for want of room is used up")
	}
	for i := 1; i < 8; i++ {
		for range 4 {
			if enter(v6(i, 1)) != passed {
				t.Fatalf("source %d is refused", i)
			}
		}
	}
	if enter(v6(9, 1)) != crowded || enter(netip.Addr{}) != crowded {
		t.Error("33 exchanges at a time")
	}
	for i := range 8 {
		for range 4 {
			g.leave(v6(i, 7))
		}
	}
	if g.open != 0 || len(g.sources) != 0 || len(g.waiting) != 0 {
		t.Errorf("%d exchanges, %d sources and %d waiters are left when all is over", g.open, len(g.sources), len(g.waiting))
	}
	for i := range 32 { // a source without a name
		if enter(netip.Addr{}) != passed {
			t.Fatalf("number %d on a Unix socket is refused", i+1)
		}
	}
}

func TestThoseWhoWaitAtTheGateAreBoundedAndComeInInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g codeGate
		var in, out atomic.Int32
		n := 0
		enter := func(ctx context.Context, ip netip.Addr) {
			n++
			a := attemptNo(n)
			go func() {
				if g.enter(ctx, gateNoon, ip, a) == passed {
					in.Add(1)
				} else {
					out.Add(1)
				}
			}()
			synctest.Wait()
		}
		want := func(what string, wantIn, wantOut int32) {
			t.Helper()
			synctest.Wait()
			if in.Load() != wantIn || out.Load() != wantOut {
				t.Errorf("%s: %d are in and %d refused, want %d and %d", what, in.Load(), out.Load(), wantIn, wantOut)
			}
		}
		for range 4 + 128 {
			enter(t.Context(), v6(1, 1))
		}
		want("a full queue", 4, 0)
		if g.enter(t.Context(), gateNoon, v6(1, 1), attemptNo(50)) != usedUp {
			t.Error("an attempt that waits can be brought a second time")
		}
		enter(t.Context(), v6(1, 2))
		want("one more", 4, 1)
		enter(t.Context(), v6(2, 1))
		want("another source", 5, 1)
		g.leave(v6(1, 9))
		want("one has gone", 6, 1)
		ctx, cancel := context.WithCancel(t.Context())
		enter(ctx, v6(1, 1))
		cancel()
		want("a client that leaves", 6, 2)
		time.Sleep(10 * time.Second)
		want("after ten seconds", 6, 2+127)
		if len(g.waiting) != 0 || len(g.used) != 6 || len(g.order) != 6 {
			t.Errorf("%d wait, %d and %d attempts are used", len(g.waiting), len(g.used), len(g.order))
		}
	})
}

func TestUsedAttemptsAreBoundedAndTheOldestGo(t *testing.T) {
	t.Parallel()
	var g codeGate
	enter := func(i int) passage { return g.enter(t.Context(), gateNoon, v6(1, 1), attemptNo(i)) }
	for i := range 25_000 {
		if p := enter(i); p != passed {
			t.Fatalf("attempt %d: %v", i, p)
		}
		g.leave(v6(1, 1))
	}
	for range 100 { // those who come again push nobody out
		if enter(15_000) != usedUp || enter(24_999) != usedUp {
			t.Fatal("one of the last 10,000 is forgotten")
		}
	}
	if len(g.used) != 10_000 || len(g.order) != 10_000 || cap(g.order) > 30_000 {
		t.Errorf("%d and %d attempts are kept, in room for %d", len(g.used), len(g.order), cap(g.order))
	}
	if enter(14_999) != passed {
		t.Error("the oldest is still there")
	}
}
