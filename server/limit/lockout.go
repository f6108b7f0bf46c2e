// Package limit is the arithmetic of limits: who may try again, and when. Time
// is passed in, so it needs no clock, and it holds its tables in bounded
// memory. It knows nothing of HTTP, credentials or policies, and logs only what it
// could not give back.
package limit

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// LockoutConfig says how many wrong credentials lock out whom. The zero value
// of a field is the number beside it.
type LockoutConfig struct {
	KeyTries   int           // wrong secrets for one key that lock it: 10
	IPTries    int           // wrong credentials from one source that lock it: 20
	Window     time.Duration // in which they are counted: 5 min
	Hold       time.Duration // how long a lock stays: 15 min
	MaxIPs     int           // sources that are remembered: 65536
	MaxUnknown int           // IDs of no key that are remembered: 65536
}

func (c LockoutConfig) withDefaults() LockoutConfig {
	return LockoutConfig{
		KeyTries:   cmp.Or(max(0, c.KeyTries), 10),
		IPTries:    cmp.Or(max(0, c.IPTries), 20),
		Window:     cmp.Or(max(0, c.Window), 5*time.Minute),
		Hold:       cmp.Or(max(0, c.Hold), 15*time.Minute),
		MaxIPs:     cmp.Or(max(0, c.MaxIPs), 1<<16),
		MaxUnknown: cmp.Or(max(0, c.MaxUnknown), 1<<16),
	}
}

// A Kind says what is locked.
type Kind string

// The kinds. A source is an IPv4 address or an IPv6 /64.
const (
	KindIP  Kind = "ip"
	KindKey Kind = "key"
)

// A Lock is a source or a key that is refused for a while.
type Lock struct {
	Kind    Kind
	Subject string    // "192.0.2.7", "2001:db8::/64", or a key ID as it is counted: folded
	Since   time.Time // UTC
	Until   time.Time // UTC
	Known   bool      // of a key: there is one with that ID, so that it is nothing that a stranger made up
}

// Lockouts counts wrong credentials and says who must wait. It is safe for
// concurrent use.
//
// One key's failures never touch another key, and one source's never another
// source. A source that has used a key rightly before, and made no wrong try at
// it within the window since, is not held up by the lock of that key.
type Lockouts struct {
	cfg   LockoutConfig
	epoch time.Time    // what every instant counts from
	last  atomic.Int64 // instant at which the last lock ends; Check reads it first

	mu      sync.RWMutex // guards everything below
	ips     *table[netip.Addr]
	unknown *table[string]      // IDs that no key has: strangers fill it
	known   map[string]*account // IDs of keys: strangers cannot make entries here
	pending pending
}

// An instant is nanoseconds since Lockouts.epoch.
type instant = time.Duration

// NewLockouts returns a Lockouts that has seen nothing.
func NewLockouts(cfg LockoutConfig) *Lockouts {
	cfg = cfg.withDefaults()
	l := &Lockouts{
		cfg:     cfg,
		epoch:   time.Now(), // with its monotonic reading: a clock that is set moves no lock
		ips:     newTable[netip.Addr](cfg.MaxIPs),
		unknown: newTable[string](cfg.MaxUnknown),
		known:   make(map[string]*account),
		pending: newPending(),
	}
	l.last.Store(math.MinInt64)
	return l
}

// Check returns how long a source must wait before a credential of it is looked
// at; 0 lets it go on. An invalid ip is a source without a name, as on a Unix
// socket, and never locked; so is the empty key.
func (l *Lockouts) Check(now time.Time, ip netip.Addr, key string) time.Duration {
	at := now.Sub(l.epoch)
	if int64(at) >= l.last.Load() {
		return 0 // nothing is locked
	}
	return l.checkLocks(at, ip, key)
}

func (l *Lockouts) checkLocks(at instant, ip netip.Addr, key string) time.Duration {
	var buf [foldBuffer]byte
	name := fold(buf[:0], key)
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.wait(at, Source(ip), name)
}

// wait is Check with the lock held. The name is folded.
func (l *Lockouts) wait(at instant, ip netip.Addr, name []byte) time.Duration {
	wait := l.ips.get(ip).wait(at)
	if a := l.known[string(name)]; a != nil {
		if !a.trusts(ip, at, l.cfg.Window) {
			wait = max(wait, a.wait(at))
		}
		return wait
	}
	return max(wait, l.unknown.get(string(name)).wait(at))
}

// Failed counts a wrong credential and returns the locks that it caused. known
// says that key is the ID of a key that there is; an empty key counts for the
// source alone.
func (l *Lockouts) Failed(now time.Time, ip netip.Addr, key string, known bool) []Lock {
	at, from := now.Sub(l.epoch), Source(ip)
	var buf [foldBuffer]byte
	name := string(fold(buf[:0], key))
	l.mu.Lock()
	defer l.mu.Unlock()
	var locks []Lock
	if from.IsValid() {
		if r := l.ips.fail(from, at, l.cfg.IPTries, l.cfg.Window, l.cfg.Hold); r != nil {
			locks = append(locks, l.lock(KindIP, sourceName(from), r))
		}
	}
	if name == "" {
		return locks
	}
	if r := l.failKey(at, from, name, known); r != nil {
		locks = append(locks, l.lock(KindKey, name, r))
	}
	return locks
}

// failKey counts a wrong secret and returns the record if that locked it.
func (l *Lockouts) failKey(at instant, from netip.Addr, name string, known bool) *record {
	a := l.known[name]
	if a == nil && !known {
		return l.unknown.fail(name, at, l.cfg.KeyTries, l.cfg.Window, l.cfg.Hold)
	}
	if a == nil {
		a = l.account(name)
	}
	a.blame(from, at)
	if !a.fail(at, l.cfg.KeyTries, l.cfg.Window, l.cfg.Hold) {
		return nil
	}
	return &a.record
}

// account makes the account of a key. What was counted before there was such a
// key counts on.
func (l *Lockouts) account(name string) *account {
	a := new(account)
	if r := l.unknown.take(name); r != nil {
		a.record = *r
	}
	l.known[name] = a
	return a
}

// lock describes a record that was just locked, and makes Check look.
func (l *Lockouts) lock(kind Kind, subject string, r *record) Lock {
	l.last.Store(max(l.last.Load(), int64(r.until)))
	return l.describe(kind, subject, r)
}

// describe makes a Lock of a record. The subject of a key is folded.
func (l *Lockouts) describe(kind Kind, subject string, r *record) Lock {
	wall := func(at instant) time.Time { return l.epoch.Add(at).Round(0).UTC() }
	_, known := l.known[subject]
	return Lock{Kind: kind, Subject: subject, Since: wall(r.since), Until: wall(r.until), Known: kind == KindKey && known}
}

// Succeeded notes that the source has used the key rightly. It takes back no
// failure: a key of one's own must not buy guesses at those of others. Calling
// it for every request is cheap.
func (l *Lockouts) Succeeded(now time.Time, ip netip.Addr, key string) {
	at, from := now.Sub(l.epoch), Source(ip)
	var buf [foldBuffer]byte
	name := fold(buf[:0], key)
	if !from.IsValid() || len(name) == 0 {
		return
	}
	l.mu.RLock()
	fresh := l.known[string(name)].fresh(from, at)
	l.mu.RUnlock()
	if fresh {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.known[string(name)]
	if a == nil {
		a = l.account(string(name))
	}
	a.trust(from, at)
}

// Forget drops what is known of a key, for keys that were removed. Without it
// the memory grows with the number of keys that there ever were.
func (l *Lockouts) Forget(key string) {
	var buf [foldBuffer]byte
	name := fold(buf[:0], key)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, string(name))
}

// List returns the locks that hold now, sorted by kind and subject.
func (l *Lockouts) List(now time.Time) []Lock {
	at := now.Sub(l.epoch)
	locks := []Lock{}
	add := func(kind Kind, subject string, r *record) {
		if r.wait(at) > 0 {
			locks = append(locks, l.describe(kind, subject, r))
		}
	}
	l.mu.RLock()
	for ip, n := range l.ips.nodes {
		add(KindIP, sourceName(ip), &n.record)
	}
	for name, n := range l.unknown.nodes {
		add(KindKey, name, &n.record)
	}
	for name, a := range l.known {
		add(KindKey, name, &a.record)
	}
	l.mu.RUnlock()
	slices.SortFunc(locks, func(a, b Lock) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject))
	})
	return locks
}

// Lift ends a lock, as List names it, and forgets the failures that led to it.
// It reports whether there was one, be it over already. Any address of a source
// stands for it.
func (l *Lockouts) Lift(kind Kind, subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch kind {
	case KindIP:
		ip, ok := parseSource(subject)
		return ok && l.ips.lift(ip)
	case KindKey:
		var buf [foldBuffer]byte
		name := string(fold(buf[:0], subject))
		a := l.known[name]
		if a == nil {
			return l.unknown.lift(name)
		}
		if !a.locked() {
			return false
		}
		a.record = record{}
		return true
	}
	return false
}
