package limit

import (
	"testing"
	"time"
)

func TestHeadersAreTheseBytes(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	passed := Verdict{Limit: 300, Window: time.Minute, Remaining: 299, Reset: now.Add(200 * time.Millisecond)}
	whole := Verdict{Limit: 1, Window: time.Second, Remaining: 1, Reset: now}
	refused := Verdict{Reason: Rate, RetryAfter: 1200 * time.Millisecond, Limit: 60, Window: time.Minute, Reset: now.Add(59500 * time.Millisecond)}
	spent := Verdict{Reason: Ops, Limit: 60, Window: time.Minute, Remaining: 30, Reset: now.Add(30 * time.Second)}
	huge := Verdict{Limit: 1 << 60, Window: time.Minute, Remaining: 1 << 60, Reset: now}
	tests := []struct {
		name                         string
		verdict                      Verdict
		old, policy, limit           string
		retrySeconds, resetInSeconds int64
	}{
		{"passed", passed, `300;w=60`, `"minute";q=300;w=60`, `"minute";r=299;t=1`, 0, 1},
		{"as new", whole, `1;w=1`, `"minute";q=1;w=1`, `"minute";r=1;t=0`, 0, 0},
		{"refused", refused, `60;w=60`, `"minute";q=60;w=60`, `"minute";r=0;t=2`, 2, 60},
		{"spent", spent, `60;w=60`, `"minute";q=60;w=60`, `"minute";r=30;t=30`, 0, 30},
		{"beyond an Integer", huge, `999999999999999;w=60`, `"minute";q=999999999999999;w=60`, `"minute";r=999999999999999;t=0`, 0, 0},
		{"no rate", Verdict{Reset: now}, "", "", "", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &tt.verdict
			for what, got := range map[string][2]string{
				"X-RateLimit-Policy": {string(v.AppendPolicy([]byte("x"))), "x" + tt.old},
				"RateLimit-Policy":   {string(v.AppendRateLimitPolicy([]byte("x"))), "x" + tt.policy},
				"RateLimit":          {string(v.AppendRateLimit([]byte("x"), now)), "x" + tt.limit},
			} {
				if got[0] != got[1] {
					t.Errorf("%s: got %q, want %q", what, got[0], got[1])
				}
			}
			if got := v.RetrySeconds(); got != tt.retrySeconds {
				t.Errorf("RetrySeconds() = %d, want %d", got, tt.retrySeconds)
			}
			if got := v.ResetUnix() - now.Unix(); got != tt.resetInSeconds {
				t.Errorf("ResetUnix() is in %d s, want %d", got, tt.resetInSeconds)
			}
		})
	}
}

func TestHeadersDoNotAllocate(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	v := &Verdict{Limit: 300, Window: time.Minute, Remaining: 299, Reset: now.Add(time.Second)}
	buf := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		buf = v.AppendPolicy(buf[:0])
		buf = v.AppendRateLimitPolicy(buf[:0])
		buf = v.AppendRateLimit(buf[:0], now)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
