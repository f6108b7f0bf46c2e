package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent trades memory for speed: in a small heap little lives longer than a
	// request, and with Go's default of 100 the collector runs dozens of times a
	// second under load. Idle memory stays as it is; under load it is some 12 MB more.
	gcPercent = 400

	// garbageRoom is how much garbage may gather where gcPercent would allow more:
	// with many keys and sessions in use much lives long, and four times as much is
	// no fair price any more.
	garbageRoom = 48 << 20

	collectorEvery = 2 * time.Second
)

// tuneCollector keeps the collector's percentage right for what lives, until ctx
// ends.
func tuneCollector(ctx context.Context) {
	tick := time.NewTicker(collectorEvery)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for now := gcPercent; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if want := collectorPercent(live[0].Value.Uint64()); want != now {
			debug.SetGCPercent(want)
			now = want
		}
	}
}

// collectorPercent is what the collector is set to with so many bytes that live:
// gcPercent for few, Go's own 100 for very many, in steps of ten so that it is not
// set all the time.
func collectorPercent(live uint64) int {
	if live == 0 {
		return gcPercent
	}
	percent := int(min(garbageRoom*100/live, gcPercent))
	return max(percent/10*10, 100)
}
