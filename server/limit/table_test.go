package limit

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestUnauthenticatedInputMakesNoUnboundedState(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	const most = 4096
	l := NewLockouts(LockoutConfig{MaxIPs: most, MaxUnknown: most})
	l.Succeeded(noon, home, "mine")
	failFromMany(l, noon, "mine", 9)
	before := heap()
	long := strings.Repeat("x", 1<<16)
	for i := range n {
		var ip [16]byte
		ip[0], ip[4], ip[5], ip[6] = 0x20, byte(i>>16), byte(i>>8), byte(i)
		key := strconv.Itoa(i)
		if i%1000 == 0 {
			key += long
		}
		l.Failed(noon, netip.AddrFrom16(ip), key, false)
	}
	if len(l.ips.nodes) > most || len(l.unknown.nodes) > most || l.ips.free.Len()+l.ips.locked.Len() > most {
		t.Errorf("%d sources and %d unknown IDs are kept, want at most %d", len(l.ips.nodes), len(l.unknown.nodes), most)
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	if locks := l.Failed(noon, away, "mine", true); len(locks) != 1 {
		t.Error("strangers flushed the failures of a key")
	}
	if wait := l.Check(noon, home, "mine"); wait != 0 {
		t.Error("strangers flushed the known source of a key")
	}
	runtime.KeepAlive(l)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestFullTableKeepsLocksAndDropsTheOldest(t *testing.T) {
	l := NewLockouts(LockoutConfig{MaxIPs: 3, IPTries: 2})
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Second) }
	lock := func(i int) {
		l.Failed(at(i), sourceNo(i), "", false)
		l.Failed(at(i), sourceNo(i), "", false)
	}
	held := func(i int) bool { return l.Check(at(100), sourceNo(i), "") > 0 }
	lock(0)
	l.Failed(at(1), sourceNo(1), "", false)
	l.Failed(at(2), sourceNo(2), "", false)
	lock(3) // pushes 1 out
	if !held(0) || !held(3) {
		t.Fatal("a lock was dropped while there was something unlocked")
	}
	if l.ips.get(sourceNo(1)) != nil || l.ips.get(sourceNo(2)) == nil {
		t.Error("not the oldest of the unlocked was dropped")
	}
	lock(4) // pushes 2 out
	lock(5) // all are locked: 0 ends soonest
	if held(0) || !held(3) || !held(4) || !held(5) {
		t.Errorf("held: %v %v %v %v, want all but the first", held(0), held(3), held(4), held(5))
	}
}

func TestTableShrinksWhenItIsOver(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 1000 {
		l.Failed(noon, sourceNo(i), fmt.Sprint(i), false)
	}
	for range 600 {
		l.Failed(noon.Add(time.Hour), home, "", false)
	}
	if n := len(l.ips.nodes); n != 1 {
		t.Errorf("%d sources are kept after an hour, want 1", n)
	}
}

func TestSourcesOfAKeyAreBounded(t *testing.T) {
	l := NewLockouts(LockoutConfig{})
	for i := range 10 * maxSources {
		l.Succeeded(noon.Add(time.Duration(i)*time.Second), sourceNo(i), "KEY")
	}
	a := l.known["key"]
	if len(a.sources) != maxSources || a.sources[sourceNo(10*maxSources-1)] == nil {
		t.Errorf("%d sources, want the last %d", len(a.sources), maxSources)
	}
}
