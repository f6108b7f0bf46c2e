//go:build linux

package bench

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// floodConnections is how many connections send wrong secrets.
const floodConnections = 16

// goodAddress is where the good traffic of the flood rows comes from.
const goodAddress = "192.0.2.1"

// A flood is a way to send wrong secrets. The n-th request is from(n).
type flood struct {
	name string
	from func(n uint64) (ip, id string)
}

func floods() []flood {
	return []flood{
		// Nobody is ever locked out: every address and every ID is new, so every
		// guess costs a comparison and the workers have no idle moment.
		{"from ever new addresses", func(n uint64) (ip, id string) {
			return fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n)), fmt.Sprintf("GUESS%015d", n)
		}},
		{"from one address", func(n uint64) (ip, id string) {
			return "198.51.100.7", fmt.Sprintf("GUESS%015d", n)
		}},
		// The key of the good traffic gets locked; its own source must not notice.
		{"at the same key", func(n uint64) (ip, id string) {
			return fmt.Sprintf("172.16.%d.%d", byte(n>>8), byte(n)), keyID
		}},
	}
}

// A running flood goes on until stop.
type runningFlood struct {
	mu      sync.Mutex // guards the rest
	clients []*client
	answers map[int]int // by status
	stopped bool

	n     *atomic.Uint64 // the next request; goes on from round to round
	begun chan struct{}  // closed at the first answer
	once  sync.Once
	work  sync.WaitGroup
}

// start begins the flood and returns once the first guess was answered.
func (f flood) start(t *testing.T, addr string, n *atomic.Uint64) *runningFlood {
	t.Helper()
	r := &runningFlood{answers: map[int]int{}, n: n, begun: make(chan struct{})}
	for range floodConnections {
		r.work.Go(func() {
			for r.connect(addr, f) {
			}
		})
	}
	select {
	case <-r.begun:
	case <-time.After(patience):
		t.Fatalf("wrong secrets %s are not answered", f.name)
	}
	return r
}

// connect guesses on one connection until it breaks. It reports whether to go on.
func (r *runningFlood) connect(addr string, f flood) bool {
	c, err := dial(addr)
	if err != nil {
		return false
	}
	defer c.conn.Close()
	r.mu.Lock()
	r.clients = append(r.clients, c)
	stopped := r.stopped
	r.mu.Unlock()
	if stopped {
		return false
	}
	for {
		n := r.n.Add(1)
		ip, id := f.from(n)
		status, err := c.roundTrip(get("/v1/streams", id, fmt.Sprintf("wrong-%d", n), "X-Forwarded-For: "+ip))
		r.mu.Lock()
		stopped = r.stopped
		if err == nil {
			r.answers[status]++
		}
		r.mu.Unlock()
		if err != nil {
			return !stopped
		}
		r.once.Do(func() { close(r.begun) })
	}
}

// stop ends the flood and returns its answers, by status.
func (r *runningFlood) stop() map[int]int {
	r.mu.Lock()
	r.stopped = true
	for _, c := range r.clients {
		c.conn.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
	return r.answers
}

// underFlood measures the target alone and under the flood, in turns.
func underFlood(t *testing.T, p plan, to target, f flood) (alone, flooded series, answers map[int]int) {
	t.Helper()
	var n atomic.Uint64
	good := newFleet(t, to, p.connections)
	good.run(t, p.slice/2)
	answers = map[int]int{}
	for range p.rounds {
		alone.samples = append(alone.samples, good.run(t, p.slice))
		running := f.start(t, to.addr, &n)
		flooded.samples = append(flooded.samples, good.run(t, p.slice))
		for status, count := range running.stop() {
			answers[status] += count
		}
	}
	return alone, flooded, answers
}

// tally writes answers as "401: 93, 429: 5120".
func tally(answers map[int]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		parts = append(parts, fmt.Sprintf("%d: %d", status, answers[status]))
	}
	return strings.Join(parts, ", ")
}

// get writes a request with a Basic pair and further header lines.
func get(path, id, secret string, lines ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: application/json\r\n", path)
	fmt.Fprintf(&b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
