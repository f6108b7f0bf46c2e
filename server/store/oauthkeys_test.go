package store

import (
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

func newSigningKey(alg string, at time.Time) provider.SigningKey {
	return provider.SigningKey{ID: newID(alg), Algorithm: alg, Sealed: []byte{0, 1, 255}, CreatedAt: at, UseAt: at.Add(time.Hour)}
}

func signingIDs(all []provider.SigningKey) []string {
	var ids []string
	for _, k := range all {
		ids = append(ids, k.ID)
	}
	return ids
}

func TestSigningKeysAreReplacedByWhoKnowsThem(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		old := []provider.SigningKey{newSigningKey("ES256", start), newSigningKey("RS256", start.Add(time.Millisecond))}
		must(t, s.AddSigningKeys(t.Context(), nil, old, nil))
		got, err := s.SigningKeys(t.Context(), start)
		must(t, err)
		wantSame(t, "keys", got, old)

		at := start.Add(24 * time.Hour)
		next := newSigningKey("ES256", at)
		old[0].RetireAt = at.Add(time.Hour)
		for name, known := range map[string][]string{"none": nil, "one": signingIDs(old[:1]), "others": {"x", old[0].ID, old[1].ID}} {
			wantErr(t, name, s.AddSigningKeys(t.Context(), known, []provider.SigningKey{next}, old[:1]), provider.ErrConflict)
		}
		known := []string{old[1].ID, old[0].ID}
		must(t, s.AddSigningKeys(t.Context(), known, []provider.SigningKey{next}, old[:1]))
		got, err = s.SigningKeys(t.Context(), at)
		must(t, err)
		wantSame(t, "keys", got, append(old, next))
		wantSame(t, "changes", changes(t, s), []session.Change{{Kind: provider.ChangedKeys}, {Kind: provider.ChangedKeys}})

		later := old[0].RetireAt
		got, err = s.SigningKeys(t.Context(), later)
		must(t, err)
		wantSame(t, "without the retired one", got, []provider.SigningKey{old[1], next})
		// One that is retired, and was not removed yet, is not among the known.
		must(t, s.AddSigningKeys(t.Context(), signingIDs(got), []provider.SigningKey{newSigningKey("ES256", later)}, nil))
		n, err := s.SweepOAuth(t.Context(), later, time.Time{}, 100)
		must(t, err)
		wantSame(t, "removed", n, 1)
		wantSame(t, "kept", count(t, s, "oauth_signing_keys"), 3)
	})
}

// TestOfFiftyProcessesOneMakesKeys where none are yet.
func TestOfFiftyProcessesOneMakesKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		var won atomic.Int32
		together(50, func(i int) {
			switch err := stores[i%2].AddSigningKeys(t.Context(), nil, []provider.SigningKey{newSigningKey("ES256", start), newSigningKey("RS256", start)}, nil); err {
			case nil:
				won.Add(1)
			case provider.ErrConflict:
			default:
				t.Error(err)
			}
		})
		wantSame(t, "won", won.Load(), int32(1))
		wantSame(t, "keys", count(t, s, "oauth_signing_keys"), 2)
	})
}
