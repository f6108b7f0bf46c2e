package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	triedFor = 24 * time.Hour // then a delivery is given up

	maxRetryAfter = 8 * time.Hour // that a receiver may ask for
)

// pauseAfter returns how long to wait after that many attempts, the first
// included.
func pauseAfter(attempts int) time.Duration {
	pauses := [...]time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
	}
	return pauses[min(max(attempts, 1), len(pauses))-1]
}

// jitter makes d longer or shorter by a tenth at most, so that what failed
// together is not tried again together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// judge turns an answer that came at a time into the result of the attempt that
// began at began.
func judge(d *Delivery, a answer, began, now time.Time) Result {
	r := Result{ID: d.ID, At: began, Status: a.status, Error: a.problem, Body: a.body}
	end := d.CreatedAt.Add(triedFor)
	switch {
	case a.accepted():
		r.State = Delivered
	case a.status == http.StatusGone || !now.Before(end):
		r.State = Dead
	default:
		r.State = Pending
		r.NextAt = now.Add(max(jitter(pauseAfter(d.Attempts+1)), a.retryAfter))
		if r.NextAt.After(end) { // one more time before it is given up
			r.NextAt = end
		}
	}
	return r
}

// retryAfter reads the header (RFC 9110 §10.2.3): seconds or a date. What is
// neither, or past, is 0.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}
