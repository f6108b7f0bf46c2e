package store

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wavegate/keychain/apikey"
)

func networks(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestTouchKeysMovesForwardOnly(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		a, b := addKey(t, s, newKey("sub:ann", start)), addKey(t, s, newKey("sub:ann", start))
		run(t, s, "DELETE FROM changes")
		at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }
		touch := func(touches ...apikey.Touch) {
			t.Helper()
			must(t, s.TouchKeys(t.Context(), touches))
		}
		touch()
		touch(apikey.Touch{ID: a.ID, UsedAt: at(5), Networks: networks("192.0.2.0/24")}, apikey.Touch{ID: b.ID, UsedAt: at(1)},
			apikey.Touch{ID: a.ID, UsedAt: at(9), Networks: networks("2001:db8::/48", "192.0.2.0/24")}, apikey.Touch{ID: a.ID, UsedAt: at(7)},
			apikey.Touch{ID: "key_none", UsedAt: at(1), Networks: networks("192.0.2.0/24")}, apikey.Touch{ID: "\x00", UsedAt: at(1), Networks: networks("192.0.2.0/24")})
		touch(apikey.Touch{ID: a.ID, UsedAt: at(3), Networks: networks("198.51.100.0/24")}, apikey.Touch{ID: b.ID, UsedAt: at(2), Networks: []netip.Prefix{{}}})
		a.LastUsedAt, a.Networks = at(9), networks("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/48")
		b.LastUsedAt = at(2)
		for _, want := range []apikey.Record{a, b} {
			got, err := s.ByHash(t.Context(), [][32]byte{want.Hash})
			must(t, err)
			wantSame(t, "touched", got, want)
		}
		if n := len(changes(t, s)); n != 0 {
			t.Errorf("%d changes: a use is none", n)
		}
	})
}

// TestKeyRemembersBoundedNetworks from many processes at once.
func TestKeyRemembersBoundedNetworks(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		a, b := addKey(t, s, newKey("sub:ann", start)), addKey(t, s, newKey("sub:ann", start))
		together(10, func(i int) {
			var all []netip.Prefix
			for j := range 20 {
				all = append(all, netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", i, j)))
			}
			touches := []apikey.Touch{{ID: a.ID, UsedAt: start, Networks: all}, {ID: b.ID, UsedAt: start.Add(time.Duration(i)), Networks: all}}
			if err := stores[i%2].TouchKeys(t.Context(), touches); err != nil {
				t.Error(err)
			}
		})
		for _, r := range []apikey.Record{a, b} {
			got, err := s.Key(t.Context(), r.ID)
			must(t, err)
			wantSame(t, "networks", len(got.Networks), apikey.MaxNetworks)
		}
	})
}

func TestExpiryIsToldOncePerStage(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		add := func(after time.Duration, change func(*apikey.Record)) apikey.Record {
			r := newKey("sub:ann", start)
			r.ExpiresAt = start.Add(after)
			if change != nil {
				change(&r)
			}
			return addKey(t, s, r)
		}
		late, soon := add(2*time.Hour, nil), add(time.Hour, nil)
		add(time.Hour, func(r *apikey.Record) { r.RevokedAt = start })
		add(time.Hour, func(r *apikey.Record) { r.ExpiresAt = time.Time{} })
		add(24*time.Hour, nil)
		expiring := func(before time.Duration, stage, limit int, want ...apikey.Record) {
			t.Helper()
			got, err := s.ExpiringKeys(t.Context(), start.Add(before), stage, limit)
			must(t, err)
			wantSame(t, fmt.Sprint("before ", before, " stage ", stage), keyIDs(got), keyIDs(want))
		}
		expiring(3*time.Hour, 1, 10, soon, late)
		expiring(3*time.Hour, 1, 1, soon)
		expiring(time.Hour, 1, 10)
		expiring(time.Hour+1, 2, 10, soon)

		told := make([]bool, 10)
		together(10, func(i int) {
			var err error
			if told[i], err = stores[i%2].TellExpiry(t.Context(), soon.ID, 1, noted("key.expiring", soon.ID)); err != nil {
				t.Error(err)
			}
		})
		n := 0
		for _, is := range told {
			if is {
				n++
			}
		}
		wantSame(t, "told by, audit", []int{n, count(t, s, "audit_log")}, []int{1, 1})
		expiring(3*time.Hour, 1, 10, late)
		expiring(3*time.Hour, 2, 10, soon, late)
		is, err := s.TellExpiry(t.Context(), soon.ID, 2, Journal{})
		wantSame(t, "second stage", fmt.Sprint(is, err), "true <nil>")
		is, err = s.TellExpiry(t.Context(), soon.ID, 1, noted("key.expiring", soon.ID))
		wantSame(t, "first stage after the second", fmt.Sprint(is, err), "false <nil>")
		is, err = s.TellExpiry(t.Context(), "key_none", 1, noted("key.expiring", soon.ID))
		wantSame(t, "of none", fmt.Sprint(is, err), "false <nil>")
		expiring(3*time.Hour, 2, 10, late)

		soon.Name = "another"
		soon, err = s.ChangeKey(t.Context(), soon, Journal{})
		must(t, err)
		expiring(3*time.Hour, 2, 10, late)
		soon.ExpiresAt = soon.ExpiresAt.Add(time.Minute) // another end is told of again
		_, err = s.ChangeKey(t.Context(), soon, Journal{})
		must(t, err)
		expiring(3*time.Hour, 1, 10, soon, late)
		wantSame(t, "audit", count(t, s, "audit_log"), 1)
	})
}
