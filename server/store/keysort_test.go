package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

// inOrder compares two keys as a filter sorts them, in plain words.
func (f KeyFilter) inOrder(a, b apikey.Record) int {
	last := func(t time.Time) int { return map[bool]int{true: 1}[t.IsZero()] }
	way := -1
	if f.Ascending {
		way = 1
	}
	n := 0
	switch f.Sort {
	case ByCreation:
		n = a.CreatedAt.Compare(b.CreatedAt)
	case ByName:
		n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	case ByLastUse:
		if n := last(a.LastUsedAt) - last(b.LastUsedAt); n != 0 {
			return n
		}
		n = a.LastUsedAt.Compare(b.LastUsedAt)
	case ByExpiry:
		if n := last(a.ExpiresAt) - last(b.ExpiresAt); n != 0 {
			return n
		}
		n = a.ExpiresAt.Compare(b.ExpiresAt)
	}
	return way * cmp.Or(n, strings.Compare(a.ID, b.ID))
}

// everySort are all orders of lists.
func everySort() []KeyFilter {
	var all []KeyFilter
	for _, sort := range []KeySort{ByCreation, ByName, ByLastUse, ByExpiry} {
		for _, ascending := range []bool{false, true} {
			all = append(all, KeyFilter{All: true, Sort: sort, Ascending: ascending})
		}
	}
	return all
}

// TestEverySortFindsEachKeyOnce pages through random keys, many of which have the
// same name or time, and both databases must agree with Go on the order.
func TestEverySortFindsEachKeyOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		names := []string{"ci", "CI", "Ärger", "ärger", "zoo", "a b", "a", "a-b", "A_B", "Zürich", "😀", "ß", "_", "~", "100%", "İstanbul"}
		rapid.Check(t, func(rt *rapid.T) {
			run(t, s, "DELETE FROM api_keys")
			var all []apikey.Record
			at := func(label string) time.Time {
				if n := rapid.IntRange(0, 6).Draw(rt, label); n > 0 {
					return start.Add(time.Duration(n) * time.Millisecond)
				}
				return time.Time{}
			}
			for range rapid.IntRange(0, 25).Draw(rt, "keys") {
				r := newKey(rapid.SampledFrom([]string{"sub:ann", "sub:bob"}).Draw(rt, "owner"), start.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "created"))*time.Millisecond))
				r.Name = rapid.SampledFrom(names).Draw(rt, "name")
				r.Description = rapid.SampledFrom([]string{"", "a", "z\nz"}).Draw(rt, "description")
				r.ExpiresAt, r.LastUsedAt = at("expires"), at("used")
				all = append(all, r)
			}
			_, err := s.ImportKeys(t.Context(), all, Journal{})
			must(t, err)
			f := rapid.SampledFrom(everySort()).Draw(rt, "sort")
			f.Owner = rapid.SampledFrom([]string{"", "sub:ann"}).Draw(rt, "of")
			want := slices.DeleteFunc(slices.Clone(all), func(r apikey.Record) bool { return !f.matches(r, start) })
			slices.SortFunc(want, f.inOrder)
			if got := paged(t, s, f, rapid.IntRange(1, 10).Draw(rt, "page")); !slices.Equal(got, keyIDs(want)) {
				rt.Fatalf("%+v: %v, want %v", f, got, keyIDs(want))
			}
		})
	})
}

// paged lists keys page by page.
func paged(t testing.TB, s *Store, f KeyFilter, page int) []string {
	t.Helper()
	got, after := []string{}, ""
	for {
		some, err := s.Keys(t.Context(), f, start, after, page)
		must(t, err)
		got = append(got, keyIDs(some)...)
		if len(some) < page {
			return got
		}
		after = f.Cursor(some[page-1])
	}
}

// TestAKeyThatChangesItsPlaceStopsNoList: the cursor says where the list was, not
// where the key is now.
func TestAKeyThatChangesItsPlaceStopsNoList(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var all []apikey.Record
		for i := range 6 {
			r := newKey("sub:ann", start)
			r.Name = fmt.Sprint("name ", i)
			r.LastUsedAt = start.Add(time.Duration(i) * time.Minute)
			all = append(all, addKey(t, s, r))
		}
		f := KeyFilter{Owner: "sub:ann", Sort: ByLastUse, Ascending: true}
		first, err := s.Keys(t.Context(), f, start, "", 2)
		must(t, err)
		after := f.Cursor(first[1])
		must(t, s.TouchKeys(t.Context(), []apikey.Touch{{ID: first[1].ID, UsedAt: start.Add(time.Hour)}}))
		rest, err := s.Keys(t.Context(), f, start, after, 10)
		must(t, err)
		wantSame(t, "the rest", keyIDs(rest), keyIDs([]apikey.Record{all[2], all[3], all[4], all[5], all[1]}))
	})
}

func TestCursorsOfOtherSortsAreNone(t *testing.T) {
	r := newKey("sub:ann", start)
	r.Name = "Two\nLines\nand more"
	sorts := everySort()
	for i, f := range sorts {
		for j, other := range sorts {
			want := f.Sort == other.Sort || other.Sort == ByCreation // whose cursor may be any ID
			if got := other.IsCursor(f.Cursor(r)); got != want {
				t.Errorf("%d of %d: %v, want %v", j, i, got, want)
			}
		}
	}
	for _, text := range []string{"x", "%", "bmFtZQ", "bmFtZQpr", KeyFilter{Sort: ByName}.Cursor(apikey.Record{}), "ZXhwaXJlc19hdApr\n", "ZXhwaXJlc19hdAprCi0x"} {
		if (KeyFilter{Sort: ByExpiry}).IsCursor(text) {
			t.Errorf("%q is taken for a cursor", text)
		}
	}
}

// FuzzKeyCursor checks that a cursor that is taken means one place, which can be
// asked for.
func FuzzKeyCursor(f *testing.F) {
	r := newKey("sub:ann", start)
	for _, filter := range everySort() {
		f.Add(filter.Cursor(r))
	}
	f.Add("bmFtZQprZXlfYQphCmI")
	f.Fuzz(func(t *testing.T, text string) {
		for _, sort := range []KeySort{ByName, ByLastUse, ByExpiry} {
			p, ok := KeyFilter{Sort: sort}.place(text)
			if !ok || text == "" {
				continue
			}
			if p.id == "" || p.time < 0 || !storable(p.id, p.name) || sort != ByName && p.name != "" {
				t.Errorf("%q is %+v", text, p)
			}
		}
	})
}
