package store

import (
	"testing"
	"time"

	"wavegate/server/webhook"
)

func TestDeliveriesAreCountedUpToABound(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		wantCounts(t, s, 10, 0, 0)
		e := addEndpoint(t, s, newEndpoint("ann", start))
		for i, state := range []webhook.State{webhook.Dead, webhook.Dead, webhook.Delivered, webhook.Dead, webhook.Pending, webhook.Pending, webhook.Pending} {
			id := string(rune('a' + i))
			deliver(t, s, e, id, start)
			if state != webhook.Pending {
				finish(t, s, id, state, start.Add(time.Duration(i)*time.Minute), start)
			}
		}
		wantCounts(t, s, 10, 3, 3)
		wantCounts(t, s, 2, 2, 1) // of the last two that ended one was delivered
		wantCounts(t, s, 1, 1, 1)
	})
}

func wantCounts(t *testing.T, s *Store, most, waiting, dead int) {
	t.Helper()
	gotWaiting, gotDead, err := s.DeliveryCounts(t.Context(), most)
	must(t, err)
	if gotWaiting != waiting || gotDead != dead {
		t.Errorf("up to %d: got %d that wait and %d that are dead, want %d and %d", most, gotWaiting, gotDead, waiting, dead)
	}
}
