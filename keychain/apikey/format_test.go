package apikey_test

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

var environments = []apikey.Environment{apikey.Live, apikey.Test, apikey.Dev, apikey.Trial}

// anyBrand is any brand that CheckBrand allows.
var anyBrand = rapid.StringMatching(`[a-z][a-z0-9_]{0,30}[a-z0-9]|[a-z]`)

const digits = "0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte("wave_live_"+digits)))
	tests := []struct {
		key  string
		want apikey.Parts
		ok   bool
	}{
		{"wave_live_" + digits, apikey.Parts{Brand: "wave", Environment: "live", Prefix: "wave_live_01234567"}, true},
		{"wave_live_" + digits + sum, apikey.Parts{Brand: "wave", Environment: "live", Prefix: "wave_live_01234567"}, true},
		{"sk_test_" + digits, apikey.Parts{Brand: "sk", Environment: "test", Prefix: "sk_test_01234567"}, true},
		{"my_own_dev_" + digits, apikey.Parts{Brand: "my_own", Environment: "dev", Prefix: "my_own_dev_01234567"}, true},
		{"a_live_trial_" + digits, apikey.Parts{Brand: "a_live", Environment: "trial", Prefix: "a_live_trial_01234567"}, true},
		{key: ""},
		{key: digits},
		{key: "live_" + digits},
		{key: "_live_" + digits},
		{key: "__live_" + digits},
		{key: "wave__live_" + digits},
		{key: "Wave_live_" + digits},
		{key: "wave_LIVE_" + digits},
		{key: "wave_live_" + strings.ToUpper(digits)},
		{key: "wave_prod_" + digits},
		{key: "wave_live_" + digits[1:]},
		{key: "wave_live_" + digits + "0"},
		{key: "wave_live_" + digits + "00000000"},
		{key: "wave_live_" + digits + strings.ToUpper(sum) + "\n"},
		{key: "wave_live_" + digits + " "},
		{key: " wave_live_" + digits},
		{key: "wave-live-" + digits},
		{key: "1wave_live_" + digits},
		{key: "wäve_live_" + digits},
		{key: strings.Repeat("w", 33) + "_live_" + digits},
		{key: "wave_live_" + digits[:31] + "\x00"},
		{key: "wave_live_" + digits[:31] + "g"},
	}
	for _, tt := range tests {
		got, ok := apikey.Parse(tt.key)
		if ok != tt.ok || got != tt.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v, %v", tt.key, got, ok, tt.want, tt.ok)
		}
	}
}

func TestGeneratedKeysParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		brand := anyBrand.Draw(t, "brand")
		env := rapid.SampledFrom(environments).Draw(t, "environment")
		sum := rapid.Bool().Draw(t, "checksum")
		key := apikey.Generate(brand, env, sum)
		got, ok := apikey.Parse(key)
		want := apikey.Parts{Brand: brand, Environment: env, Prefix: key[:len(brand)+len(env)+10]}
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatalf("Parse(%q) is %v (-want +got):\n%s", key, ok, diff)
		}
		if sum {
			body, tail := key[:len(key)-8], key[len(key)-8:]
			n, err := strconv.ParseUint(tail, 16, 32)
			if err != nil || uint32(n) != crc32.ChecksumIEEE([]byte(body)) {
				t.Fatalf("the checksum of %q is not its CRC-32", key)
			}
		}
	})
}

// TestEveryTruncationAndBitFlipOfAKeyIsRefused cuts and flips keys everywhere.
func TestEveryTruncationAndBitFlipOfAKeyIsRefused(t *testing.T) {
	h := newHasher(t)
	for _, sum := range []bool{false, true} {
		key := apikey.Generate("my_wave", apikey.Trial, sum)
		right := h.Current(key)
		refused := func(wrong string) bool {
			_, ok := apikey.Parse(wrong)
			return !ok || h.Current(wrong) != right
		}
		for i := range len(key) {
			if !refused(key[:i]) || !refused(key[i+1:]) || !refused(key[:i]+key[i+1:]) {
				t.Errorf("a part of %q passes for the whole, cut at %d", key, i)
			}
			for bit := range 8 {
				b := []byte(key)
				b[i] ^= 1 << bit
				if !refused(string(b)) {
					t.Errorf("%q passes for %q", b, key)
				}
				if _, ok := apikey.Parse(string(b)); ok && sum {
					t.Errorf("%q has the checksum of %q", b, key)
				}
			}
		}
	}
}

// TestGeneratorIsUnbiased is a chi-square test of each digit's place: 15 degrees
// of freedom, and a sum over 60 comes about once in five million places.
func TestGeneratorIsUnbiased(t *testing.T) {
	const n = 4000
	var counts [32][16]int
	for range n {
		_, secret, _ := strings.Cut(apikey.Generate("w", apikey.Dev, false), "_dev_")
		for i := range secret {
			counts[i][strings.IndexByte("0123456789abcdef", secret[i])]++
		}
	}
	for i, place := range counts {
		sum := 0.0
		for _, c := range place {
			d := float64(c) - n/16.0
			sum += d * d / (n / 16.0)
		}
		if sum > 60 {
			t.Errorf("digit %d is biased: chi-square is %.1f", i, sum)
		}
	}
}

func TestCheckBrand(t *testing.T) {
	for _, brand := range []string{"w", "wave", "sk", "my_wave", "w2", "a__b", strings.Repeat("w", 32)} {
		if err := apikey.CheckBrand(brand); err != nil {
			t.Errorf("%q: %v", brand, err)
		}
	}
	for brand, want := range map[string]string{
		"": "empty", strings.Repeat("w", 33): "too long", "2w": "begin", "_w": "begin", "W": "begin",
		"wave_": "end", "wa-ve": "only", "waVe": "only", "wa ve": "only", "wäve": "only",
	} {
		if err := apikey.CheckBrand(brand); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want one with %q", brand, err, want)
		}
	}
}

func TestPatternFindsEveryKeyOfTheBrand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		brand := anyBrand.Draw(t, "brand")
		re := regexp.MustCompile(apikey.Pattern(brand))
		key := apikey.Generate(brand, rapid.SampledFrom(environments).Draw(t, "environment"), rapid.Bool().Draw(t, "checksum"))
		around := rapid.SampledFrom([]string{"", " ", `"`, "\n", "=", "_", "xyz", "%3D"})
		text := around.Draw(t, "before") + key + around.Draw(t, "after")
		if got := re.FindString(text); got != key {
			t.Fatalf("in %q %q was found, want %q", text, got, key)
		}
	})
	if re := regexp.MustCompile(apikey.Pattern("wave")); re.MatchString("wave_live_0123") || re.MatchString("sk_live_"+digits) {
		t.Error("the pattern finds what is no key of the brand")
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	key := apikey.Generate("my_wave", apikey.Live, true)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := apikey.Parse(key); !ok {
			t.Fatal("not parsed")
		}
		apikey.Parse("wave_live_nothing")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("wave_live_" + digits)
	f.Add("my_own_dev_" + digits + "01234567")
	f.Add("a_b")
	f.Add("__")
	f.Fuzz(func(t *testing.T, key string) {
		p, ok := apikey.Parse(key)
		if !ok {
			return
		}
		if err := apikey.CheckBrand(p.Brand); err != nil || !p.Environment.Valid() {
			t.Fatalf("%q has the brand %q (%v) and the environment %q", key, p.Brand, err, p.Environment)
		}
		head := p.Brand + "_" + string(p.Environment) + "_"
		if p.Prefix != key[:len(head)+8] || !strings.HasPrefix(key, head) {
			t.Fatalf("%q has the prefix %q", key, p.Prefix)
		}
		if !regexp.MustCompile("^" + apikey.Pattern(p.Brand) + "$").MatchString(key) {
			t.Fatalf("%q is not found by the pattern of its brand", key)
		}
	})
}
