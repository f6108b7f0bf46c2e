package apikey_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

func TestMemoryIsBounded(t *testing.T) {
	var evicted atomic.Int64
	b := newBench(t, func(c *apikey.Config) {
		c.Most = 20
		c.Evicted = func(apikey.Record) { evicted.Add(1) }
	})
	for range 500 {
		secret, _ := b.create(nil)
		b.lookup(t, secret)
		if _, err := b.Lookup(t.Context(), apikey.Generate("wave", apikey.Live, false)); err == nil {
			t.Fatal("a stranger got a key")
		}
		if n := b.Remembered(); n > 20 {
			t.Fatalf("%d keys are remembered, want 20 at most", n)
		}
	}
	if n := evicted.Load(); n != 480 {
		t.Errorf("%d keys were let go, want 480", n)
	}
}

func TestExpiriesAreBounded(t *testing.T) {
	b := newBench(t, func(c *apikey.Config) { c.Most = 20 })
	for range 100 {
		secret, id := b.create(func(r *apikey.Record) { r.ExpiresAt = time.Now().Add(time.Hour) })
		b.lookup(t, secret)
		b.Changed(id)
		b.lookup(t, secret)
	}
	if n := b.Expiring(); n != 20 {
		t.Errorf("%d keys wait for their expiry, want the 20 that are remembered", n)
	}
}

func TestNewestKeyIsNotLetGoBeforeItIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
		for range 2 {
			secret, _ := b.create(nil)
			b.lookup(t, secret)
			b.lookup(t, secret) // in use
		}
		secret, _ := b.create(nil)
		b.hold(t, secret)
		synctest.Wait()
		if n := b.store.called("ByHash"); n != 3 {
			t.Errorf("the store was asked %d times about 3 keys", n)
		}
	})
}

func TestWhatIsUsedStays(t *testing.T) {
	b := newBench(t, func(c *apikey.Config) { c.Most = 20 })
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	for range 200 {
		other, _ := b.create(nil)
		b.lookup(t, other)
		if b.lookup(t, secret) != k {
			t.Fatal("a key in use was let go")
		}
	}
}

func TestHeldKeysSurviveEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 5 })
		var held []*apikey.Key
		var secrets, ids []string
		for range 10 { // more than the memory wants
			secret, id := b.create(nil)
			held, secrets, ids = append(held, b.hold(t, secret)), append(secrets, secret), append(ids, id)
		}
		for range 100 {
			secret, _ := b.create(nil)
			b.lookup(t, secret)
		}
		before := b.store.called("ByHash")
		for i, k := range held {
			if b.lookup(t, secrets[i]) != k {
				t.Fatalf("there are two of key %d", i)
			}
		}
		if b.store.called("ByHash") != before {
			t.Error("a held key had to be looked up again")
		}
		b.store.edit(ids[0], func(r *apikey.Record) { r.RevokedAt = time.Now() })
		b.Changed(ids[0])
		synctest.Wait()
		if !isEnded(held[0]) || isEnded(held[1]) {
			t.Error("the end did not reach the one who held the key, or others")
		}
		for _, k := range held {
			k.Release()
		}
		secret, _ := b.create(nil)
		b.lookup(t, secret)
		if n := b.Remembered(); n != 5 {
			t.Errorf("%d keys are remembered after the release, want 5", n)
		}
	})
}

// crowdOut lets others push out of the memory what nobody holds.
func crowdOut(t testing.TB, b *bench) {
	t.Helper()
	for range 10 {
		secret, _ := b.create(nil)
		b.lookup(t, secret)
	}
}

func TestKeyThatWasLetGoIsTakenBackByHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		crowdOut(t, b)
		k.Hold()
		k.Hold()
		synctest.Wait()
		crowdOut(t, b)
		before := b.store.called("ByHash")
		if b.lookup(t, secret) != k || b.store.called("ByHash") != before {
			t.Error("the key that is held is not the one that is found")
		}
		b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
		b.Changed(id)
		synctest.Wait()
		if !isEnded(k) {
			t.Error("the end did not reach the one who held the key")
		}
	})
}

func TestHoldHearsOfWhatChangedWhileTheKeyWasLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		crowdOut(t, b)
		b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
		b.Changed(id)
		k.Hold()
		synctest.Wait()
		if !isEnded(k) {
			t.Error("the revocation was missed")
		}
	})
}

func TestHoldOfAKeyThatWasReplacedEndsIt(t *testing.T) {
	b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	crowdOut(t, b)
	again := b.lookup(t, secret)
	k.Hold()
	k.Hold()
	if again == k || !isEnded(k) || isEnded(again) {
		t.Error("two of one key go on, and no end could reach both")
	}
	k.Release()
	k.Release()
}

func TestHoldRacingEvictionLosesNothing(t *testing.T) {
	b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
	secrets := make([]string, 8)
	for i := range secrets {
		secrets[i], _ = b.create(nil)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 300 {
				secret := secrets[(i*n)%8]
				k := b.lookup(t, secret)
				k.Hold()
				if again := b.lookup(t, secret); again != k && !isEnded(k) {
					t.Error("a key that is held goes on beside another of the same")
				}
				k.Release()
			}
		})
	}
	wg.Wait()
	secret, _ := b.create(nil)
	b.lookup(t, secret)
	if n := b.Remembered(); n != 2 {
		t.Errorf("%d keys are remembered at the end, want 2", n)
	}
}

// A handle is somebody who holds a key in TestMemoryAgainstAModel.
type handle struct {
	key  *apikey.Key
	lost bool // the key lost something since
}

// TestMemoryAgainstAModel does what clients, operators and time do, at random and
// with room for three keys. After each step every look-up says what the store
// says, and those who hold a key are told of its end exactly when it lost
// something.
func TestMemoryAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noDeadline := struct{ rapid.TB }{t} // the real one is of another clock
		rapid.Check(noDeadline, func(r *rapid.T) {
			m := &model{bench: newBench(t, func(c *apikey.Config) { c.Most = 3 }), held: map[string][]*handle{}}
			r.Repeat(map[string]func(*rapid.T){
				"create":  m.create,
				"look up": func(t *rapid.T) { m.check(t, m.draw(t)) },
				"hold":    m.hold,
				"release": m.release,
				"rename":  m.change(false, func(r *apikey.Record) { r.Name += "x" }),
				"narrow":  m.change(true, func(r *apikey.Record) { r.Scopes = []string{"s:" + r.Name + apikey.NewID()} }),
				"revoke":  m.change(true, func(r *apikey.Record) { r.RevokedAt = time.Now() }),
				"remove":  m.remove,
				"lose":    func(*rapid.T) { m.Lost() },
				"":        m.invariants,
			})
			for _, handles := range m.held {
				for _, h := range handles {
					h.key.Release()
				}
			}
		})
	})
}

type model struct {
	*bench
	secrets []string
	ids     map[string]string
	held    map[string][]*handle // by secret
}

func (m *model) draw(t *rapid.T) string {
	if len(m.secrets) == 0 {
		m.create(t)
	}
	return rapid.SampledFrom(m.secrets).Draw(t, "key")
}

func (m *model) create(*rapid.T) {
	secret, id := m.bench.create(nil)
	if m.ids == nil {
		m.ids = map[string]string{}
	}
	m.secrets, m.ids[secret] = append(m.secrets, secret), id
}

func (m *model) stored(secret string) (apikey.Record, bool) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	r, ok := m.store.keys[m.hasher.Current(secret)]
	return r, ok
}

func (m *model) check(t *rapid.T, secret string) *apikey.Key {
	k, err := m.Lookup(context.Background(), secret)
	want, ok := m.stored(secret)
	if ok != (err == nil) {
		t.Fatalf("the store has the key: %v, and Lookup says %v", ok, err)
	}
	if !ok {
		return nil
	}
	if diff := cmp.Diff(want, *k.Record(), sameRecord); diff != "" {
		t.Fatalf("Lookup says what the store does not (-want +got):\n%s", diff)
	}
	return k
}

func (m *model) hold(t *rapid.T) {
	secret := m.draw(t)
	if k := m.check(t, secret); k != nil {
		k.Hold()
		m.held[secret] = append(m.held[secret], &handle{k, isEnded(k)})
	}
}

func (m *model) release(t *rapid.T) {
	secret := m.draw(t)
	if handles := m.held[secret]; len(handles) > 0 {
		i := rapid.IntRange(0, len(handles)-1).Draw(t, "handle")
		handles[i].key.Release()
		m.held[secret] = slices.Delete(handles, i, i+1)
	}
}

func (m *model) change(takes bool, f func(*apikey.Record)) func(*rapid.T) {
	return func(t *rapid.T) {
		secret := m.draw(t)
		if _, ok := m.stored(secret); !ok {
			return
		}
		m.store.edit(m.ids[secret], f)
		m.tell(secret, takes)
	}
}

func (m *model) remove(t *rapid.T) {
	secret := m.draw(t)
	m.store.remove(m.ids[secret])
	m.tell(secret, true)
}

func (m *model) tell(secret string, takes bool) {
	for _, h := range m.held[secret] {
		h.lost = h.lost || takes
	}
	m.Changed(m.ids[secret])
}

func (m *model) invariants(t *rapid.T) {
	synctest.Wait()
	holders := 0
	for _, handles := range m.held {
		var alive *apikey.Key
		for _, h := range handles {
			holders++
			if isEnded(h.key) != h.lost {
				t.Fatalf("%v lost something: %v, and those who hold it were told: %v", h.key, h.lost, isEnded(h.key))
			}
			if !h.lost && alive != nil && alive != h.key {
				t.Fatalf("there are two of %v", h.key)
			}
			if !h.lost {
				alive = h.key
			}
		}
	}
	if n := m.Remembered(); n > max(3, holders+1) {
		t.Fatalf("%d keys are remembered, %d are held", n, holders)
	}
}
