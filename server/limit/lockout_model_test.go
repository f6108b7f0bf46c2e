package limit

import (
	"flag"
	"math"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestMain keeps rapid from writing its failures into the source tree; the seed
// that it prints repeats them.
func TestMain(m *testing.M) {
	flag.Set("rapid.nofailfile", "true")
	os.Exit(m.Run())
}

// A model answers from the whole log of what happened, with no table, ring or
// shortcut: the slowest right answer.
type model struct {
	cfg LockoutConfig
	log []event
}

type event struct {
	at      time.Duration // since noon
	what    string        // "failed", "succeeded", "lifted"
	ip, key int           // subjects; -1 where the event is not about one
}

func (m *model) add(at time.Duration, what string, ip, key int) {
	m.log = append(m.log, event{at, what, ip, key})
}

// locked returns from when to when the subject that picks selects is locked.
func (m *model) locked(picks func(event) bool, tries int) (since, until time.Duration) {
	since, until = math.MinInt64, math.MinInt64
	var counted []time.Duration
	for _, e := range m.log {
		switch {
		case !picks(e), e.what == "succeeded", e.what == "failed" && e.at < until:
		case e.what == "lifted":
			if until != math.MinInt64 {
				counted, since, until = nil, math.MinInt64, math.MinInt64
			}
		default:
			since, until = math.MinInt64, math.MinInt64
			counted = append(counted, e.at)
			inWindow := 0
			for _, at := range counted {
				if e.at-at < m.cfg.Window {
					inWindow++
				}
			}
			if inWindow >= tries {
				counted, since, until = nil, e.at, e.at+m.cfg.Hold
			}
		}
	}
	return since, until
}

func (m *model) ipLocked(ip int) (since, until time.Duration) {
	return m.locked(func(e event) bool { return e.ip == ip }, m.cfg.IPTries)
}

func (m *model) keyLocked(key int) (since, until time.Duration) {
	return m.locked(func(e event) bool { return e.key == key }, m.cfg.KeyTries)
}

func (m *model) trusts(at time.Duration, ip, key int) bool {
	right := false
	for _, e := range m.log {
		if e.ip != ip || e.key != key {
			continue
		}
		if e.what == "failed" && right && at-e.at < m.cfg.Window {
			return false
		}
		right = right || e.what == "succeeded"
	}
	return right
}

func (m *model) check(at time.Duration, ip, key int) time.Duration {
	wait := time.Duration(0)
	if _, until := m.ipLocked(ip); until > at {
		wait = until - at
	}
	if _, until := m.keyLocked(key); until > at && !m.trusts(at, ip, key) {
		wait = max(wait, until-at)
	}
	return wait
}

// Subjects, each under several names that count as one.
var (
	modelIPs = [][]string{
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"2001:db8:0:1::1"},
		{"2001:db8::1", "2001:db8::2:3:4:5"},
	}
	modelKeys = [][]string{{"alpha", " ALPHA", "Alpha "}, {"beta", "BETA"}, {"stranger", "Stranger"}}
)

const firstUnknown = 2 // index into modelKeys

func TestLockoutsAnswerAsTheWholeLogWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := LockoutConfig{
			KeyTries: rapid.IntRange(1, 4).Draw(t, "key tries"),
			IPTries:  rapid.IntRange(1, 6).Draw(t, "ip tries"),
			Window:   time.Duration(rapid.IntRange(1, 8).Draw(t, "window")),
			Hold:     time.Duration(rapid.IntRange(1, 12).Draw(t, "hold")),
		}
		l, m := NewLockouts(cfg), &model{cfg: cfg}
		at := time.Duration(0)
		pick := func(names [][]string, what string) (int, string) {
			i := rapid.IntRange(0, len(names)-1).Draw(t, what)
			return i, rapid.SampledFrom(names[i]).Draw(t, what+" name")
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			at += time.Duration(rapid.IntRange(0, 4).Draw(t, "later"))
			now := noon.Add(at)
			ip, ipName := pick(modelIPs, "ip")
			key, keyName := pick(modelKeys, "key")
			addr := netip.MustParseAddr(ipName)
			switch rapid.SampledFrom([]string{"failed", "failed", "failed", "succeeded", "lifted ip", "lifted key"}).Draw(t, "what") {
			case "failed":
				m.add(at, "failed", ip, key)
				locks := l.Failed(now, addr, keyName, key < firstUnknown)
				m.expectCaused(t, locks, at, ip, key)
			case "succeeded":
				if key < firstUnknown {
					m.add(at, "succeeded", ip, key)
					l.Succeeded(now, addr, keyName)
				}
			case "lifted ip":
				m.add(at, "lifted", ip, -1)
				l.Lift(KindIP, ipName)
			case "lifted key":
				m.add(at, "lifted", -1, key)
				l.Lift(KindKey, keyName)
			}
			m.expectSame(t, l, at)
		}
	})
}

// expectCaused compares the locks that a failure reported with those that the
// log knows to have begun at it.
func (m *model) expectCaused(t *rapid.T, got []Lock, at time.Duration, ip, key int) {
	before := &model{cfg: m.cfg, log: m.log[:len(m.log)-1]}
	want := 0
	for _, lock := range []func(*model) (time.Duration, time.Duration){
		func(m *model) (time.Duration, time.Duration) { return m.ipLocked(ip) },
		func(m *model) (time.Duration, time.Duration) { return m.keyLocked(key) },
	} {
		_, was := lock(before)
		if since, until := lock(m); since == at && until != was {
			want++
		}
	}
	if len(got) != want {
		t.Fatalf("Failed reported %v, want %d locks", got, want)
	}
}

func (m *model) expectSame(t *rapid.T, l *Lockouts, at time.Duration) {
	now := noon.Add(at)
	want := []Lock{}
	add := func(kind Kind, subject string, since, until time.Duration, known bool) {
		if until > at {
			want = append(want, Lock{kind, subject, noon.Add(since), noon.Add(until), known})
		}
	}
	for i, ips := range modelIPs {
		for j, keys := range modelKeys {
			if got, want := l.Check(now, netip.MustParseAddr(ips[0]), keys[0]), m.check(at, i, j); got != want {
				t.Fatalf("at %d: Check(%s, %s) = %d, want %d", at, ips[0], keys[0], got, want)
			}
		}
		since, until := m.ipLocked(i)
		add(KindIP, sourceName(Source(netip.MustParseAddr(ips[0]))), since, until, false)
	}
	for j, keys := range modelKeys {
		since, until := m.keyLocked(j)
		add(KindKey, keys[0], since, until, j < firstUnknown)
	}
	if diff := cmp.Diff(want, l.List(now)); diff != "" {
		t.Fatalf("at %d: List (-want +got):\n%s", at, diff)
	}
}
