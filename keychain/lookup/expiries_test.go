package lookup_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/keychain/lookup"
)

// thing is something that expires.
type thing struct {
	at    int64
	place int
}

// Whatever is added, removed and taken: what is taken are those that have expired,
// each once, and everything else stays.
func TestExpiriesTakeWhatHasExpiredAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := lookup.NewExpiries(func(x *thing) int64 { return x.at }, func(x *thing) *int { return &x.place })
		var in []*thing
		now := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				x := &thing{rapid.Int64Range(0, 50).Draw(t, "at"), -1}
				e.Add(x)
				in = append(in, x)
			},
			"remove": func(t *rapid.T) {
				if len(in) == 0 {
					return
				}
				i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
				e.Remove(in[i])
				e.Remove(in[i]) // a second time does nothing
				in = slices.Delete(in, i, i+1)
			},
			"take": func(t *rapid.T) {
				now += rapid.Int64Range(0, 10).Draw(t, "pass")
				var want, got []int64
				in = slices.DeleteFunc(in, func(x *thing) bool {
					if x.at > now {
						return false
					}
					want = append(want, x.at)
					return true
				})
				for _, x := range e.Take(now) {
					if x.place != -1 {
						t.Errorf("it was taken and has the place %d", x.place)
					}
					got = append(got, x.at)
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("taken at %d (-want +got):\n%s", now, diff)
				}
			},
			"": func(t *rapid.T) {
				if e.Len() != len(in) {
					t.Errorf("there are %d, want %d", e.Len(), len(in))
				}
			},
		})
	})
}
