package provider

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func (b *keyBench) mintMany(t testing.TB, name string, n int) []string {
	t.Helper()
	raws := make([]string, n)
	for i := range raws {
		raws[i] = b.mint(t, func(c *accessClaims) { c.ID = fmt.Sprint("jti_", name, i) })
	}
	return raws
}

func TestMemoryIsBoundedAndKeepsWhatIsHeld(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 10
	var held []*AccessToken
	for _, raw := range b.mintMany(t, "held", 5) {
		token := b.lookup(t, raw)
		token.Hold()
		held = append(held, token)
	}
	for _, raw := range b.mintMany(t, "other", 50) {
		b.lookup(t, raw)
		if n := len(b.tokens.all()); n > 10 {
			t.Fatalf("%d tokens are remembered", n)
		}
	}
	b.Apply([]Change{{ChangedGrant, "grt_a"}})
	for _, token := range held {
		if !isOver(token) {
			t.Errorf("%s is held and does not hear of its end", token.ID)
		}
	}
}

func TestTokensThatAreHeldMayBeMoreThanTheBound(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 3
	for _, raw := range b.mintMany(t, "held", 9) {
		b.lookup(t, raw).Hold()
	}
	if n := len(b.tokens.all()); n != 9 {
		t.Errorf("%d are remembered, want 9", n)
	}
}

func TestNewestTokenIsNotLetGo(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 1
	b.hold(t, nil)
	raw := b.mintMany(t, "other", 1)[0]
	first := b.lookup(t, raw)
	if b.lookup(t, raw) != first {
		t.Error("it was let go before anybody could hold it")
	}
}

func TestUsedTokensOutliveThoseUsedOnce(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 10
	raw := b.mint(t, nil)
	first := b.lookup(t, raw)
	for _, other := range b.mintMany(t, "other", 50) {
		if b.lookup(t, raw) != first {
			t.Fatal("it was let go")
		}
		b.lookup(t, other)
	}
}

// TestHoldOfATokenThatWasLetGoHearsOfItsEnd has somebody look a token up, and hold it
// after the memory let it go.
func TestHoldOfATokenThatWasLetGoHearsOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		b.tokens.most = 3
		token := b.lookup(t, b.mint(t, nil))
		for _, other := range b.mintMany(t, "other", 9) {
			b.lookup(t, other)
		}
		b.store.set(func() { b.store.states[token.ID] = TokenState{Revoked: true} })
		token.Hold()
		synctest.Wait()
		if !isOver(token) {
			t.Error("it was revoked while nobody knew it, and goes on")
		}
	})
}

func TestHoldOfATokenWhosePlaceIsTakenEndsIt(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 3
	raw := b.mint(t, nil)
	token := b.lookup(t, raw)
	for _, other := range b.mintMany(t, "other", 9) {
		b.lookup(t, other)
	}
	second := b.lookup(t, raw)
	token.Hold()
	second.Hold()
	if token == second || !isOver(token) || isOver(second) {
		t.Errorf("the same: %v, ended: %v and %v", token == second, isOver(token), isOver(second))
	}
}

func TestExpiryEndsThoseWhoHoldTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(withRSA())
		stop := b.run(t)
		short := func(c *accessClaims) { c.Expiry = c.IssuedAt + 60 }
		raw := b.mint(t, short)
		token := b.hold(t, short)
		b.lookup(t, raw)
		long := b.hold(t, func(c *accessClaims) { c.ID = "jti_long" })
		time.Sleep(59 * time.Second)
		if isOver(token) {
			t.Error("it has ended before its time")
		}
		time.Sleep(2 * time.Second)
		if !isOver(token) || isOver(long) {
			t.Errorf("ended: %v, another one: %v", isOver(token), isOver(long))
		}
		wantLookup(t, b, raw, ErrExpired)
		if n := len(b.tokens.all()); n != 1 {
			t.Errorf("%d are remembered, want 1", n)
		}
		stop()
	})
}

func TestExpiredTokenIsRefusedBeforeAnybodySwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		raw := b.mint(t, func(c *accessClaims) { c.Expiry = c.IssuedAt + 60 })
		b.lookup(t, raw)
		time.Sleep(time.Minute)
		wantLookup(t, b, raw, ErrExpired)
	})
}

func TestMemoryUnderManyHands(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 8
	raws := b.mintMany(t, "many", 24)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 300 {
				token := b.lookup(t, raws[(n*7+i*5)%len(raws)])
				token.Hold()
				token.Value(b, func(*AccessToken) any { return n })
				token.Release()
				switch n % 50 {
				case 10:
					b.Apply([]Change{{ChangedGrant, "grt_a"}})
				case 20:
					b.Apply([]Change{{ChangedClient, "client_a"}})
				case 30:
					b.Lost()
				case 40:
					b.watch()
				}
			}
		})
	}
	wg.Wait()
	m := b.tokens
	m.mu.Lock()
	defer m.mu.Unlock()
	known := 0
	for i := range m.shards {
		known += len(m.shards[i].known)
	}
	if known != len(m.ring) || len(m.ring) != m.expiries.Len() || known > m.most {
		t.Errorf("%d in the table, %d in the ring, %d that expire", known, len(m.ring), m.expiries.Len())
	}
	if strings.Contains(b.log.String(), "panic") {
		t.Error(b.log)
	}
}
