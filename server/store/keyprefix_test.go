package store

import (
	"errors"
	"testing"
	"time"

	"wavegate/keychain/apikey"
)

func TestKeyByPrefixFindsTheNewestThatWorks(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		add := func(prefix string, created time.Time, change func(*apikey.Record)) string {
			r := newKey("sub:ann", created)
			r.Prefix = prefix
			change(&r)
			return addKey(t, s, r).ID
		}
		add("twice", start, func(r *apikey.Record) {})
		newest := add("twice", start.Add(time.Second), func(r *apikey.Record) {})
		add("twice", start.Add(2*time.Second), func(r *apikey.Record) { r.RevokedAt = start })
		add("over", start, func(r *apikey.Record) { r.ExpiresAt = start.Add(time.Minute) })
		now := start.Add(time.Minute)
		got, err := s.KeyByPrefix(t.Context(), "twice", now)
		must(t, err)
		wantSame(t, "key", got.ID, newest)
		for _, prefix := range []string{"over", "none", "twic", "", "\x00"} {
			if _, err := s.KeyByPrefix(t.Context(), prefix, now); !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("%q: %v", prefix, err)
			}
		}
	})
}
