package limit

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	home = netip.MustParseAddr("192.0.2.1")
	away = netip.MustParseAddr("198.51.100.7")
)

// sourceNo returns the address of the i-th of many IPv4 sources.
func sourceNo(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// failFromMany lets as many different sources fail with the key.
func failFromMany(l *Lockouts, now time.Time, key string, n int) (locks []Lock) {
	for i := range n {
		locks = append(locks, l.Failed(now, sourceNo(i), key, true)...)
	}
	return locks
}

func TestTenWrongSecretsLockTheKeyForAQuarterOfAnHour(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	if locks := failFromMany(l, noon, "KEY", 9); locks != nil {
		t.Fatalf("9 failures locked: %v", locks)
	}
	if wait := l.Check(noon, home, "KEY"); wait != 0 {
		t.Fatalf("wait %v after 9 failures, want 0", wait)
	}
	now := noon.Add(4 * time.Minute)
	got := l.Failed(now, away, "KEY", true)
	want := []Lock{{KindKey, "key", now, now.Add(15 * time.Minute), true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("10th failure (-want +got):\n%s", diff)
	}
	if wait := l.Check(now.Add(time.Minute), home, "KEY"); wait != 14*time.Minute {
		t.Errorf("wait %v, want 14m", wait)
	}
	if wait := l.Check(now.Add(15*time.Minute), home, "KEY"); wait != 0 {
		t.Errorf("wait %v when the lock is over, want 0", wait)
	}
	if locks := l.List(now.Add(15 * time.Minute)); len(locks) != 0 {
		t.Errorf("List names a lock that is over: %v", locks)
	}
}

func TestTwentyWrongCredentialsLockTheSource(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 20 {
		locks := l.Failed(noon, home, fmt.Sprint("guess", i), false)
		if want := i == 19; (len(locks) == 1) != want {
			t.Fatalf("failure %d: locks %v", i+1, locks)
		}
	}
	if wait := l.Check(noon, home, "another"); wait != 15*time.Minute {
		t.Errorf("wait %v, want 15m", wait)
	}
	if wait := l.Check(noon, away, "guess1"); wait != 0 {
		t.Errorf("another source waits %v", wait)
	}
}

func TestFailuresOlderThanTheWindowDoNotCount(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	failFromMany(l, noon, "KEY", 9)
	if locks := l.Failed(noon.Add(5*time.Minute), home, "KEY", true); locks != nil {
		t.Errorf("locked by failures that are five minutes old: %v", locks)
	}
	l = NewLockouts(LockoutConfig{})
	failFromMany(l, noon, "KEY", 9)
	if locks := l.Failed(noon.Add(5*time.Minute-1), home, "KEY", true); len(locks) != 1 {
		t.Errorf("not locked by failures inside the window: %v", locks)
	}
}

func TestOneAttackerNeverBlocksAnotherAccount(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 1000 {
		l.Failed(noon, away, "victim", true)
		l.Failed(noon, sourceNo(i), "victim", true)
	}
	if l.Check(noon, home, "victim") == 0 || l.Check(noon, away, "other") == 0 {
		t.Fatal("the attacked key and the attacker are not locked")
	}
	if wait := l.Check(noon, home, "other"); wait != 0 {
		t.Errorf("another account waits %v", wait)
	}
}

func TestKnownSourceIsNotLockedOutByStrangers(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	l.Succeeded(noon, home, "KEY")
	failFromMany(l, noon, "KEY", 10)
	if l.Check(noon, away, "KEY") == 0 {
		t.Fatal("a stranger is not locked out")
	}
	if wait := l.Check(noon, home, "KEY"); wait != 0 {
		t.Fatalf("the known source waits %v", wait)
	}
	l.Failed(noon, home, "KEY", true)
	if l.Check(noon.Add(time.Minute), home, "KEY") == 0 {
		t.Error("a known source that made a wrong try is still let through")
	}
	l.Succeeded(noon.Add(time.Minute), home, "KEY")
	if l.Check(noon.Add(time.Minute), home, "KEY") == 0 {
		t.Error("a success wiped out the wrong try")
	}
	if wait := l.Check(noon.Add(5*time.Minute), home, "KEY"); wait != 0 {
		t.Errorf("the known source waits %v when its wrong try is out of the window", wait)
	}
}

func TestSuccessBuysNoGuessesForTheSource(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 20 {
		l.Succeeded(noon, home, "mine")
		l.Failed(noon, home, fmt.Sprint("theirs", i), true)
	}
	if l.Check(noon, home, "mine") == 0 {
		t.Error("a source with a key of its own guesses for ever")
	}
}

func TestAliasesAreOneAccount(t *testing.T) {
	for name, aliases := range map[string][]string{
		"case and space": {"AbC", "abc", " ABC", "abc\t", "aBc "},
		"not ASCII":      {"Ünï", "üNÏ", " ÜNÏ", "ünï", "Ünï "},
	} {
		for _, known := range []bool{true, false} {
			l := NewLockouts(LockoutConfig{})
			var locks []Lock
			for i := range 10 {
				locks = l.Failed(noon, sourceNo(i), aliases[i%len(aliases)], known && i%2 == 0)
			}
			if len(locks) != 1 || l.Check(noon, home, aliases[0]) == 0 {
				t.Errorf("%s, known %v: ten failures over aliases lock %v", name, known, locks)
			}
		}
	}
}

func TestSourcesAreCountedAsTheyAreHandedOut(t *testing.T) {
	for _, c := range []struct{ fails, checks, subject string }{
		{"2001:db8:1:2::a", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"},
		{"::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9"},
		{"fe80::1%eth0", "fe80::2%eth1", "fe80::/64"},
	} {
		l := NewLockouts(LockoutConfig{})
		var locks []Lock
		for range 20 {
			locks = l.Failed(noon, netip.MustParseAddr(c.fails), "", false)
		}
		if len(locks) != 1 || locks[0].Subject != c.subject {
			t.Errorf("%s: locks %v, want %s", c.fails, locks, c.subject)
		}
		if l.Check(noon, netip.MustParseAddr(c.checks), "") == 0 {
			t.Errorf("%s is not the same source as %s", c.checks, c.fails)
		}
	}
	l := NewLockouts(LockoutConfig{})
	for range 100 {
		l.Failed(noon, netip.MustParseAddr("2001:db8:1:2::1"), "", false)
		l.Failed(noon, netip.Addr{}, "", false)
	}
	if wait := l.Check(noon, netip.MustParseAddr("2001:db8:1:3::1"), ""); wait != 0 {
		t.Errorf("the next /64 waits %v", wait)
	}
	if wait := l.Check(noon, netip.Addr{}, ""); wait != 0 {
		t.Errorf("a source without address waits %v", wait)
	}
}

func TestListAndLift(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	failFromMany(l, noon, "known", 10)
	for range 10 {
		l.Failed(noon, away, "unknown", false)
	}
	for range 10 {
		l.Failed(noon, away, "", false)
	}
	end := noon.Add(15 * time.Minute)
	want := []Lock{
		{KindIP, away.String(), noon, end, false},
		{KindKey, "known", noon, end, true},
		{KindKey, "unknown", noon, end, false},
	}
	if diff := cmp.Diff(want, l.List(noon)); diff != "" {
		t.Fatalf("List (-want +got):\n%s", diff)
	}
	for _, lock := range want {
		if !l.Lift(lock.Kind, lock.Subject) {
			t.Errorf("Lift(%s, %s) = false", lock.Kind, lock.Subject)
		}
		if l.Lift(lock.Kind, lock.Subject) {
			t.Errorf("Lift(%s, %s) a second time = true", lock.Kind, lock.Subject)
		}
	}
	if got := l.List(noon); len(got) != 0 {
		t.Errorf("after Lift: %v", got)
	}
	if l.Check(noon, away, "known") != 0 || l.Check(noon, away, "unknown") != 0 {
		t.Error("lifted locks still hold")
	}
	for _, nothing := range []Lock{{Kind: KindIP, Subject: "nonsense"}, {Kind: KindKey, Subject: "nobody"}, {Kind: "x", Subject: "y"}} {
		if l.Lift(nothing.Kind, nothing.Subject) {
			t.Errorf("Lift(%s, %s) = true", nothing.Kind, nothing.Subject)
		}
	}
}

func TestLiftOfWhatIsNotLockedForgetsNoFailures(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for range 9 {
		l.Failed(noon, home, "unknown", false)
	}
	if l.Lift(KindKey, "unknown") || l.Lift(KindIP, home.String()) {
		t.Fatal("Lift found a lock that is not there")
	}
	if locks := l.Failed(noon, home, "unknown", false); len(locks) != 1 {
		t.Errorf("10th failure: %v, want one lock", locks)
	}
}

func TestForgetDropsTheKey(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	failFromMany(l, noon, "KEY", 10)
	l.Forget("KEY")
	if wait := l.Check(noon, home, "key"); wait != 0 || len(l.known) != 0 {
		t.Errorf("wait %v and %d accounts after Forget", wait, len(l.known))
	}
}

func TestFailuresBeforeTheKeyWasMadeCountOn(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 9 {
		l.Failed(noon, sourceNo(i), "key", false)
	}
	if locks := l.Failed(noon, home, "key", true); len(locks) != 1 {
		t.Errorf("10th failure, the first with the key made: %v", locks)
	}
}

func TestParallelGuessesAreNotMoreThanGuessesInARow(t *testing.T) {
	for name, from := range map[string]func(int) netip.Addr{
		"from many sources": sourceNo,
		"from one source":   func(int) netip.Addr { return home },
	} {
		l := NewLockouts(LockoutConfig{})
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				for l.Check(noon, from(i), "KEY") == 0 {
					if l.Begin(noon, from(i), "KEY") > 0 {
						runtime.Gosched()
						continue
					}
					made.Add(1)
					runtime.Gosched()
					l.Failed(noon, from(i), "KEY", true)
					l.End(from(i), "KEY")
				}
			})
		}
		wg.Wait()
		if got := made.Load(); got != 10 {
			t.Errorf("%s: %d guesses were made, want 10", name, got)
		}
		if len(l.pending.ips)+len(l.pending.keys) != 0 {
			t.Errorf("%s: left pending: %v", name, l.pending)
		}
	}
}

func TestKnownSourceDoesNotWaitForPendingGuesses(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	l.Succeeded(noon, home, "KEY")
	for i := range 10 {
		if wait := l.Begin(noon, sourceNo(i), "KEY"); wait != 0 {
			t.Fatalf("guess %d waits %v", i, wait)
		}
	}
	if wait := l.Begin(noon, away, "key "); wait != time.Second {
		t.Errorf("the eleventh guess at once waits %v, want 1s", wait)
	}
	if wait := l.Begin(noon, home, "KEY"); wait != 0 {
		t.Errorf("the known source waits %v", wait)
	}
}

func TestCheckAndRepeatedSuccessDoNotAllocate(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	clean := "AKIAIOSFODNN7EXAMPLE"
	l.Succeeded(noon, home, clean)
	failFromMany(l, noon, "other", 10) // so that Check must look
	ip6 := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		if l.Check(noon, home, clean) != 0 || l.Check(noon, ip6, clean) != 0 || l.Check(noon, home, "other") == 0 {
			t.Error("wrong answer")
		}
		l.Succeeded(noon, home, clean)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestRaceOfEverything(t *testing.T) {
	l := NewLockouts(LockoutConfig{MaxIPs: 8, MaxUnknown: 8})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				ip, key, now := sourceNo(i%16), fmt.Sprint("key", i%20), noon.Add(time.Duration(i)*time.Second)
				switch (g + i) % 6 {
				case 0:
					l.Check(now, ip, key)
				case 1:
					l.Failed(now, ip, key, i%2 == 0)
				case 2:
					l.Succeeded(now, ip, key)
				case 3:
					l.List(now)
				case 4:
					l.Lift(KindKey, key)
				case 5:
					if l.Begin(now, ip, key) == 0 {
						l.End(ip, key)
					}
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCheck(b *testing.B) {
	for _, locked := range []bool{false, true} {
		b.Run(fmt.Sprintf("somebody locked=%v", locked), func(b *testing.B) {
			l := NewLockouts(LockoutConfig{})
			if locked {
				failFromMany(l, noon, "other", 10)
			}
			b.ReportAllocs()
			for b.Loop() {
				l.Check(noon, home, "AKIAIOSFODNN7EXAMPLE")
			}
		})
	}
}

func BenchmarkSucceeded(b *testing.B) {
	l := NewLockouts(LockoutConfig{})
	b.ReportAllocs()
	for b.Loop() {
		l.Succeeded(noon, home, "AKIAIOSFODNN7EXAMPLE")
	}
}

func TestSameSubject(t *testing.T) {
	for _, test := range []struct {
		kind          Kind
		subject, text string
		want          bool
	}{
		{KindIP, "192.0.2.7", "192.0.2.7", true},
		{KindIP, "192.0.2.7", "::ffff:192.0.2.7", true},
		{KindIP, "192.0.2.7", "192.0.2.8", false},
		{KindIP, "2001:db8::/64", "2001:db8::/64", true},
		{KindIP, "2001:db8::/64", "2001:db8::1:2", true},
		{KindIP, "2001:db8::/64", "2001:db8:0:1::", false},
		{KindIP, "192.0.2.7", "nonsense", false},
		{KindKey, "wave_live_0a1b2c3d", " Wave_Live_0A1B2C3D", true},
		{KindKey, "abc", "abcd", false},
	} {
		if got := SameSubject(test.kind, test.subject, test.text); got != test.want {
			t.Errorf("SameSubject(%s, %q, %q) = %t", test.kind, test.subject, test.text, got)
		}
	}
}
