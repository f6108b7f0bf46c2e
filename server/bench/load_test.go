//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A target is a server and the request that it is asked again and again.
type target struct {
	name string
	process
	request []byte
	answer  string // how its answers end
}

// A client is one keep-alive connection that has one request under way at a
// time. It understands just enough of HTTP/1.1 to find the end of an answer, so
// that the load costs little beside what it measures.
type client struct {
	conn net.Conn
	buf  []byte
	have int // bytes of the last answer in buf
}

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, buf: make([]byte, 16<<10)}, nil
}

// roundTrip sends the request, reads the whole answer and returns its status.
func (c *client) roundTrip(request []byte) (status int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	for c.have = 0; c.have < len(c.buf); {
		n, err := c.conn.Read(c.buf[c.have:])
		if err != nil {
			return 0, err
		}
		c.have += n
		status, whole, err := readAnswer(c.buf[:c.have])
		if whole || err != nil {
			return status, err
		}
	}
	return 0, errors.New("an answer of more than 16 KB")
}

// readAnswer returns the status of an answer and whether it is whole. Its
// length must be given, and it must not be the connection's last.
func readAnswer(b []byte) (status int, whole bool, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, false, nil
	}
	head := b[:end+2]
	_, after, found := bytes.Cut(head, []byte("\r\nContent-Length: "))
	if !found || len(head) < len("HTTP/1.1 200") || bytes.Contains(head, []byte("\r\nConnection: close\r\n")) {
		return 0, false, fmt.Errorf("not an answer that keeps the connection:\n%s", head)
	}
	length, _, _ := bytes.Cut(after, []byte("\r"))
	n, err := strconv.Atoi(string(length))
	if err != nil {
		return 0, false, err
	}
	status, err = strconv.Atoi(string(head[len("HTTP/1.1 "):len("HTTP/1.1 200")]))
	return status, len(b) >= end+4+n, err
}

// A fleet is connections to one target.
type fleet struct {
	target
	clients []*client
}

func newFleet(t *testing.T, to target, size int) *fleet {
	t.Helper()
	f := &fleet{target: to}
	for range size {
		c, err := dial(to.addr)
		if err != nil {
			t.Fatalf("%s: %v", to.name, err)
		}
		t.Cleanup(func() { c.conn.Close() })
		f.clients = append(f.clients, c)
	}
	if got := f.clients[0].ask(t, to.request); !strings.HasSuffix(got, to.answer) {
		t.Fatalf("%s answered\n%s\nwant an end of %q", to.name, got, to.answer)
	}
	return f
}

// A sample is what a fleet did in one slice of time.
type sample struct {
	rate  float64         // answers a second
	cost  float64         // processor time of an answer, in seconds: server, upstream and load
	times []time.Duration // of each answer, in no order
}

// run asks on every connection for a while. Every answer must be a 200.
func (f *fleet) run(t *testing.T, d time.Duration) sample {
	t.Helper()
	var (
		work   sync.WaitGroup
		failed = make(chan error, len(f.clients))
		times  = make([][]time.Duration, len(f.clients))
		used   = processorTime(t, os.Getpid())
		begin  = time.Now()
		end    = begin.Add(d)
	)
	for i, c := range f.clients {
		work.Go(func() {
			var err error
			if times[i], err = c.askUntil(end, f.request); err != nil {
				failed <- err
			}
		})
	}
	work.Wait()
	took := time.Since(begin)
	select {
	case err := <-failed:
		t.Fatalf("%s: %v", f.name, err)
	default:
	}
	s := sample{times: slices.Concat(times...)}
	s.rate = float64(len(s.times)) / took.Seconds()
	s.cost = (processorTime(t, os.Getpid()) - used).Seconds() / float64(len(s.times))
	return s
}

func (c *client) askUntil(end time.Time, request []byte) ([]time.Duration, error) {
	if err := c.conn.SetDeadline(end.Add(patience)); err != nil {
		return nil, err
	}
	times := make([]time.Duration, 0, 1<<10)
	for now := time.Now(); now.Before(end); {
		status, err := c.roundTrip(request)
		if err != nil {
			return nil, err
		}
		if status != 200 {
			return nil, fmt.Errorf("answered %d instead of 200", status)
		}
		done := time.Now()
		times = append(times, done.Sub(now))
		now = done
	}
	return times, nil
}

// ask returns one whole answer, which must be a 200.
func (c *client) ask(t *testing.T, request []byte) string {
	t.Helper()
	status, err := c.roundTrip(request)
	if err != nil || status != 200 {
		t.Fatalf("%s answered %d, %v instead of 200", c.conn.RemoteAddr(), status, err)
	}
	return string(c.buf[:c.have])
}

// A series is the samples of one contestant, one for each round.
type series struct {
	name    string
	samples []sample
}

// compare lets the targets run in turns, in each round in the other direction,
// so that whatever else the machine does falls on all of them.
func compare(t *testing.T, p plan, targets ...target) []series {
	t.Helper()
	fleets, out := make([]*fleet, len(targets)), make([]series, len(targets))
	order := make([]int, len(targets))
	for i, to := range targets {
		fleets[i], out[i].name, order[i] = newFleet(t, to, p.connections), to.name, i
		fleets[i].run(t, p.slice/2) // connections, caches and heaps get warm
	}
	for range p.rounds {
		for _, i := range order {
			out[i].samples = append(out[i].samples, fleets[i].run(t, p.slice))
		}
		slices.Reverse(order)
	}
	return out
}

// rate returns the median rate.
func (s series) rate() float64 {
	return spreadOf(s.each(func(i int) float64 { return s.samples[i].rate })).median
}

// over returns the ratio of two series' rates, taken round by round.
func (s series) over(base series) spread {
	return spreadOf(s.each(func(i int) float64 { return s.samples[i].rate / base.samples[i].rate }))
}

// byCost is over, by processor time: what the ratio of the rates would be with
// the whole machine for each of the two.
func (s series) byCost(base series) spread {
	return spreadOf(s.each(func(i int) float64 { return base.samples[i].cost / s.samples[i].cost }))
}

// each returns a figure for each round.
func (s series) each(figure func(i int) float64) []float64 {
	out := make([]float64, len(s.samples))
	for i := range out {
		out[i] = figure(i)
	}
	return out
}

// p99 returns the time that all but one answer of a hundred kept to.
func (s series) p99() time.Duration {
	var all []time.Duration
	for i := range s.samples {
		all = append(all, s.samples[i].times...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}
