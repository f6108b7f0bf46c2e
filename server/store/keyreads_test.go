package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

// TestByHashPrefersTheEarlierHash: what is hashed under the current secret comes
// before what was imported.
func TestByHashPrefersTheEarlierHash(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		a, b, c := addKey(t, s, newKey("sub:ann", start)), addKey(t, s, newKey("sub:ann", start)), addKey(t, s, newKey("sub:ann", start))
		for _, order := range [][]apikey.Record{{a, b, c}, {b, a, c}, {c, a, b}, {c}} {
			hashes := [][32]byte{newHash()}
			for _, r := range order {
				hashes = append(hashes, r.Hash)
			}
			got, err := s.ByHash(t.Context(), hashes)
			must(t, err)
			wantSame(t, "found", got.ID, order[0].ID)
		}
		for _, hashes := range [][][32]byte{nil, {newHash()}, {{}}} {
			_, err := s.ByHash(t.Context(), hashes)
			wantErr(t, "none", err, apikey.ErrNotFound)
		}
	})
}

// TestDisabledUsersKeysAreNotFound, and are again when the user may come back.
func TestDisabledUsersKeysAreNotFound(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := newKey("sub:ann", start)
		r.UserID = signIn(t, s, newRecord("ann", start)).UserID
		r = addKey(t, s, r)
		other := addKey(t, s, newKey("cli", start))
		orphan := newKey("sub:gone", start)
		orphan.UserID = "usr_none"
		orphan = addKey(t, s, orphan)
		found := func(want ...error) {
			t.Helper()
			for i, r := range []apikey.Record{r, other, orphan} {
				_, err := s.ByHash(t.Context(), [][32]byte{r.Hash})
				wantErr(t, fmt.Sprint("key ", i), err, want[i])
			}
		}
		found(nil, nil, apikey.ErrNotFound)
		must(t, s.SetDisabled(t.Context(), r.UserID, start))
		found(apikey.ErrNotFound, nil, apikey.ErrNotFound)
		_, err := s.Key(t.Context(), r.ID) // for administrators
		must(t, err)
		must(t, s.SetDisabled(t.Context(), r.UserID, time.Time{}))
		found(nil, nil, apikey.ErrNotFound)
	})
}

func TestKeyByPrefixFindsOnlyKeysThatCanBeUsed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for name, change := range map[string]func(*apikey.Record){
			"plain":   func(*apikey.Record) {},
			"endless": func(r *apikey.Record) { r.ExpiresAt = time.Time{} },
			"grace":   func(r *apikey.Record) { r.DeprecatedAt = start },
			"revoked": func(r *apikey.Record) { r.RevokedAt = start },
			"ending":  func(r *apikey.Record) { r.ExpiresAt = start.Add(time.Minute) },
		} {
			r := newKey("sub:ann", start)
			r.Prefix = name
			change(&r)
			addKey(t, s, r)
		}
		for at, want := range map[time.Duration]string{
			0: "plain endless grace ending", time.Minute - 1: "plain endless grace ending", time.Minute: "plain endless grace", 24 * time.Hour: "endless",
		} {
			var got []string
			for _, prefix := range []string{"plain", "endless", "grace", "revoked", "ending", "none", "PLAIN", "pla", "", "\x00"} {
				found, err := s.KeyByPrefix(t.Context(), prefix, start.Add(at))
				if err == nil && found.Prefix == prefix {
					got = append(got, prefix)
				} else {
					wantErr(t, prefix, err, apikey.ErrNotFound)
				}
			}
			wantSame(t, at.String(), strings.Join(got, " "), want)
		}
	})
}

func keyIDs(all []apikey.Record) []string {
	got := []string{}
	for _, r := range all {
		got = append(got, r.ID)
	}
	return got
}

// matches is the filter in plain words.
func (f KeyFilter) matches(r apikey.Record, now time.Time) bool {
	text := strings.ToLower(r.Name + "\n" + r.Description + "\x01" + r.Prefix + "\x01" + r.ID)
	return (f.Owner == r.Owner || f.Owner == "" && f.All) &&
		(f.Environment == "" || f.Environment == r.Environment) &&
		(f.Role == "" || f.Role == r.Role) &&
		(f.Status == "" || f.Status == r.Status(now)) &&
		strings.Contains(text, strings.ToLower(f.Search))
}

// TestKeysChoosesWhatTheFilterSays compares lists, page by page, with the filter
// in plain words.
func TestKeysChoosesWhatTheFilterSays(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var all []apikey.Record
		pick := func(i int, of ...string) string { return of[i%len(of)] }
		for i := range 120 {
			r := newKey(pick(i, "sub:ann", "sub:bob", "cli"), start.Add(time.Duration(i/4)*time.Second)) // some at the same time
			r.Name = pick(i/2, "CI", "ÄRGER 100%", "under_score", "bang!", "Ärger")
			r.Description = pick(i/3, "", "nightly builds", "Straße")
			r.Environment = apikey.Environment(pick(i/5, "live", "test"))
			r.Role = pick(i/7, "", "viewer")
			switch i % 6 {
			case 1:
				r.RevokedAt = start
			case 2:
				r.DeprecatedAt = start
			case 3:
				r.ExpiresAt = time.Time{}
			case 4:
				r.ExpiresAt = start.Add(time.Minute)
			case 5:
				r.DeprecatedAt, r.ExpiresAt = start, start.Add(time.Minute)
			}
			all = append(all, addKey(t, s, r))
		}
		slices.SortFunc(all, func(a, b apikey.Record) int {
			if n := b.CreatedAt.Compare(a.CreatedAt); n != 0 {
				return n
			}
			return strings.Compare(b.ID, a.ID)
		})
		rapid.Check(t, func(rt *rapid.T) {
			f := KeyFilter{
				Owner:       rapid.SampledFrom([]string{"", "sub:ann", "cli", "sub:eve"}).Draw(rt, "owner"),
				All:         rapid.Bool().Draw(rt, "all"),
				Environment: apikey.Environment(rapid.SampledFrom([]string{"", "live", "dev"}).Draw(rt, "environment")),
				Status:      apikey.Status(rapid.SampledFrom([]string{"", "active", "deprecated", "expired", "revoked", "other"}).Draw(rt, "status")),
				Role:        rapid.SampledFrom([]string{"", "", "viewer"}).Draw(rt, "role"),
				Search: rapid.SampledFrom([]string{
					"", "", "ci", "ärger", "ÄRGER", "%", "_", "!", "score", "100%", "Builds", "straße", "WAVE_LIVE", "key_", "\\", "x\x00", all[3].ID[5:9],
				}).Draw(rt, "search"),
			}
			now := start.Add(time.Duration(rapid.SampledFrom([]int{0, 59_999, 60_000, 100_000_000}).Draw(rt, "ms")) * time.Millisecond)
			want := []string{}
			for _, r := range all {
				if f.matches(r, now) {
					want = append(want, r.ID)
				}
			}
			limit := rapid.IntRange(15, 130).Draw(rt, "limit")
			got := []string{}
			for after := ""; ; {
				some, err := s.Keys(t.Context(), f, now, after, limit)
				must(t, err)
				got = append(got, keyIDs(some)...)
				if len(some) < limit {
					break
				}
				after = got[len(got)-1]
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("%+v: %d keys, want %d", f, len(got), len(want))
			}
		})
		got, err := s.Keys(t.Context(), KeyFilter{All: true}, start, "key_none", 10)
		wantSame(t, "after none", fmt.Sprint(got, err), "[] <nil>")
		got, err = s.Keys(t.Context(), KeyFilter{All: true, Search: strings.Repeat("x", 100_000)}, start, "", 10)
		wantSame(t, "a long search", fmt.Sprint(got, err), "[] <nil>")
		one, err := s.Keys(t.Context(), KeyFilter{All: true}, start, "", 1)
		must(t, err)
		wantSame(t, "the same record", one[0], all[0])
	})
}
