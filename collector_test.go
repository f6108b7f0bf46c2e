package main

import "testing"

func TestCollectorAllowsLessGarbageWhereMuchLives(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 400}, {1 << 20, 400}, {12 << 20, 400}, {16 << 20, 300}, {24 << 20, 200}, {48 << 20, 100}, {1 << 30, 100},
	} {
		if got := collectorPercent(tt.live); got != tt.want {
			t.Errorf("%d MB live: %d percent, want %d", tt.live>>20, got, tt.want)
		}
	}
}
