//go:build linux

package bench

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// A plan says how long the measurements are.
type plan struct {
	rounds      int
	slice       time.Duration // of one contestant in one round
	connections int
	cost        int  // of the bcrypt hash
	full        bool // with what builds programs first
}

// planFromEnvironment is the full plan with WAVEGATE_BENCH=1, and otherwise one
// that only shows that everything still runs.
func planFromEnvironment() plan {
	if os.Getenv("WAVEGATE_BENCH") == "" {
		return plan{rounds: 1, slice: 10 * time.Millisecond, connections: 4, cost: bcrypt.MinCost}
	}
	return plan{rounds: 31, slice: 120 * time.Millisecond, connections: 32, cost: bcrypt.DefaultCost, full: true}
}

// TestTable measures every row and prints the table. `-run TestTable/verify`
// measures one.
func TestTable(t *testing.T) {
	p, tb := planFromEnvironment(), &table{}
	upstream := startRole(t, "upstream")
	guard := writeGuard(t, upstream.addr, p.cost)
	binary := ""
	if p.full {
		binary = buildBinary(t)
	}
	gate := startGate(t, binary, guard, "").process

	t.Run("decision", func(t *testing.T) { benchDecision(t, p, tb) })
	t.Run("proxied", func(t *testing.T) { benchProxied(t, p, tb, gate, upstream) })
	t.Run("verify", func(t *testing.T) { benchVerify(t, p, tb, gate) })
	t.Run("flood", func(t *testing.T) {
		for _, f := range floods() {
			benchFlood(t, p, tb, gate, f)
		}
	})
	t.Run("keys", func(t *testing.T) { benchKeys(t, p, tb, gate, upstream) })
	t.Run("stored keys", func(t *testing.T) { benchStoredKeys(t, p, tb, binary, upstream) })
	t.Run("tokens", func(t *testing.T) { benchTokens(t, p, tb) })
	t.Run("oauth", func(t *testing.T) { benchOAuth(t, p, tb, binary, upstream) })
	t.Run("people", func(t *testing.T) { benchPeople(t, p, tb, binary, upstream) })
	t.Run("stored", func(t *testing.T) { benchStored(t, p, tb, binary, upstream) })
	t.Run("process", func(t *testing.T) { benchProcess(t, tb, binary, guard) })
	out := io.Discard // what a short run measures means nothing
	if p.full {
		out = os.Stdout
	}
	tb.print(out)
}

// benchDecision runs the Go benchmarks of package server that go from the
// Authorization header to the decision.
func benchDecision(t *testing.T, p plan, tb *table) {
	if !p.full {
		return // it would compile package server again
	}
	for _, b := range []struct {
		name, what, count string
		reach             float64 // µs; 0 where the row is there to compare with
	}{
		{"Admit", "remembered access key, from header to decision", "5", 1},
		{"AdmitKey/1k", "API key of 1,000, from header to decision", "5", 1},
		{"AdmitKey/1M", "API key of 1,000,000, from header to decision", "1", 1}, // each makes them anew
		{"AdmitKey/1k-tier", "API key with a tier, from header to decision", "5", 1},
		{"AdmitToken/remembered", "remembered access token, from header to decision", "5", 0},
		{"AdmitToken/first", "the same with one that comes for the first time", "5", 0},
	} {
		var times, allocs []float64
		out := goBenchmark(t, b.name, b.count)
		for _, m := range regexp.MustCompile(`([\d.]+) ns/op\s+[\d.]+ B/op\s+(\d+) allocs/op`).FindAllStringSubmatch(out, -1) {
			times, allocs = append(times, number(t, m[1])), append(allocs, number(t, m[2]))
		}
		if len(times) == 0 {
			t.Fatalf("no figures of %s in the benchmark's output:\n%s", b.name, out)
		}
		tb.atMost(b.what, spreadOf(times).median/1000, b.reach, "%.2f µs")
		tb.add(row{what: "its allocations", measured: fmt.Sprintf("%.0f", spreadOf(allocs).median)})
	}
}

// benchProxied compares a guarded request, its key remembered and its scope
// checked, with a bare proxy, and for orientation with other ones that check
// nothing.
func benchProxied(t *testing.T, p plan, tb *table, gate, upstream process) {
	request := get("/v1/streams/str_1", keyID, keySecret)
	bare := startRole(t, "proxy", envTarget+"=http://"+upstream.addr)
	targets := []target{{"bare ReverseProxy", bare, request, upstreamBody}, {"wavegate", gate, request, upstreamBody}}
	if p.full {
		if other, ok := startOther(t, "nginx", nginxConfig, upstream.addr, "-c"); ok {
			targets = append(targets, target{"nginx", other, request, upstreamBody})
		}
		if other, ok := startOther(t, "caddy", caddyConfig, upstream.addr, "run", "--adapter", "caddyfile", "--config"); ok {
			targets = append(targets, target{"Caddy", other, request, upstreamBody})
		}
	}
	results := compare(t, p, targets...)
	base := results[0]
	for i, s := range results[1:] {
		what, reach := "proxied with key and scope ÷ bare ReverseProxy", 0.95
		if i > 0 {
			what, reach = "for comparison: "+s.name+", which checks nothing ÷ the same", 0
		}
		tb.compare(what, s, base, reach)
	}
}

// asked are the headers with which nginx describes a request, see
// examples/nginx.conf.
var asked = []string{"X-Original-URL: https://app.example.com/v1/streams/str_1", "X-Original-Method: GET", "X-Forwarded-For: " + goodAddress}

// benchVerify asks as nginx does.
func benchVerify(t *testing.T, p plan, tb *table, gate process) {
	request := get("/_auth/verify", keyID, keySecret, asked...)
	results := compare(t, p, target{"handler that writes 200", startRole(t, "ok"), request, "\r\n\r\n"}, target{"wavegate", gate, request, "\r\n\r\n"})
	tb.compare("/_auth/verify ÷ a handler that writes 200", results[1], results[0], 0.85)
}

// benchFlood measures good traffic while others send wrong secrets.
func benchFlood(t *testing.T, p plan, tb *table, gate process, f flood) {
	if p.full {
		p.rounds, p.slice = 5, time.Second
	}
	good := target{"good traffic", gate, get("/v1/streams/str_1", keyID, keySecret, "X-Forwarded-For: "+goodAddress), upstreamBody}
	alone, flooded, answers := underFlood(t, p, good, f)
	tb.atLeast("good traffic ÷ alone, wrong secrets "+f.name, flooded, alone, 0.5)
	tb.atMost("its p99", flooded.p99().Seconds()*1000, 20, "%.1f ms")
	tb.notes = append(tb.notes, fmt.Sprintf("Wrong secrets %s were answered with (status: count) %s; p99 alone was %.1f ms.",
		f.name, tally(answers), alone.p99().Seconds()*1000))
}

// benchProcess measures the program itself: its start with a new data folder
// up to the first guarded answer, which costs a bcrypt comparison too; its
// memory then; its file.
func benchProcess(t *testing.T, tb *table, binary, guard string) {
	if binary == "" {
		return // package main's tests run the program
	}
	request := get("/v1/streams/str_1", keyID, keySecret)
	var starts, memory []float64
	for range 7 {
		d := startDaemon(t, binary, guard)
		newFleet(t, target{name: "wavegate", process: d.process, request: request, answer: upstreamBody}, 1)
		starts = append(starts, time.Since(d.started).Seconds())
		memory = append(memory, d.residentMB(t))
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	tb.atMost("start to the first guarded answer", spreadOf(starts).median, 0.3, "%.2f s")
	tb.atMost("memory then", spreadOf(memory).median, 25, "%.0f MB")
	tb.atMost("binary, stripped", float64(info.Size())/(1<<20), 30, "%.1f MB")
}
