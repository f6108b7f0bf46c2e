package portaltest

import (
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"
)

// send sends n requests with an API key to the app, a few at the same time, and
// returns how many were answered with each status. The key "" is nobody's.
func (g *gate) send(t *testing.T, key, method, path string, n int) map[int]int {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var (
		mu       sync.Mutex // guards what follows
		statuses = map[int]int{}
		failure  error
	)
	var senders sync.WaitGroup
	turns := make(chan struct{})
	for range min(n, 4) {
		senders.Go(func() {
			for range turns {
				status, err := knock(transport, key, method, g.url+path)
				mu.Lock()
				if statuses[status]++; err != nil {
					failure = err
				}
				mu.Unlock()
			}
		})
	}
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	senders.Wait()
	must(t, failure)
	return statuses
}

func knock(transport http.RoundTripper, key, method, address string) (status int, err error) {
	req, err := http.NewRequest(method, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// wantStatuses fails the test unless requests were answered like this.
func wantStatuses(t *testing.T, got, want map[int]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("requests by status: %v, want %v", got, want)
	}
}

// A tally is what usage says in all.
type tally struct{ Requests, Refused, Errors int64 }

// usage returns what the caller did, with more parameters of the call: "key=ID".
func (c caller) usage(t *testing.T, parameters string) (all tally) {
	t.Helper()
	var answer struct{ Rows []tally }
	c.call(t, http.MethodGet, "/v1/auth/usage?by=&"+parameters, nil, &answer)
	for _, row := range answer.Rows {
		all.Requests, all.Refused, all.Errors = all.Requests+row.Requests, all.Refused+row.Refused, all.Errors+row.Errors
	}
	return all
}

// wantUsage waits until usage shows at least so much.
func (c caller) wantUsage(t *testing.T, parameters string, want tally) {
	t.Helper()
	eventually(t, "usage shows what was done", func() bool {
		got := c.usage(t, parameters)
		return got.Requests >= want.Requests && got.Refused >= want.Refused && got.Errors >= want.Errors
	})
}

// history returns the rows of usage of a key over time, from so long ago on.
func (c caller) history(t *testing.T, key, span, ago string) []tally {
	t.Helper()
	back, err := time.ParseDuration(ago)
	must(t, err)
	from := time.Now().Add(-back).UTC().Format(time.RFC3339)
	var answer struct{ Rows []tally }
	c.call(t, http.MethodGet, "/v1/auth/usage?key="+key+"&span="+span+"&from="+from, nil, &answer)
	return answer.Rows
}
