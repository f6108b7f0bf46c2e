package provider

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/keychain/lookup"
)

func TestLookupsOfOneTokenShareOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		b.store.answering = func(context.Context, string) { time.Sleep(time.Second) }
		raw := b.mint(t, nil)
		var wg sync.WaitGroup
		var seen sync.Map
		for range 30 {
			wg.Go(func() { seen.Store(b.lookup(t, raw), true) })
		}
		wg.Wait()
		count := 0
		seen.Range(func(any, any) bool { count++; return true })
		if n := b.store.questions(b.claims(nil).ID); n != 1 || count != 1 {
			t.Errorf("the store was asked %d times, and there are %d tokens", n, count)
		}
	})
}

func TestLooksAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		var now, most atomic.Int64
		b.store.answering = func(context.Context, string) {
			raise(&most, now.Add(1))
			time.Sleep(time.Second)
			now.Add(-1)
		}
		var wg sync.WaitGroup
		for _, raw := range b.mintMany(t, "many", 3*tokenLookups) {
			wg.Go(func() { b.lookup(t, raw) })
		}
		wg.Wait()
		if most.Load() != tokenLookups {
			t.Errorf("%d looks at once, want %d", most.Load(), tokenLookups)
		}
	})
}

func TestWhoeverLeavesDoesNotTakeTheLookAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		raw := b.mint(t, nil)
		b.store.answering = func(context.Context, string) { time.Sleep(time.Second) }
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, gone)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := b.Lookup(ctx, raw); !errors.Is(err, gone) {
				t.Errorf("who left: %v", err)
			}
		})
		wg.Go(func() { b.lookup(t, raw) })
		wg.Wait()
		if n := b.store.questions(b.claims(nil).ID); n != 1 {
			t.Errorf("the store was asked %d times", n)
		}
	})
}

func TestStoreThatPanicsIsUnavailable(t *testing.T) {
	b := newKeyBench(nil)
	raw := b.mint(t, nil)
	b.store.answering = func(context.Context, string) { panic("s3cret") }
	wantLookup(t, b, raw, lookup.ErrPanicked)
	b.store.answering = nil
	b.lookup(t, raw)
}

// TestRevocationDuringALookIsSeen has a token revoked, or what is behind it, after the
// store has read it and before the memory has it.
func TestRevocationDuringALookIsSeen(t *testing.T) {
	jti := newKeyBench(nil).claims(nil).ID
	for _, change := range []Change{{ChangedToken, jti}, {ChangedGrant, "grt_a"}, {ChangedClient, "client_a"}, {ChangedUser, "usr_ann"}} {
		t.Run(change.Kind, func(t *testing.T) {
			b := newKeyBench(nil)
			b.store.states[jti] = TokenState{UserID: "usr_ann"}
			var once sync.Once
			b.store.answering = func(context.Context, string) {
				once.Do(func() {
					b.store.set(func() { b.store.states[jti] = TokenState{Revoked: true, UserID: "usr_ann"} })
					b.Apply([]Change{change})
				})
			}
			raw := b.mint(t, nil)
			wantLookup(t, b, raw, ErrInvalid)
			if n := b.store.questions(jti); n != 2 {
				t.Errorf("the store was asked %d times, want twice", n)
			}
			wantLookup(t, b, raw, ErrInvalid)
		})
	}
}

func TestRevokedTokenCostsTheStoreLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		jti := b.claims(nil).ID
		raw := b.mint(t, nil)
		b.store.states[jti] = TokenState{Revoked: true}
		for range 20 {
			wantLookup(t, b, raw, ErrInvalid)
		}
		if n := b.store.questions(jti); n != 1 {
			t.Errorf("the store was asked %d times, want once", n)
		}
		b.store.set(func() { b.store.states[jti] = TokenState{} })
		b.Apply([]Change{{ChangedUser, "usr_ann"}}) // is enabled again
		b.lookup(t, raw)
	})
}

// TestRevocationRacingLookupsNeverLeavesATokenBelieved revokes a token and lets it
// stand again, over and over, while others look it up, and asks after each change.
func TestRevocationRacingLookupsNeverLeavesATokenBelieved(t *testing.T) {
	b := newKeyBench(nil)
	b.tokens.most = 3
	raw, jti := b.mint(t, nil), b.claims(nil).ID
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var looked atomic.Int64
	for i := range 4 {
		others := b.mintMany(t, fmt.Sprint(i, "_"), 5)
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if token, err := b.Lookup(context.Background(), raw); err == nil && n%2 == i%2 {
					token.Hold()
					token.Release()
				}
				_, _ = b.Lookup(context.Background(), others[n%5])
				looked.Add(1)
			}
		})
	}
	kinds := []Change{{ChangedToken, jti}, {ChangedGrant, "grt_a"}, {ChangedClient, "client_a"}, {ChangedUser, "usr_ann"}}
	for n := range 200 {
		revoked := n%2 == 0
		b.store.set(func() { b.store.states[jti] = TokenState{Revoked: revoked, UserID: "usr_ann"} })
		b.Apply(kinds[n/2%4 : n/2%4+1])
		if _, err := b.Lookup(t.Context(), raw); errors.Is(err, ErrInvalid) != revoked {
			t.Fatalf("change %d: revoked is %v, and the token says %v", n, revoked, err)
		}
		for seen := looked.Load(); n%10 == 0 && looked.Load() < seen+4; {
			runtime.Gosched()
		}
	}
	cancel()
	wg.Wait()
}
