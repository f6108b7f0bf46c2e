package provider

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestResourceIsThisServerOrOneOfThePolicy(t *testing.T) {
	d := newDesk(t)
	d.cfg.Issuer = "https://gate.example/auth"
	for _, r := range []string{
		"https://gate.example/auth", "https://gate.example", "https://gate.example/", "https://gate.example/api", "https://gate.example/api/",
		"https://gate.example/api/v1.2/a-b_c~d", "https://gate.example/@x:y,z", "https://api.other.example/v1",
	} {
		if got, err := checkResources(d.Provider, []string{r}); err != nil || !cmp.Equal(got, []string{r}) {
			t.Errorf("%s: %v, %v", r, got, err)
		}
	}
	for _, r := range []string{
		"api", "/api", "//gate.example/api", "http://gate.example/api", "HTTPS://gate.example/api", "https://GATE.example/api",
		"https://gate.example:443/api", "https://gate.example:8443/", "https://gate.example.evil.example/", "https://gate.example@evil.example/",
		"https://gate.examplex", "https://user@gate.example/", "https://gate.example\\@evil.example/", "https://gate.example/api#x",
		"https://gate.example#", "https://gate.example/api?x", "https://gate.example?x", "https://gate.example/a/../b", "https://gate.example/./b",
		"https://gate.example/..", "https://gate.example//b", "https://gate.example/a//b", "https://gate.example/a//", "https://gate.example/%61pi",
		"https://gate.example/a b", "https://gate.example/\u00e4", "https://gate.example/a;b", "https://api.other.example/v1/", "https://api.other.example/",
		"https://api.other.example/v1#x", " https://gate.example/", "https://gate.example/" + strings.Repeat("a", 512), "urn:api", "*",
	} {
		got, err := checkResources(d.Provider, []string{deskIssuer, r})
		if refused(t, err, InvalidTarget); got != nil {
			t.Errorf("%s: %v", r, got)
		}
	}
}

func TestResourcesAreCountedOnce(t *testing.T) {
	d := newDesk(t)
	many := make([]string, maxResources)
	for i := range many {
		many[i] = deskIssuer + "/" + strings.Repeat("a", i+1)
	}
	if got, err := checkResources(d.Provider, slices.Concat(many, many)); err != nil || !cmp.Equal(got, many) {
		t.Errorf("%v, %v", got, err)
	}
	_, err := checkResources(d.Provider, slices.Concat(many, []string{deskIssuer}))
	refused(t, err, InvalidTarget)
	if got, err := checkResources(d.Provider, []string{""}); err != nil || got != nil {
		t.Errorf("of none: %v, %v", got, err)
	}
}

func TestScopesAreSplitAndReadOnce(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", nil},
		{"   ", nil},
		{"openid", []string{"openid"}},
		{" b  a b ", []string{"b", "a"}},
		{"!#$%&'()*+,-./:;<=>?@[]^_`{|}~", []string{"!#$%&'()*+,-./:;<=>?@[]^_`{|}~"}},
		{strings.Repeat("s", 128), []string{strings.Repeat("s", 128)}},
	}
	for _, test := range tests {
		if got, err := scopesOf(test.text); err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%q: %q, %v", test.text, got, err)
		}
	}
	for _, text := range []string{"a\tb", "a\nb", `a"b`, `a\b`, "a\x7f", "\u00e4", "a\u00a0b", "\x00", strings.Repeat("s", 129), "a\xff"} {
		_, err := scopesOf(text)
		refused(t, err, InvalidScope)
	}
}

func TestScopesAreBounded(t *testing.T) {
	var many, long []string
	for i := range maxAsked {
		many = append(many, "s"+strconv.Itoa(i))
	}
	for i := range 2048 / 64 {
		long = append(long, strings.Repeat("s", 60)+strconv.Itoa(1000+i))
	}
	for _, asked := range [][]string{many, long} {
		if got, err := scopesOf(strings.Join(asked, " ")); err != nil || !cmp.Equal(got, asked) {
			t.Errorf("%d, %v", len(got), err)
		}
		_, err := scopesOf(strings.Join(asked, " ") + " t")
		refused(t, err, InvalidScope)
	}
}

func TestScopesReadAgainAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.SliceOfN(rapid.StringMatching(`[!#-\[\]-~]{1,9}`), 0, 20).Draw(t, "asked")
		got, err := scopesOf(strings.Join(asked, " "))
		if err != nil {
			t.Fatal(err)
		}
		again, err := scopesOf(strings.Join(got, " "))
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("%q, then %q, %v", got, again, err)
		}
		for _, s := range asked {
			if !within([]string{s}, got) {
				t.Errorf("%q is lost", s)
			}
		}
	})
}

func FuzzResources(f *testing.F) {
	f.Add("https://gate.example/api")
	f.Add("https://gate.example/a/../b?x#y")
	f.Fuzz(func(t *testing.T, r string) {
		got, err := checkResources(newDesk(t).Provider, []string{r})
		if err != nil {
			refused(t, err, InvalidTarget)
			return
		}
		if r != "" && !strings.HasPrefix(got[0]+"/", deskIssuer+"/") && got[0] != "https://api.other.example/v1" {
			t.Errorf("let through: %q", got)
		}
		if strings.Contains(r, "/../") || strings.Contains(r, "#") || strings.Contains(r, "@evil") && !strings.HasPrefix(r, deskIssuer+"/") {
			t.Errorf("let through: %q", got)
		}
	})
}
