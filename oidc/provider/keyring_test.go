package provider

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// run starts what time brings, and returns how it is ended.
func (b *keyBench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (b *keyBench) current(t *testing.T, alg string) string {
	t.Helper()
	key, err := b.keys.current(t.Context(), alg)
	if err != nil {
		t.Fatal(err)
	}
	return key.ID
}

func TestKeysAreReadOnceForAllWhoSignAtTheSameTime(t *testing.T) {
	first := newKeyBench(nil)
	first.mint(t, nil)
	reads, writes := first.store.reads, first.store.writes
	b := newKeyBench(first.store)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { b.mint(t, nil) })
	}
	wg.Wait()
	if b.store.reads != reads+1 || b.store.writes != writes {
		t.Errorf("%d reads and %d writes, want one read", b.store.reads-reads, b.store.writes-writes)
	}
}

func TestFirstKeyIsMadeOnceAndSignsAtOnce(t *testing.T) {
	b := newKeyBench(nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { b.lookup(t, b.mint(t, nil)) })
	}
	wg.Wait()
	if len(b.store.keys) != 1 || b.store.keys[0].Algorithm != algES256 {
		t.Errorf("%d keys", len(b.store.keys))
	}
}

func TestProcessesAgreeOnOneFirstKey(t *testing.T) {
	store := newKeyStore()
	benches := []*keyBench{newKeyBench(store), newKeyBench(store), newKeyBench(store), newKeyBench(store)}
	var wg sync.WaitGroup
	for _, b := range benches {
		wg.Go(func() { b.mint(t, nil) })
	}
	wg.Wait()
	if len(store.keys) != 1 {
		t.Errorf("%d keys, want 1", len(store.keys))
	}
	for _, from := range benches {
		for _, to := range benches {
			to.lookup(t, from.mint(t, nil))
		}
	}
}

func TestKeyThatCannotBeOpenedIsLeftOutLoggedOnceAndReplaced(t *testing.T) {
	before := newKeyBench(nil)
	raw := before.mint(t, nil)
	b := newKeyBench(before.store)
	b.cfg.Open = func(name string, sealed []byte) ([]byte, error) {
		if name == before.store.keys[0].ID {
			return nil, errors.New("no secret opens it")
		}
		return unsealKey(name, sealed)
	}
	b.lookup(t, b.mint(t, nil))
	b.Apply([]Change{{Kind: ChangedKeys}})
	b.lookup(t, b.mint(t, nil))
	wantLookup(t, b, raw, ErrForeign)
	if n := strings.Count(b.log.String(), "cannot be opened"); n != 1 || len(b.store.keys) != 2 {
		t.Errorf("%d lines in the log, %d keys:\n%s", n, len(b.store.keys), b.log)
	}
}

func TestKeyThatIsNotWhatItsNameSaysIsLeftOut(t *testing.T) {
	b := newKeyBench(nil)
	b.mint(t, nil)
	good := b.store.keys[0]
	plain, err := unsealKey(good.ID, good.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*SigningKey){
		"another name":      func(k *SigningKey) { k.ID = strings.Repeat("A", 43) },
		"another algorithm": func(k *SigningKey) { k.Algorithm = algRS256 },
		"no key":            func(k *SigningKey) { plain = []byte("text") },
	} {
		t.Run(name, func(t *testing.T) {
			row := good
			change(&row)
			row.Sealed, _ = sealKey(row.ID, plain)
			other := newKeyBench(nil)
			other.store.keys = []SigningKey{row}
			if set, err := other.keys.read(); err != nil || len(set.keys) != 0 || len(set.ids) != 1 {
				t.Errorf("%v, %+v", err, set)
			}
			if strings.Contains(other.log.String(), "text") && name == "no key" && strings.Contains(other.log.String(), "plain") {
				t.Errorf("the log shows some of the key: %s", other.log)
			}
		})
	}
}

// TestUnknownKeyIDMakesOneLookIntoTheStore has another process make new keys about
// which nobody was told.
func TestUnknownKeyIDMakesOneLookIntoTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newKeyBench(withRSA())
		b := newKeyBench(a.store)
		b.lookup(t, a.mint(t, nil))
		time.Sleep(keyRest)
		if err := a.RotateKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.lookup(t, a.mint(t, nil))
		reads := b.store.reads
		stranger := newKeyBench(nil)
		for range 20 {
			wantLookup(t, b, stranger.mint(t, nil), ErrForeign)
		}
		if n := b.store.reads - reads; n != 0 {
			t.Errorf("strangers made %d looks right after one", n)
		}
		time.Sleep(keyRest)
		for range 20 {
			wantLookup(t, b, stranger.mint(t, nil), ErrForeign)
		}
		if n := b.store.reads - reads; n != 1 {
			t.Errorf("strangers made %d looks, want 1", n)
		}
	})
}

func TestRotateKeysSignsWithNewKeysAtOnceAndOldTokensVerify(t *testing.T) {
	a := newKeyBench(withRSA())
	b := newKeyBench(a.store)
	old, oldID := a.mint(t, nil), a.idToken(t, algRS256, nil)
	b.lookup(t, old)
	was := []string{b.current(t, algES256), b.current(t, algRS256)}
	if err := a.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Apply([]Change{{Kind: ChangedKeys}})
	for _, p := range []*keyBench{a, b} {
		if slices.Contains(was, p.current(t, algES256)) || slices.Contains(was, p.current(t, algRS256)) {
			t.Error("an old key signs")
		}
		p.lookup(t, old)
		if _, err := p.verifyID(t.Context(), oldID); err != nil {
			t.Error(err)
		}
	}
	b.lookup(t, a.mint(t, func(c *accessClaims) { c.ID = "jti_new" }))
	states := map[string]int{}
	infos, err := b.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		states[info.State]++
	}
	if states[stateCurrent] != 2 || states[stateRetired] != 2 || len(infos) != 4 || slices.Contains(was, infos[0].ID) {
		t.Errorf("%+v", infos)
	}
}

func TestKeysThatWereReadServeWhileTheStoreIsDown(t *testing.T) {
	b := newKeyBench(withRSA())
	if _, err := b.JWKS(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.store.set(func() { b.store.err = errors.New("connection refused") })
	b.Lost()
	asked := b.store.reads
	for range 20 {
		b.mint(t, nil)
		if _, err := b.JWKS(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := b.store.reads - asked; n != 1 {
		t.Errorf("the store was asked %d times, want once in a while", n)
	}
	fresh := newKeyBench(b.store)
	if _, err := fresh.mintAccess(t.Context(), fresh.claims(nil)); !errors.Is(err, b.store.err) {
		t.Errorf("where none was read: %v", err)
	}
	if _, err := fresh.JWKS(t.Context()); !errors.Is(err, b.store.err) {
		t.Errorf("where none was read: %v", err)
	}
}

// TestRunReplacesKeysAndEverythingVerifiesForItsLife is three replicas of which two
// have clocks that are off, for 200 days.
func TestRunReplacesKeysAndEverythingVerifiesForItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := withRSA()
		var replicas []*keyBench
		for _, skew := range []time.Duration{0, -20 * time.Second, 20 * time.Second} {
			b := newKeyBench(store)
			b.now = func() time.Time { return time.Now().Add(skew) }
			b.rules.KeyLifetime = 30 * 24 * time.Hour
			replicas = append(replicas, b)
		}
		seen := map[string]bool{}
		for range 200 {
			for _, from := range replicas {
				if err := from.keys.upkeep(t.Context(), algES256); err != nil {
					t.Fatal(err)
				}
				raw := from.mint(t, func(c *accessClaims) { c.Expiry += 600 })
				seen[from.current(t, algES256)] = true
				for _, to := range replicas {
					to.lookup(t, raw)
				}
				from.Apply([]Change{{Kind: ChangedKeys}})
			}
			time.Sleep(24 * time.Hour)
		}
		if len(seen) != 7 {
			t.Errorf("%d keys signed in 200 days, want 7", len(seen))
		}
	})
}

func TestRunMakesKeysAtTheStartAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(withRSA())
		down := errors.New("connection refused")
		b.store.err = down
		stop := b.run(t)
		time.Sleep(time.Minute)
		if n := strings.Count(b.log.String(), "cannot be made or replaced"); n != 1 {
			t.Errorf("%d lines in the log, want 1:\n%s", n, b.log)
		}
		b.store.set(func() { b.store.err = nil })
		time.Sleep(2 * keyRest)
		stop()
		if len(b.store.keys) != 2 {
			t.Errorf("%d keys, want 2", len(b.store.keys))
		}
	})
}

func TestSigningKeysAreNeverLogged(t *testing.T) {
	b := newKeyBench(nil)
	b.cfg.Seal = func(string, []byte) ([]byte, error) { return nil, errors.New("no secret") }
	_, err := b.mintAccess(t.Context(), b.claims(nil))
	if err == nil || len(b.store.keys) != 0 || strings.Contains(err.Error()+b.log.String(), "PRIVATE") {
		t.Errorf("%v", err)
	}
}
