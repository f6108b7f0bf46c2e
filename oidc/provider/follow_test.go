package provider

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestChangesEndWhatTheySayAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		change  Change
		revoked bool // the store says so afterwards
		ends    bool
		asked   bool // the store, about the one that is held
	}{
		{Change{ChangedToken, "jti_a"}, true, true, false},
		{Change{ChangedToken, "jti_other"}, false, false, false},
		{Change{ChangedGrant, "grt_a"}, true, true, false},
		{Change{ChangedGrant, "grt_other"}, false, false, false},
		{Change{ChangedGrant, ""}, false, false, false},
		{Change{ChangedClient, "client_a"}, true, true, true},
		{Change{ChangedClient, "client_a"}, false, false, true}, // another name
		{Change{ChangedClient, "client_other"}, false, false, false},
		{Change{ChangedUser, "usr_ann"}, true, true, true},
		{Change{ChangedUser, "usr_ann"}, false, false, true},
		{Change{ChangedUser, "usr_bob"}, false, false, false},
		{Change{ChangedKeys, ""}, false, false, false},
		{Change{"session", "jti_a"}, false, false, false},
	} {
		t.Run(strings.Join([]string{tt.change.Kind, tt.change.Key}, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newKeyBench(nil)
				state := TokenState{UserID: "usr_ann"}
				b.store.states["jti_a"] = state
				raw := b.mint(t, func(c *accessClaims) { c.ID = "jti_a" })
				token := b.lookup(t, raw)
				token.Hold()
				asked := b.store.questions("jti_a")
				state.Revoked = tt.revoked
				b.store.set(func() { b.store.states["jti_a"] = state })
				b.Apply([]Change{tt.change})
				synctest.Wait()
				if isOver(token) != tt.ends || (b.store.questions("jti_a") > asked) != tt.asked {
					t.Errorf("ended: %v, want %v; asked: %v, want %v", isOver(token), tt.ends, b.store.questions("jti_a") > asked, tt.asked)
				}
				var want error
				if tt.revoked {
					want = ErrInvalid
				}
				wantLookup(t, b, raw, want)
			})
		})
	}
}

func TestWhatWasMadeOfATokenIsMadeAnewOnceItsClientOrPersonChanged(t *testing.T) {
	for _, tt := range []struct {
		change func(*keyBench)
		anew   bool
	}{
		{func(b *keyBench) { b.Apply([]Change{{ChangedClient, "client_a"}}) }, true},
		{func(b *keyBench) { b.Apply([]Change{{ChangedUser, "usr_ann"}}) }, true},
		{func(b *keyBench) { b.Lost() }, true},
		{func(b *keyBench) {
			b.Apply([]Change{{ChangedClient, "client_b"}, {ChangedUser, "usr_bob"}, {ChangedToken, "jti_b"}})
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newKeyBench(nil)
			b.store.states["jti_a"] = TokenState{UserID: "usr_ann"}
			raw := b.mint(t, func(c *accessClaims) { c.ID = "jti_a" })
			made := 0
			value := func() any { return b.lookup(t, raw).Value("policy", func(*AccessToken) any { made++; return made }) }
			first, again := value(), value()
			tt.change(b)
			if got := value(); first != again || (got != first) != tt.anew {
				t.Errorf("%v, %v, and after the change %v", first, again, got)
			}
		})
	}
}

// TestAClientsOwnTokenIsNobodysGrant has changes with an empty key, which a client's
// own token has as its grant.
func TestAClientsOwnTokenIsNobodysGrant(t *testing.T) {
	b := newKeyBench(nil)
	token := b.hold(t, func(c *accessClaims) { c.GrantID = "" })
	b.Apply([]Change{{ChangedGrant, ""}, {ChangedUser, ""}, {ChangedToken, ""}})
	if isOver(token) {
		t.Error("it has ended")
	}
}

func TestRevokedTokenIsDeadForTheNextRequestThoughNobodyHoldsIt(t *testing.T) {
	b := newKeyBench(nil)
	raw := b.mint(t, nil)
	b.lookup(t, raw)
	b.store.set(func() { b.store.states[b.claims(nil).ID] = TokenState{Revoked: true} })
	b.Apply([]Change{{ChangedUser, ""}, {ChangedClient, "client_a"}})
	wantLookup(t, b, raw, ErrInvalid)
}

func TestWhatIsRememberedIsBelievedForTwoMinutesAfterTheStoreWasFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		raw, jti := b.mint(t, func(c *accessClaims) { c.Expiry += 3600 }), b.claims(nil).ID
		b.lookup(t, raw)
		for range 10 {
			time.Sleep(time.Minute)
			b.Alive(time.Now())
			b.Alive(time.Now().Add(-time.Hour)) // older news changes nothing
			b.lookup(t, raw)
		}
		down := errors.New("connection refused")
		b.store.set(func() { b.store.err = down })
		time.Sleep(staleAfter)
		b.lookup(t, raw)
		time.Sleep(time.Millisecond)
		wantLookup(t, b, raw, down)
		if n := b.store.questions(jti); n != 2 {
			t.Errorf("the store was asked %d times, want twice", n)
		}
		b.store.set(func() { b.store.err = nil })
		b.lookup(t, raw)
	})
}

func TestNothingIsBelievedAfterChangesMayHaveBeenMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(nil)
		held := b.hold(t, func(c *accessClaims) { c.ID = "jti_held" })
		stays := b.hold(t, func(c *accessClaims) { c.ID = "jti_stays" })
		raw := b.mint(t, nil)
		b.lookup(t, raw)
		b.store.set(func() {
			b.store.states["jti_held"] = TokenState{Revoked: true}
			b.store.states[b.claims(nil).ID] = TokenState{Revoked: true}
		})
		b.Lost()
		synctest.Wait()
		if !isOver(held) || isOver(stays) {
			t.Errorf("the revoked one has ended: %v; the other: %v", isOver(held), isOver(stays))
		}
		wantLookup(t, b, raw, ErrInvalid)
		if n := b.store.questions("jti_stays"); n != 2 {
			t.Errorf("the store was asked %d times about a token that is held, want twice", n)
		}
	})
}

// TestDoubtThatTheStoreDoesNotAnswerEndsInTime has the store down while a token that
// somebody holds is in doubt.
func TestDoubtThatTheStoreDoesNotAnswerEndsInTime(t *testing.T) {
	for name, back := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newKeyBench(withRSA())
				stop := b.run(t)
				defer stop()
				time.Sleep(time.Second)
				token := b.hold(t, nil)
				b.store.set(func() { b.store.err = errors.New("connection refused") })
				b.Apply([]Change{{ChangedClient, "client_a"}})
				time.Sleep(staleAfter - time.Second)
				if isOver(token) {
					t.Error("it has ended, though the store may come back")
				}
				if n := b.store.questions(token.ID); n < 60 || n > 300 {
					t.Errorf("the store was asked %d times in %v", n, staleAfter)
				}
				if back {
					b.store.set(func() { b.store.err = nil })
				}
				time.Sleep(5 * time.Second)
				if isOver(token) == back || strings.Contains(b.log.String(), "its requests are ended") == back {
					t.Errorf("ended: %v\n%s", isOver(token), b.log)
				}
			})
		})
	}
}

func TestNothingGoesOnAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newKeyBench(withRSA())
		var under atomic.Int64
		slowly := func() {
			under.Add(1)
			time.Sleep(time.Second)
			under.Add(-1)
		}
		stop := b.run(t)
		token := b.hold(t, nil)
		b.store.set(func() { b.store.answering = func(context.Context, string) { slowly() } })
		b.cfg.Open = func(name string, sealed []byte) ([]byte, error) { slowly(); return unsealKey(name, sealed) }
		b.Apply([]Change{{ChangedClient, "client_a"}})
		b.keys.present.Store(nil)
		wait, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := b.JWKS(wait); err == nil || under.Load() != 2 {
			t.Fatalf("%v, %d under way", err, under.Load())
		}
		stop()
		if n := under.Load(); n != 0 {
			t.Errorf("%d look-ups go on", n)
		}
		token.Release()
		b.lookup(t, b.mint(t, func(c *accessClaims) { c.ID = "jti_late" })) // without a goroutine
	})
}
