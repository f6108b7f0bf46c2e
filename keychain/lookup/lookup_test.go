package lookup

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGateLetsInAsManyAsItHasPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2)
		for range 2 {
			if err := g.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if err := g.Enter(t.Context()); !errors.Is(err, ErrBusy) || time.Since(begun) != gateTimeout {
			t.Errorf("the third: %v after %v, want ErrBusy after %v", err, time.Since(begun), gateTimeout)
		}
		time.AfterFunc(time.Second, g.Leave)
		if err := g.Enter(t.Context()); err != nil {
			t.Errorf("once a place is free: %v", err)
		}
	})
}

func TestGateHasNoPlaceForWhoHasGone(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	g := NewGate(1)
	if err := g.Enter(ctx); !errors.Is(err, gone) {
		t.Errorf("a free place: %v, want the cause", err)
	}
	if len(g) != 0 {
		t.Error("the place was kept")
	}
}

func TestNegativesForgetInTime(t *testing.T) {
	n := NewNegatives[string]()
	n.Add("a", n.Era(), 1000)
	for _, tt := range []struct {
		name string
		now  int64
		want bool
	}{
		{"a", 1000, true}, {"b", 1000, false}, {"a", 1000 + negativeFor/2, true}, {"a", 1001 + 2*negativeFor, false},
	} {
		if got := n.Has(tt.name, tt.now); got != tt.want {
			t.Errorf("%s at %d: %t, want %t", tt.name, tt.now, got, tt.want)
		}
	}
}

func TestNegativesAreBounded(t *testing.T) {
	n := NewNegatives[int]()
	for i := range 10 * negativeMost {
		n.Add(i, n.Era(), 1000)
		if size := len(n.young) + len(n.old); size > negativeMost {
			t.Fatalf("%d names, want %d at most", size, negativeMost)
		}
	}
}

func TestNegativesKeepNothingThatWasAskedBeforeAClear(t *testing.T) {
	n := NewNegatives[string]()
	era := n.Era()
	n.Clear()
	n.Add("a", era, 1000)
	if n.Has("a", 1000) {
		t.Error("what was asked before it was cleared is remembered")
	}
	n.Add("a", n.Era(), 1000)
	n.Clear()
	if n.Has("a", 1000) {
		t.Error("it is there after a clear")
	}
}

func TestTasksEndWithTheirOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks Tasks
		done := false
		if !tasks.Start(func() { time.Sleep(time.Second); done = true }) || tasks.Ending() {
			t.Fatal("it ends before it began")
		}
		tasks.Close()
		if !done || !tasks.Ending() {
			t.Error("Close did not wait")
		}
		if tasks.Start(func() { t.Error("it runs") }) {
			t.Error("something began after the end")
		}
	})
}

func TestPanicsBecomeErrorsWithoutTheirText(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	if err := Safely(logger, "looking", func() error { panic("s3cret") }); !errors.Is(err, ErrPanicked) {
		t.Errorf("a panic: %v", err)
	}
	if !strings.Contains(log.String(), "panic while looking") || strings.Contains(strings.SplitN(log.String(), "stack=", 2)[0], "s3cret") {
		t.Errorf("log: %s", log.String())
	}
	want := errors.New("an error")
	if err := Safely(logger, "looking", func() error { return want }); !errors.Is(err, want) {
		t.Errorf("an error: %v", err)
	}
}
