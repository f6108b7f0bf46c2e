package apikey

import (
	"context"
	"slices"
	"sync"
	"time"

	"wavegate/keychain/lookup"
)

const (
	useGrain   = 1000   // milliseconds: the smallest move of the time of last use
	useWorth   = 60_000 // milliseconds that a key in steady use waits for a write
	touchBatch = 1000   // keys
)

// uses are the keys whose use is to be written to the store: a bounded number,
// beyond which a last use gets lost.
type uses struct {
	most int

	mu   sync.Mutex // guards list
	list []*Key     // each with queued set
}

func (u *uses) add(k *Key) {
	if !k.queued.CompareAndSwap(false, true) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.list) >= u.most {
		k.queued.Store(false)
		return
	}
	u.list = append(u.list, k)
}

func (u *uses) takeAll() []*Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.list
	u.list = nil
	return list
}

func (u *uses) giveBack(list []*Key) {
	if len(list) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, list...)
}

// leave takes a key off that needs no write any more. It looks again once
// another use could queue it: one that came before would be forgotten.
func (u *uses) leave(k *Key) {
	k.queued.Store(false)
	if k.unwritten() {
		u.add(k)
	}
}

// unwritten reports whether the store lacks something of a key's use.
func (k *Key) unwritten() bool {
	return k.used.Load() > k.written.Load() || len(k.networks.toSend()) > 0
}

// dueToWrite reports whether a key's use is worth a write now. The first use
// after a pause is; in steady use only one in a minute is. What the memory let go
// is written while it is still known here, and a network before it is asked about.
func (k *Key) dueToWrite(now int64) bool {
	return now-k.written.Load() >= useWorth || k.refs.Load() < 0 || len(k.networks.toSend()) > 0
}

// flush writes uses to the store: those that are due, or all. What cannot be
// written stays for the next time.
func (m *Manager) flush(ctx context.Context, all bool) error {
	now := m.now()
	var due, later []*Key
	for _, k := range m.uses.takeAll() {
		switch {
		case !k.unwritten():
			m.uses.leave(k)
		case all || k.dueToWrite(now):
			due = append(due, k)
		default:
			later = append(later, k)
		}
	}
	m.uses.giveBack(later)
	for len(due) > 0 {
		batch := due[:min(len(due), touchBatch)]
		if err := m.writeUses(ctx, batch); err != nil {
			m.uses.giveBack(due)
			return unavailable(err)
		}
		due = due[len(batch):]
	}
	return nil
}

func (m *Manager) writeUses(ctx context.Context, batch []*Key) error {
	touches := make([]Touch, len(batch))
	for i, k := range batch {
		touches[i] = Touch{
			ID:       k.Record().ID,
			UsedAt:   time.UnixMilli(k.used.Load()).UTC(),
			Networks: k.networks.toSend(),
		}
	}
	if err := lookup.Safely(m.cfg.Log, "an API key was looked up", func() error { return m.store.TouchKeys(ctx, slices.Clone(touches)) }); err != nil {
		return err
	}
	for i, k := range batch {
		raise(&k.written, touches[i].UsedAt.UnixMilli())
		k.networks.sent(len(touches[i].Networks))
		m.uses.leave(k)
	}
	return nil
}
