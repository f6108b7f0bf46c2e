package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"wavegate/server/store/storetest"
	"wavegate/server/webhook"
)

// minute is how long the claims of these tests are.
const minute = time.Minute

func claimed(t testing.TB, s *Store, now time.Time, limit, perEndpoint int) []string {
	t.Helper()
	all, err := s.ClaimDeliveries(t.Context(), now, now.Add(minute), limit, perEndpoint)
	must(t, err)
	var ids []string
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func TestClaimDeliveries(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		deliver(t, s, e, "1", start)
		deliver(t, s, e, "2", start.Add(time.Second))
		wantSame(t, "before anything is due", claimed(t, s, start.Add(-1), 10, 10), []string(nil))
		wantNext(t, s, start)
		all, err := s.ClaimDeliveries(t.Context(), start, start.Add(minute), 10, 10)
		must(t, err)
		wantSame(t, "due", all, []webhook.Due{{Delivery: webhook.Delivery{
			ID: "dlv_1", EndpointID: e.ID, EventID: "evt_1", EventType: webhook.KeyCreated, Payload: []byte(`{}`),
			State: webhook.Pending, CreatedAt: start, NextAt: start,
		}, Endpoint: e}})
		wantNext(t, s, start.Add(time.Second))
		wantSame(t, "the other", claimed(t, s, start.Add(2*time.Second), 10, 10), []string{"dlv_2"})
		wantNext(t, s, start.Add(minute))
		wantSame(t, "while the claims run", claimed(t, s, start.Add(minute-time.Millisecond), 10, 10), []string(nil))
		finish(t, s, "1", webhook.Pending, start, start.Add(time.Hour))
		wantSame(t, "when they ended", claimed(t, s, start.Add(2*minute), 10, 10), []string{"dlv_2"})
		finish(t, s, "2", webhook.Delivered, start, time.Time{})
		wantNext(t, s, start.Add(time.Hour))
		wantSame(t, "put off", claimed(t, s, start.Add(time.Hour), 10, 10), []string{"dlv_1"})
		for _, none := range [][2]int{{0, 10}, {10, 0}, {-1, -1}} {
			wantSame(t, "no room", claimed(t, s, start.Add(24*time.Hour), none[0], none[1]), []string(nil))
		}
	})
}

// TestSlowReceiverHoldsNobodyUp has one with hundreds of deliveries, all due
// before those of the others.
func TestSlowReceiverHoldsNobodyUp(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		slow := addEndpoint(t, s, newEndpoint("slow", start))
		for i := range 150 {
			deliver(t, s, slow, fmt.Sprintf("slow%03d", i), start.Add(time.Duration(i)*time.Millisecond))
		}
		for i := range 3 {
			e := addEndpoint(t, s, newEndpoint("fast", start))
			deliver(t, s, e, fmt.Sprint("fast", i), start.Add(time.Duration(i+1)*time.Second))
		}
		now := start.Add(minute)
		wantSame(t, "first", claimed(t, s, now, 10, 2), []string{"dlv_slow000", "dlv_slow001", "dlv_fast0", "dlv_fast1", "dlv_fast2"})
		wantSame(t, "second", claimed(t, s, now, 10, 2), []string{"dlv_slow002", "dlv_slow003"})
		wantSame(t, "no more than asked for", claimed(t, s, now, 3, 10), []string{"dlv_slow004", "dlv_slow005", "dlv_slow006"})
		wantSame(t, "no more than 100", len(claimed(t, s, now, 1000, 1000)), 100)
	})
}

func TestDisabledWebhookIsPassedOver(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		e := addEndpoint(t, s, newEndpoint("ann", start))
		deliver(t, s, e, "1", start)
		e.DisabledAt = start
		e, err := s.ChangeEndpoint(t.Context(), e, Journal{})
		must(t, err)
		wantSame(t, "disabled", claimed(t, s, start.Add(time.Hour), 10, 10), []string(nil))
		wantNext(t, s, time.Time{})
		e.DisabledAt = time.Time{}
		_, err = s.ChangeEndpoint(t.Context(), e, Journal{})
		must(t, err)
		wantNext(t, s, start)
		wantSame(t, "enabled again", claimed(t, s, start.Add(time.Hour), 10, 10), []string{"dlv_1"})
	})
}

// TestRacingClaimsShareNothing has fifty at once take from one heap.
func TestRacingClaimsShareNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		for i := range 4 {
			e := addEndpoint(t, s, newEndpoint("ann", start))
			for n := range 25 {
				deliver(t, s, e, fmt.Sprint(i, ".", n), start)
			}
		}
		var mu sync.Mutex // guards taken
		var taken []string
		together(50, func(i int) {
			all, err := stores[i%2].ClaimDeliveries(t.Context(), start, start.Add(minute), 3, 2)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range all {
				taken = append(taken, d.ID)
			}
		})
		for {
			rest := claimed(t, s, start, 100, 100)
			if taken = append(taken, rest...); len(rest) == 0 {
				break
			}
		}
		slices.Sort(taken)
		wantSame(t, "taken", len(taken), 100)
		wantSame(t, "taken once", len(slices.Compact(taken)), 100)
	})
}

// claimForever claims what is due for a minute at the start of the tests' time, a
// line for each, until nothing is left; then it waits to be killed. It finishes
// nothing.
func claimForever(s *Store) error {
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		all, err := s.ClaimDeliveries(context.Background(), start, start.Add(minute), 3, 3)
		if err != nil {
			return err
		}
		for _, d := range all {
			fmt.Println(d.ID)
		}
		fmt.Println("claimed", len(all))
	}
	return s.Close()
}

// TestTwoProcessesNeverClaimTheSame also kills one between its claims and their
// results: what it had claimed is due again when the claims end, and nothing else.
func TestTwoProcessesNeverClaimTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		e := addEndpoint(t, s, newEndpoint("ann", start))
		for i := range 30 {
			deliver(t, s, e, fmt.Sprint(i), start)
		}
		children := []*child{startChild(t, "claim", url), startChild(t, "claim", url)}
		for _, c := range children {
			wantSame(t, "child", c.line(t), "ready")
		}
		taken := make([][]string, 2)
		for range 3 {
			for _, c := range children { // both are asked before either answers
				fmt.Fprintln(c.input, "claim")
			}
			for i, c := range children {
				for line := c.line(t); ; line = c.line(t) {
					var n int
					if _, err := fmt.Sscanf(line, "claimed %d", &n); err == nil {
						break
					}
					taken[i] = append(taken[i], line)
				}
			}
		}
		children[0].kill()
		both := slices.Concat(taken...)
		slices.Sort(both)
		wantSame(t, "claimed once", len(slices.Compact(slices.Clone(both))), len(both))
		if len(taken[0]) == 0 || len(taken[1]) == 0 {
			t.Fatalf("one of them claimed nothing: %v", taken)
		}
		for _, id := range taken[1] {
			must(t, s.FinishDelivery(t.Context(), webhook.Result{ID: id, At: start, State: webhook.Delivered}))
		}
		rest := claimed(t, s, start, 100, 100) // for another minute
		wantSame(t, "what nobody had claimed", len(rest), 30-len(both))
		wantSame(t, "before the claims of the dead end", claimed(t, s, start.Add(minute-time.Millisecond), 100, 100), []string(nil))
		for _, id := range rest {
			must(t, s.FinishDelivery(t.Context(), webhook.Result{ID: id, At: start, State: webhook.Delivered}))
		}
		again := claimed(t, s, start.Add(minute), 100, 100)
		slices.Sort(again)
		slices.Sort(taken[0])
		wantSame(t, "when they ended", again, taken[0])
	})
}
