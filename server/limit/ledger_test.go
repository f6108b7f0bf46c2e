package limit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"
)

var errBank = errors.New("the bank is closed")

// A bank is a ledger that can fail, be slow, and be looked into.
type bank struct {
	mu      sync.Mutex
	spent   map[debtor]int64
	draws   int
	returns int
	broken  func(call string) error // nil, or what Draw and Return err with
	gate    chan struct{}           // nil, or what a Draw must receive from first
}

func newBank() *bank { return &bank{spent: make(map[debtor]int64)} }

func (b *bank) Draw(ctx context.Context, account, period string, limit, want int64, _ time.Time) (got, left int64, err error) {
	b.mu.Lock()
	gate := b.gate
	b.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draws++
	if b.broken != nil {
		if err := b.broken("draw"); err != nil {
			return 0, 0, err
		}
	}
	key := debtor{account, period}
	got = min(max(limit-b.spent[key], 0), want)
	b.spent[key] += got
	return got, max(limit-b.spent[key], 0), nil
}

func (b *bank) Return(_ context.Context, account, period string, amount int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.returns++
	if b.broken != nil {
		if err := b.broken("return"); err != nil {
			return err
		}
	}
	b.spent[debtor{account, period}] -= amount
	return nil
}

func (b *bank) of(account, period string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent[debtor{account, period}]
}

func (b *bank) calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draws
}

func (b *bank) breakWith(f func(call string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = f
}

func (b *bank) setGate(gate chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = gate
}

func always(err error) func(string) error { return func(string) error { return err } }

var friday = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// newMemory returns a Memory that is closed with the test.
func newMemory(t *testing.T, cfg MemoryConfig) *Memory {
	t.Helper()
	m := NewMemory(cfg)
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

func take(t testing.TB, m *Memory, now time.Time, accounts ...*Account) Verdict {
	t.Helper()
	v, err := m.Take(t.Context(), now, accounts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// quiet waits until nothing is drawn or given back any more.
func quiet(m *Memory) {
	for {
		m.jobs.mu.Lock()
		running := m.jobs.running
		m.jobs.mu.Unlock()
		if running == 0 {
			return
		}
		runtime.Gosched()
	}
}

// TestLedgersAgree holds the process's own ledger against the plain one.
func TestLedgersAgree(t *testing.T) {
	a, b := newCounts(100), newBank()
	for i, step := range []struct{ limit, draw, giveBack int64 }{
		{10, 4, 0},
		{10, 4, 3},
		{10, 9, 0},
		{10, 1, 0},
		{5, 1, 0},
		{20, 5, 5},
		{3, 9, 2},
		{0, 1, 0},
	} {
		ctx := t.Context()
		got1, left1, err1 := a.Draw(ctx, "key:a", "ops", step.limit, step.draw, time.Time{})
		got2, left2, err2 := b.Draw(ctx, "key:a", "ops", step.limit, step.draw, time.Time{})
		if got1 != got2 || left1 != left2 || err1 != nil || err2 != nil {
			t.Errorf("step %d: got %d, %d, want %d, %d", i, got1, left1, got2, left2)
		}
		if step.giveBack > 0 {
			a.Return(ctx, "key:a", "ops", step.giveBack)
			b.Return(ctx, "key:a", "ops", step.giveBack)
		}
	}
}

func TestTheProcessLedgerIsBoundedButForgetsNoTotals(t *testing.T) {
	c := newCounts(8)
	for i := range 100 {
		name := string(rune('a' + i))
		c.Draw(t.Context(), name, "bytes 2026-11", 10, 1, friday.Add(time.Hour))
		if i < 4 {
			c.Draw(t.Context(), name, "ops", 10, 1, time.Time{})
		}
	}
	if n := len(c.spent); n > 8 {
		t.Errorf("%d periods are kept, want 8 at most", n)
	}
	for i := range 4 {
		if n := c.spent[debtor{string(rune('a' + i)), "ops"}]; n == nil || n.amount != 1 {
			t.Errorf("the total of account %d is forgotten", i)
		}
	}
}
