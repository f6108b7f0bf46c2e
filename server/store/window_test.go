package store

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/server/session"
)

// TestWindow plays transactions that take IDs in one order and commit in
// another, or never, against looks at what is visible: each change is applied
// once, and the window does not remember for ever.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type open struct {
			id    int64
			begun time.Time
		}
		var (
			now     = start
			last    int64
			running []open
			visible []entry // what the table holds
			applied []string
		)
		w := newWindow(0)
		look := func() {
			all := slices.DeleteFunc(slices.Clone(visible), func(e entry) bool { return e.id <= w.low })
			slices.SortFunc(all, func(a, b entry) int { return int(a.id - b.id) })
			for _, c := range w.fresh(all) {
				applied = append(applied, c.Key)
			}
			w.settle(now)
		}
		commit := func(i int) {
			visible = append(visible, entry{running[i].id, session.Change{Key: time.Duration(running[i].id).String()}})
			running = slices.Delete(running, i, i+1)
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				last++
				running = append(running, open{last, now})
			case 2:
				if n := len(running); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "which")
					if rapid.IntRange(0, 3).Draw(t, "fate") > 0 {
						commit(i)
					} else {
						running = slices.Delete(running, i, i+1) // rolled back
					}
				}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
				running = slices.DeleteFunc(running, func(o open) bool { return now.Sub(o.begun) >= settled }) // the fence
			case 4:
				look()
			}
		}
		look()
		now = now.Add(settled)
		look()
		var want []string
		for _, e := range visible {
			want = append(want, e.Key)
		}
		slices.Sort(want)
		slices.Sort(applied)
		if !slices.Equal(applied, want) {
			t.Fatalf("applied %v, want each of %v once", applied, want)
		}
		if len(w.seen) != 0 || len(w.marks) != 0 || w.low != w.top {
			t.Fatalf("after everything settled: %d seen, %d marks, low %d, top %d", len(w.seen), len(w.marks), w.low, w.top)
		}
	})
}
