package limit

import (
	"net/netip"
	"time"
)

// retrySoon is the wait of those whose answer hangs on comparisons under way.
const retrySoon = time.Second

// pending counts the credentials that are being compared right now. There are
// as many as there are workers, so it needs no bound of its own.
type pending struct {
	ips  map[netip.Addr]int
	keys map[string]int
}

func newPending() pending {
	return pending{ips: make(map[netip.Addr]int), keys: make(map[string]int)}
}

// Begin is Check for a credential that is compared next, and counts it as a
// failure until End. So guesses that are made at the same time cannot be more
// than guesses made one after another: the one that would be the first too many
// waits a second and is asked again. When it returns 0, call End exactly once,
// after Failed or Succeeded.
func (l *Lockouts) Begin(now time.Time, ip netip.Addr, key string) time.Duration {
	at, from := now.Sub(l.epoch), Source(ip)
	var buf [foldBuffer]byte
	name := fold(buf[:0], key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.wait(at, from, name); wait > 0 {
		return wait
	}
	if l.ips.get(from).count(at, l.cfg.Window)+l.pending.ips[from] >= l.cfg.IPTries && from.IsValid() {
		return retrySoon
	}
	if l.keyFull(at, from, name) {
		return retrySoon
	}
	l.pending.ips[from]++
	l.pending.keys[string(name)]++
	return 0
}

// keyFull reports whether one more wrong secret for the key, with those under
// way, would be one too many.
func (l *Lockouts) keyFull(at instant, from netip.Addr, name []byte) bool {
	if len(name) == 0 {
		return false
	}
	r := l.unknown.get(string(name))
	if a := l.known[string(name)]; a != nil {
		if a.trusts(from, at, l.cfg.Window) {
			return false
		}
		r = &a.record
	}
	return r.count(at, l.cfg.Window)+l.pending.keys[string(name)] >= l.cfg.KeyTries
}

// End takes back what Begin counted.
func (l *Lockouts) End(ip netip.Addr, key string) {
	from := Source(ip)
	var buf [foldBuffer]byte
	name := string(fold(buf[:0], key))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending.ips[from]--; l.pending.ips[from] <= 0 {
		delete(l.pending.ips, from)
	}
	if l.pending.keys[name]--; l.pending.keys[name] <= 0 {
		delete(l.pending.keys, name)
	}
}
