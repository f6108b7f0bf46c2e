package keychain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A gate lets comparisons in one by one, so that tests can look while they run.
type gate struct {
	entered chan string // secrets whose comparison has begun
	let     chan bool   // results to give
}

func openGated(t *testing.T, workers, queue int) (*Keychain, *gate) {
	t.Helper()
	g := &gate{entered: make(chan string, 1000), let: make(chan bool)}
	c, err := Open(Config{ID: "flag", Secret: "flag secret", Workers: workers, Queue: queue, compare: func(_, secret string) bool {
		g.entered <- secret
		return <-g.let
	}})
	must(t, err)
	c.table.Load().entries["id"] = &entry{key: newKey("id", "", false), hash: hash2a}
	return c, g
}

func TestSamePairAtTheSameTimeIsComparedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := openGated(t, 2, 10)
		var admitted, opened atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				key, err := c.Verify(t.Context(), "id", "secret", func() error { admitted.Add(1); return nil })
				if err == nil && key.ID == "id" {
					opened.Add(1)
				}
			})
		}
		synctest.Wait()
		g.let <- true
		wg.Wait()
		if len(g.entered) != 1 || admitted.Load() != 1 || opened.Load() != 50 {
			t.Errorf("%d comparisons, %d admitted, %d opened; want 1, 1, 50", len(g.entered), admitted.Load(), opened.Load())
		}
		if len(c.checks.open) != 0 || len(c.checks.slots) != 0 {
			t.Error("something is left open")
		}
	})
}

func TestFullQueueIsBusyAtOnceAndRememberedPairsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, queue = 2, 3
		c, g := openGated(t, workers, queue)
		var wg sync.WaitGroup
		for i := range workers + queue {
			wg.Go(func() { c.Verify(t.Context(), "id", fmt.Sprint("guess", i), nil) })
		}
		synctest.Wait()
		if len(g.entered) != workers {
			t.Errorf("%d comparisons run, want %d", len(g.entered), workers)
		}
		if _, err := c.Verify(t.Context(), "id", "one more", nil); !errors.Is(err, ErrBusy) {
			t.Errorf("with a full queue: %v, want ErrBusy", err)
		}
		if !opens(t, c, "flag", "flag secret") {
			t.Error("a remembered pair is refused while wrong guesses wait")
		}
		for range workers + queue {
			g.let <- false
		}
		wg.Wait()
		if len(c.checks.open) != 0 || len(c.checks.slots) != 0 {
			t.Error("something is left open")
		}
	})
}

func TestAdmitIsAskedRightBeforeEachComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := openGated(t, 1, 10)
		locked := errors.New("locked out")
		var isLocked atomic.Bool
		admit := func() error {
			if isLocked.Load() {
				return locked
			}
			return nil
		}
		results := make(chan error, 3)
		for i := range 3 {
			go func() {
				_, err := c.Verify(t.Context(), "id", fmt.Sprint("guess", i), admit)
				results <- err
			}()
		}
		synctest.Wait() // one runs, two wait for the worker
		isLocked.Store(true)
		g.let <- false
		counts := map[error]int{}
		for range 3 {
			counts[<-results]++
		}
		if counts[ErrRefused] != 1 || counts[locked] != 2 || len(g.entered) != 1 {
			t.Errorf("got %v and %d comparisons, want one refused and two locked out", counts, len(g.entered))
		}
	})
}

func TestAdmitOfOneCallerSpeaksForNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := openGated(t, 1, 10)
		go c.Verify(t.Context(), "id", "holds the worker", nil)
		synctest.Wait()
		locked := errors.New("locked out")
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := c.Verify(t.Context(), "id", "secret", func() error { return locked })
			first <- err
		}()
		synctest.Wait()
		go func() {
			_, err := c.Verify(t.Context(), "id", "secret", func() error { return nil })
			second <- err
		}()
		synctest.Wait()
		g.let <- false
		g.let <- true
		if err := <-first; err != locked {
			t.Errorf("the first: %v, want its lock", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the second: %v, want success", err)
		}
	})
}

func TestContextEndsTheWaitButNotAComparisonThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := openGated(t, 1, 10)
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 3)
		verify := func(secret string) {
			_, err := c.Verify(ctx, "id", secret, nil)
			results <- err
		}
		go verify("runs")
		synctest.Wait()
		go verify("waits")
		go verify("waits") // joins
		synctest.Wait()
		cancel()
		synctest.Wait()
		for range 2 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("a waiting check: %v, want context.Canceled", err)
			}
		}
		g.let <- false
		if err := <-results; err != ErrRefused {
			t.Errorf("the running check: %v, want its outcome", err)
		}
		if _, err := c.Verify(ctx, "id", "late", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
		if len(c.checks.open) != 0 || len(c.checks.slots) != 0 || len(g.entered) != 1 {
			t.Error("something is left open, or too much was compared")
		}
	})
}

func TestPanicInAdmitHoldsNoWorker(t *testing.T) {
	c, n := open(t, "id", "secret")
	func() {
		defer func() { recover() }()
		c.Verify(t.Context(), "id", "secret", func() error { panic("admit") })
	}()
	for range 10 {
		if !opens(t, c, "id", "secret") {
			t.Fatal("refused")
		}
	}
	if runs, _ := n.reset(); runs != 1 {
		t.Errorf("%d comparisons, want 1", runs)
	}
}
