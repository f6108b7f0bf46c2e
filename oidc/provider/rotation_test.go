package provider

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A keyModel is the keys of one algorithm in a store, and what was ever signed.
type keyModel struct {
	t     *rapid.T
	now   time.Time
	rules rotation
	keys  []SigningKey
	made  int
	uses  map[string]time.Time // by key: when the last token that it signed ends
}

func (m *keyModel) do(s step) {
	for _, c := range s.changed {
		for i := range m.keys {
			if m.keys[i].ID == c.ID {
				m.keys[i].UseAt, m.keys[i].RetireAt = c.UseAt, c.RetireAt
			}
		}
	}
	if s.add {
		m.made++
		m.keys = append(m.keys, SigningKey{ID: fmt.Sprintf("key%04d", m.made), CreatedAt: m.now, UseAt: s.useAt, RetireAt: s.retireAt})
	}
}

// live returns the keys that are not retired.
func (m *keyModel) live() (list []SigningKey) {
	for _, k := range m.keys {
		if !k.retired(m.now) {
			list = append(list, k)
		}
	}
	return list
}

// tick is what a process does every few seconds: it sees after the keys, and signs.
func (m *keyModel) tick() {
	had := m.live()
	s := m.rules.next(had, m.now)
	if s.add && len(had) > 0 && s.useAt.Before(m.now.Add(m.rules.lead())) {
		m.t.Fatalf("a key that is not the first signs %v after it was published, want %v", s.useAt.Sub(m.now), m.rules.lead())
	}
	m.do(s)
	if again := m.rules.next(m.live(), m.now); !again.none() {
		m.t.Fatalf("there is more to do right after it was done: %+v", again)
	}
	m.sign()
}

// sign has every replica sign, each by its own clock.
func (m *keyModel) sign() {
	for _, skew := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
		live := m.live()
		at := currentKey(live, m.now.Add(skew))
		if at < 0 {
			m.t.Fatalf("%v after now no key signs", skew)
		}
		m.uses[live[at].ID] = m.now.Add(m.rules.tokens)
	}
}

// check is that what was signed verifies for as long as it lives, and that there are
// not many keys.
func (m *keyModel) check() {
	for _, k := range m.keys {
		if ends := m.uses[k.ID]; m.now.Before(ends) && k.retired(m.now) {
			m.t.Fatalf("%s is retired at %v, and what it signed lives until %v", k.ID, m.now, ends)
		}
	}
	m.keys = m.live() // what is retired stays that
	next := 0
	for _, k := range m.keys {
		if k.UseAt.After(m.now) {
			next++
		}
	}
	if next > 1 {
		m.t.Fatalf("%d keys come next", next)
	}
}

func TestRotationAlwaysHasOneKeyThatSignsAndWhatItSignedVerifies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lifetimes := rapid.SampledFrom([]time.Duration{time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour, 800 * 24 * time.Hour})
		m := &keyModel{
			t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), uses: map[string]time.Time{},
			rules: rotation{lifetime: lifetimes.Draw(t, "lifetime"), tokens: 10 * time.Minute},
		}
		m.tick()
		t.Repeat(map[string]func(*rapid.T){
			"a while":    func(t *rapid.T) { m.pass(time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "while"))) },
			"days":       func(t *rapid.T) { m.days(rapid.IntRange(1, 30).Draw(t, "days")) },
			"nobody ran": func(t *rapid.T) { m.pass(time.Duration(rapid.IntRange(1, 400).Draw(t, "days")) * 24 * time.Hour) },
			"at once":    func(*rapid.T) { m.do(m.rules.atOnce(m.live(), m.now)); m.isNewest(); m.sign() },
			"new rules":  func(t *rapid.T) { m.rules.lifetime = lifetimes.Draw(t, "lifetime"); m.tick() },
			"":           func(*rapid.T) { m.check() },
		})
	})
}

func (m *keyModel) pass(d time.Duration) {
	m.now = m.now.Add(d).Truncate(time.Millisecond)
	m.check()
	m.tick()
}

// days lets time pass while somebody is there all the time.
func (m *keyModel) days(n int) {
	for range 4 * n {
		m.pass(6 * time.Hour)
	}
}

// isNewest is that the key that was just made signs.
func (m *keyModel) isNewest() {
	live := m.live()
	if at := currentKey(live, m.now); live[at].ID != fmt.Sprintf("key%04d", m.made) {
		m.t.Fatalf("%s signs after new keys were made", live[at].ID)
	}
}

func TestRotationTimetable(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rotation{lifetime: 90 * day, tokens: 10 * time.Minute}
	m := &keyModel{now: start, rules: r}
	m.do(r.next(nil, start))
	first := m.keys[0]
	if !first.UseAt.Equal(start) || !first.RetireAt.Equal(start.Add(97*day+10*time.Minute)) {
		t.Fatalf("the first key signs at %v and is retired at %v", first.UseAt, first.RetireAt)
	}
	if s := r.next(m.keys, start.Add(89*day-time.Millisecond)); !s.none() {
		t.Errorf("more than a day before its end: %+v", s)
	}
	s := r.next(m.keys, start.Add(89*day))
	if !s.add || !s.useAt.Equal(start.Add(90*day)) || len(s.changed) != 0 {
		t.Errorf("a day before its end: %+v", s)
	}
	late := r.next(m.keys, start.Add(95*day))
	if !late.useAt.Equal(start.Add(96*day)) || len(late.changed) != 1 || !late.changed[0].RetireAt.Equal(start.Add(103*day+10*time.Minute)) {
		t.Errorf("where nobody was there in time: %+v", late)
	}
	if short := (rotation{lifetime: time.Hour}).lead(); short != 15*time.Minute {
		t.Errorf("a key that signs for an hour is published %v before", short)
	}
}

// TestRotationNeverRevivesAnExpiredKey has a store of keys that were retired.
func TestRotationNeverRevivesAnExpiredKey(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rotation{lifetime: time.Hour}
	gone := []SigningKey{{ID: "a", UseAt: now.Add(-time.Hour), RetireAt: now}}
	if currentKey(gone, now) != -1 {
		t.Error("a retired key signs")
	}
	if s := r.next(gone, now); !s.add || !s.useAt.Equal(now) || len(s.changed) != 0 {
		t.Errorf("next: %+v, want a key that signs at once", s)
	}
	if s := r.atOnce(gone, now); len(s.changed) != 0 {
		t.Errorf("at once: %+v changes a retired key", s)
	}
}

func TestKeyThatWasNextNeverSignsAfterAtOnce(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rotation{lifetime: 90 * 24 * time.Hour}
	m := &keyModel{now: now.Add(-90*24*time.Hour + time.Hour), rules: r}
	m.do(r.next(nil, m.now))
	m.now = now.Add(-time.Hour)
	m.do(r.next(m.keys, m.now))
	m.now = now
	m.do(r.atOnce(m.keys, now))
	for _, after := range []time.Duration{0, time.Hour, 48 * time.Hour} {
		if at := currentKey(m.keys, now.Add(after)); m.keys[at].ID != "key0003" {
			t.Errorf("%v later %s signs", after, m.keys[at].ID)
		}
	}
}

// TestKeyOfAClockThatIsAheadSigns has processes whose clocks are behind that of the
// one that made the first key: they make none of their own.
func TestKeyOfAClockThatIsAheadSigns(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rotation{lifetime: 90 * 24 * time.Hour}
	m := &keyModel{now: now, rules: r}
	m.do(r.next(nil, now))
	next := SigningKey{ID: "a", UseAt: now.Add(time.Hour), RetireAt: now.Add(time.Hour + r.lifetime)}
	keys := []SigningKey{next, m.keys[0]}
	before := now.Add(-30 * time.Second)
	if at := currentKey(keys, before); at != 1 {
		t.Errorf("%v signs", keys[max(at, 0)].ID)
	}
	if s := r.next(keys, before); !s.none() {
		t.Errorf("more is made: %+v", s)
	}
}
