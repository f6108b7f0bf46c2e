package apikey

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Key is one API key in this process. There is one *Key for a key as long as
// anybody holds it, so that its end reaches everybody. Who finds Ended cancelled
// right after Hold was late, and looks the key up again.
type Key struct {
	hash [32]byte // under the current secret, whatever the record's is

	// What every request looks at lies together.
	epoch     atomic.Int64 // of the Manager, when the store last said what the key is; -1 is not to be believed
	confirmed atomic.Int64 // when the store last said so, milliseconds since the epoch
	refs      atomic.Int64 // who holds the key; letGo is added while the memory does not have it
	hot       atomic.Bool  // used since the memory last looked for what to forget
	over      atomic.Bool  // ended before its time, and another takes its place
	queued    atomic.Bool  // waits to be written
	used      atomic.Int64 // newest use that is known, milliseconds since the epoch
	present   atomic.Pointer[view]

	manager  *Manager
	networks networks
	written  atomic.Int64 // newest use that the store knows
	ended    context.Context
	end      context.CancelFunc
	making   sync.Mutex // held while a Value is made

	slot    int   // place in the memory's ring, -1 for none; guarded by the memory
	expires int64 // milliseconds since the epoch, 0 is never; guarded by the memory
	due     int   // place among those that expire, -1 for none; guarded by the memory
}

// letGo is far below what Hold could make up for.
const letGo = -1 << 40

// A view is one version of a key.
type view struct {
	record Record
	made   atomic.Pointer[made]
}

// A made is what was made of a view under a thing.
type made struct {
	under any
	value any
}

func newKey(m *Manager, hash *[32]byte) *Key {
	k := &Key{manager: m, hash: *hash, slot: -1, due: -1}
	k.ended, k.end = context.WithCancel(context.Background())
	return k
}

// Record returns the key as it was last read. It is shared and must not be
// changed. Its LastUsedAt is older than the last use.
func (k *Key) Record() *Record { return &k.present.Load().record }

// Status is Record().Status, without an allocation.
func (k *Key) Status(now time.Time) Status { return k.Record().Status(now) }

// String names the key by its ID.
func (k *Key) String() string { return "API key " + k.Record().ID }

// Ended is cancelled when the key opens nothing any more: it was revoked, expired
// or lost something. Only whoever holds the key (Hold) is told for sure.
func (k *Key) Ended() context.Context { return k.ended }

// Hold keeps the key from being let go while a request or a socket uses it; each
// Hold needs a Release. Neither blocks nor allocates.
func (k *Key) Hold() {
	m := k.manager
	if k.refs.Add(1) <= 0 && !m.memory.takeBack(k) {
		k.end()
	}
	if k.epoch.Load() != m.epoch.Load() { // what changed meanwhile was asked about only for who held it
		m.recheck(k)
	}
}

// Release see Hold.
func (k *Key) Release() { k.refs.Add(-1) }

func (k *Key) held() bool { return k.refs.Load() > 0 }

// Used notes that the key was used rightly. It reports true when the network of
// the address is one that the key was never used from, though it was used
// before. Calling it for every request is cheap and allocates nothing when
// there is nothing new.
func (k *Key) Used(now time.Time, ip netip.Addr) (newNetwork bool) {
	added, newNetwork := k.networks.add(NetworkOf(ip))
	ms := now.UnixMilli()
	if added || ms-k.used.Load() >= useGrain {
		raise(&k.used, ms)
		k.manager.uses.add(k)
	}
	return newNetwork
}

// Value returns what make made of the key under a thing (the policy in force),
// once for each record and thing; under is compared by identity and has to be
// comparable (a pointer). Nil is not kept.
func (k *Key) Value(under any, make func(*Key) any) any {
	if p := k.present.Load().made.Load(); p != nil && p.under == under {
		return p.value
	}
	k.making.Lock()
	defer k.making.Unlock()
	v := k.present.Load()
	if p := v.made.Load(); p != nil && p.under == under {
		return p.value
	}
	value := make(k)
	if value != nil {
		v.made.Store(&made{under, value})
	}
	return value
}

// adopt takes over what the store said. The caller holds the memory's lock.
func (k *Key) adopt(r *Record) {
	k.present.Store(&view{record: *r})
	if !r.LastUsedAt.IsZero() {
		raise(&k.used, r.LastUsedAt.UnixMilli())
		raise(&k.written, r.LastUsedAt.UnixMilli())
	}
	k.networks.know(r.Networks)
}

// succeed takes over from the *Key of the same key, which is over, what the
// store need not know yet.
func (k *Key) succeed(old *Key) {
	raise(&k.used, old.used.Load())
	k.networks.know(old.networks.all())
}

// raise moves a value forward, never back.
func raise(a *atomic.Int64, to int64) {
	for {
		old := a.Load()
		if to <= old || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// networks are those that a key was used from, at most MaxNetworks: any further
// one is not new and not kept.
type networks struct {
	known atomic.Pointer[[]netip.Prefix] // is replaced, never changed

	mu     sync.Mutex     // guards unsent, and the replacing of known
	unsent []netip.Prefix // those that the store does not know
}

func (n *networks) all() []netip.Prefix {
	if p := n.known.Load(); p != nil {
		return *p
	}
	return nil
}

// add reports whether a network is kept from now on, and whether there were
// others before it.
func (n *networks) add(p netip.Prefix) (added, further bool) {
	if !p.IsValid() || slices.Contains(n.all(), p) {
		return false, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.all()
	if len(known) >= MaxNetworks || slices.Contains(known, p) {
		return false, false
	}
	n.set(append(slices.Clip(known), p))
	n.unsent = append(n.unsent, p)
	return true, len(known) > 0
}

// know adds networks that the store knows.
func (n *networks) know(list []netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := slices.Clip(n.all())
	for _, p := range list {
		if len(known) < MaxNetworks && !slices.Contains(known, p) {
			known = append(known, p)
		}
	}
	n.set(known)
}

func (n *networks) set(known []netip.Prefix) {
	if len(known) > 0 {
		n.known.Store(&known)
	}
}

// toSend returns the networks that the store does not know.
func (n *networks) toSend() []netip.Prefix {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.unsent)
}

// sent forgets the first count of them.
func (n *networks) sent(count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unsent = slices.Delete(n.unsent, 0, count)
	if len(n.unsent) == 0 {
		n.unsent = nil
	}
}
