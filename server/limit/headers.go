package limit

import (
	"strconv"
	"time"
)

// maxInteger is the largest Integer of structured fields (RFC 9651 §3.3.1).
const maxInteger = 999_999_999_999_999

// AppendPolicy appends the value of X-RateLimit-Policy, as in "300;w=60", or
// nothing where nobody has a rate.
func (v *Verdict) AppendPolicy(b []byte) []byte {
	if v.Limit == 0 {
		return b
	}
	return v.appendWindow(appendInteger(b, v.Limit))
}

// AppendRateLimitPolicy appends the value of RateLimit-Policy, as in
// `"minute";q=300;w=60` (draft-ietf-httpapi-ratelimit-headers-11 §3), or nothing
// where nobody has a rate.
func (v *Verdict) AppendRateLimitPolicy(b []byte) []byte {
	if v.Limit == 0 {
		return b
	}
	return v.appendWindow(appendInteger(append(b, `"minute";q=`...), v.Limit))
}

// AppendRateLimit appends the value of RateLimit, as in `"minute";r=299;t=1`
// (draft-ietf-httpapi-ratelimit-headers-11 §4), or nothing where nobody has a
// rate. Its t never ends after Retry-After (§6).
func (v *Verdict) AppendRateLimit(b []byte, now time.Time) []byte {
	if v.Limit == 0 {
		return b
	}
	b = appendInteger(append(b, `"minute";r=`...), v.Remaining)
	window := v.Reset.Sub(now)
	if v.RetryAfter > 0 {
		window = min(window, v.RetryAfter)
	}
	return appendInteger(append(b, ";t="...), seconds(window))
}

// RetrySeconds returns RetryAfter for Retry-After: whole seconds, rounded up, so
// that who waits them is not refused again. 0 where time alone does not help.
func (v *Verdict) RetrySeconds() int64 { return seconds(v.RetryAfter) }

// ResetUnix returns Reset for X-RateLimit-Reset: Unix seconds, rounded up.
func (v *Verdict) ResetUnix() int64 {
	at := v.Reset.Unix()
	if v.Reset.Nanosecond() > 0 {
		at++
	}
	return at
}

func (v *Verdict) appendWindow(b []byte) []byte {
	return appendInteger(append(b, ";w="...), seconds(v.Window))
}

func appendInteger(b []byte, n int64) []byte {
	return strconv.AppendInt(b, min(max(n, 0), maxInteger), 10)
}

// seconds rounds up.
func seconds(d time.Duration) int64 {
	d = max(d, 0)
	n := int64(d / time.Second)
	if d%time.Second > 0 {
		n++
	}
	return n
}
