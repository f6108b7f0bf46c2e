package provider

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func (b *keyBench) hold(t testing.TB, change func(*accessClaims)) *AccessToken {
	t.Helper()
	token := b.lookup(t, b.mint(t, change))
	token.Hold()
	return token
}

func isOver(t *AccessToken) bool { return t.Ended().Err() != nil }

func TestThereIsOneAccessTokenForAllWhoUseIt(t *testing.T) {
	b := newKeyBench(nil)
	raw := b.mint(t, nil)
	first := b.lookup(t, raw)
	if b.lookup(t, raw) != first || b.lookup(t, strings.Clone(raw)) != first {
		t.Error("another one")
	}
}

func TestValueIsMadeOnceForEachThing(t *testing.T) {
	b := newKeyBench(nil)
	token := b.lookup(t, b.mint(t, nil))
	old, young := &Rules{}, &Rules{SignIn: true}
	var made atomic.Int64
	value := func(under *Rules) any {
		return token.Value(under, func(t *AccessToken) any {
			made.Add(1)
			return []any{under, t.ID}[0]
		})
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { value(old) })
	}
	wg.Wait()
	if value(old) != any(old) || made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	for range 2 {
		if value(young) != any(young) || made.Load() != 2 {
			t.Errorf("made %d times for two things", made.Load())
		}
	}
	for range 2 {
		if token.Value(3, func(*AccessToken) any { made.Add(1); return nil }) != nil {
			t.Error("something of nothing")
		}
	}
	if made.Load() != 4 {
		t.Errorf("nil was kept")
	}
}

func TestEndUnlessEndsWhatDoesNotStand(t *testing.T) {
	b := newKeyBench(nil)
	goes, stays := b.hold(t, func(c *accessClaims) { c.ID, c.Scope = "jti_a", "streams:read" }), b.hold(t, func(c *accessClaims) { c.ID = "jti_b" })
	idle := b.lookup(t, b.mint(t, func(c *accessClaims) { c.ID, c.Scope = "jti_c", "" }))
	b.EndUnless(func(t *AccessToken) bool { return slices.Contains(t.Scopes, "streams:write") })
	if !isOver(goes) || !isOver(idle) || isOver(stays) {
		t.Errorf("ended: %v, %v, want both; %v, want not", isOver(goes), isOver(idle), isOver(stays))
	}
	again := b.lookup(t, b.mint(t, func(c *accessClaims) { c.ID, c.Scope = "jti_a", "streams:read" }))
	if again == goes || isOver(again) {
		t.Error("who comes next gets what has ended")
	}
}
