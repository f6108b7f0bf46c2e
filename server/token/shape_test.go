package token

import (
	"strings"
	"testing"
)

func TestLooksLike(t *testing.T) {
	for raw, want := range map[string]bool{
		"a.b.c": true, "a-_.b.c9": true, "": false, ".": false, "..": false, "a..c": false, ".b.c": false, "a.b.": false, "a.b": false, "a.b.c.d": false, "a.b.c.d.e": false,
		"a.b.c=": false, "a.b. c": false, "a.b.c\n": false, "a.b.ä": false, strings.Repeat("a", maxSize-4) + ".b.c": true, strings.Repeat("a", maxSize-3) + ".b.c": false,
	} {
		if got := LooksLike(raw); got != want {
			t.Errorf("%.20q: got %v", raw, got)
		}
	}
	long, looks := strings.Repeat(".", 1<<20), false
	if n := testing.AllocsPerRun(100, func() { looks = LooksLike(long) || !LooksLike("a.b.c") }); n != 0 || looks {
		t.Errorf("%v allocations, %v", n, looks)
	}
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	s, _ := newSigner(f, key)
	good := issue(f, s)
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		if got, err := s.Verify(raw); err == nil && raw != good {
			t.Errorf("%q is taken as %+v", raw, got)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s, _ := newSigner(b, newKey(b))
	raw := issue(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
