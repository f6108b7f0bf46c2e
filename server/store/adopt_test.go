package store

import (
	"slices"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
)

func TestAdoptedKeysEndWithTheirUserAndNoOthersDo(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		user := signIn(t, s, newRecord("ann", start)).UserID
		run(t, s, "DELETE FROM changes")
		early, other, claimed := newKey("sub:ann", start), newKey("sub:bob", start), newKey("sub:ann", start)
		claimed.UserID = "usr_somebody"
		for _, r := range []apikey.Record{early, other, claimed} {
			addKey(t, s, r)
		}
		ids, err := s.AdoptKeys(t.Context(), "sub:ann", user)
		must(t, err)
		wantSame(t, "adopted", ids, []string{early.ID})
		for id, want := range map[string]string{early.ID: user, other.ID: "", claimed.ID: "usr_somebody"} {
			got, err := s.Key(t.Context(), id)
			must(t, err)
			if got.UserID != want {
				t.Errorf("the key of %s has the user %q, want %q", got.Owner, got.UserID, want)
			}
		}
		must(t, s.SetDisabled(t.Context(), user, time.Now()))
		if _, err := s.ByHash(t.Context(), [][32]byte{early.Hash}); err != apikey.ErrNotFound {
			t.Errorf("a key that was adopted is found: %v", err)
		}
		if _, err := s.ByHash(t.Context(), [][32]byte{other.Hash}); err != nil {
			t.Errorf("somebody else's key: %v", err)
		}
		told := changes(t, s)
		for _, want := range []session.Change{ofKey(early.ID), {Kind: session.ChangedUser, Key: user}} {
			if !slices.Contains(told, want) {
				t.Errorf("nobody is told of %v: %v", want, told)
			}
		}
	})
}
