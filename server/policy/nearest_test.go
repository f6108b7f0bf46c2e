package policy

import (
	"strings"
	"testing"
)

func TestSlips(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "xyz", 3}, {"listen", "lisetn", 1}} {
		if got := Slips(tt.a, tt.b); got != tt.want {
			t.Errorf("Slips(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	if got := Slips(strings.Repeat("a", 1<<20), "a"); got < 64 {
		t.Errorf("a very long word is %d away, want it to be far", got)
	}
}
