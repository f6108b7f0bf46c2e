package limit

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A states finds the state of an account by name. Strangers choose names, so it is
// bounded; it is in shards, each with a lock that is held for a look-up, or for one
// look at few states, and never while anything is waited for.
type states struct {
	seed   maphash.Seed // nobody can aim at one shard
	shards []shard
	most   int // of a shard
	ids    atomic.Uint64
	owe    func(...owed)
}

type shard struct {
	mu     sync.RWMutex
	states map[string]*state // guarded by mu; a state's lock may be tried under it
}

const (
	maxShards = 256
	perShard  = 64 // accounts, before there is another shard

	// looks is how many states are looked at to find one to drop, drops how many are
	// dropped at once, so that what grew beyond its bounds shrinks again.
	looks = 16
	drops = 2
)

func newStates(most int, owe func(...owed)) *states {
	n := 1 << (bits.Len(uint(min(max(most/perShard, 1), maxShards))) - 1)
	t := &states{seed: maphash.MakeSeed(), shards: make([]shard, n), most: (most + n - 1) / n, owe: owe}
	for i := range t.shards {
		t.shards[i].states = make(map[string]*state)
	}
	return t
}

func (t *states) shard(name string) *shard {
	return &t.shards[maphash.String(t.seed, name)&uint64(len(t.shards)-1)]
}

// get returns the state of a name, or nil.
func (t *states) get(name string) *state {
	sh := t.shard(name)
	sh.mu.RLock()
	s := sh.states[name]
	sh.mu.RUnlock()
	return s
}

// make returns the state of a name, a new one where there is none.
func (t *states) make(name string) *state {
	sh := t.shard(name)
	sh.mu.RLock()
	s := sh.states[name]
	sh.mu.RUnlock()
	if s != nil {
		return s
	}
	return t.add(sh, name)
}

// locked is make with the state's lock taken.
func (t *states) locked(name string) *state {
	for {
		s := t.make(name)
		s.mu.Lock()
		if !s.gone {
			return s
		}
		s.mu.Unlock()
	}
}

func (t *states) add(sh *shard, name string) *state {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.states[name]; s != nil {
		return s
	}
	for range drops {
		if len(sh.states) >= t.most {
			t.evict(sh)
		}
	}
	s := &state{id: t.ids.Add(1), name: name}
	sh.states[name] = s
	return s
}

// evict drops the state that loses least of some that it happens to see: one that is
// as new, or else the one that soonest would be, one with a lease last. It drops
// none where all have running requests.
func (t *states) evict(sh *shard) {
	var victim *state
	least, seen := int64(0), 0
	for _, s := range sh.states {
		if seen++; seen > looks {
			break
		}
		if loss, ok := s.loss(); ok && (victim == nil || loss < least) {
			victim, least = s, loss
		}
	}
	if victim == nil || !victim.mu.TryLock() {
		return
	}
	defer victim.mu.Unlock()
	if !victim.pinned() {
		t.owe(victim.settle()...)
		t.drop(sh, victim)
	}
}

// drop removes a state whose lock is held, as is the shard's.
func (t *states) drop(sh *shard, s *state) {
	s.gone = true
	delete(sh.states, s.name)
}

// loss orders states by what is lost with them: it is when they are as new, or, of those
// that are, when they were used. ok is false for one that is in use.
func (s *state) loss() (loss int64, ok bool) {
	if !s.mu.TryLock() {
		return 0, false
	}
	defer s.mu.Unlock()
	if s.account == nil || s.pinned() {
		return 0, false // just made, or somebody comes back to it
	}
	loss = max(s.fullAt(), s.used)
	if s.holds() {
		loss += time.Hour.Microseconds()
	}
	return loss, true
}

// settle empties all leases and returns them for the ledger.
func (s *state) settle() (all []owed) {
	for _, b := range s.budgets {
		if b == nil || b.flight != nil {
			continue
		}
		if o := b.settle(); o.amount != 0 {
			all = append(all, o.of(s.name))
		}
	}
	return all
}

// each calls f with every state that nobody has locked, with its lock held. Those
// that f returns false for are dropped.
func (t *states) each(f func(*state) (keep bool)) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for _, s := range sh.states {
			if !s.mu.TryLock() {
				continue
			}
			if !f(s) {
				t.drop(sh, s)
			}
			s.mu.Unlock()
		}
		sh.mu.Unlock()
	}
}

// list returns all states, in no order and without their locks.
func (t *states) list() (all []*state) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, s := range sh.states {
			all = append(all, s)
		}
		sh.mu.RUnlock()
	}
	return all
}
