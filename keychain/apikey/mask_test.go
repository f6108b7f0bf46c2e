package apikey_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

func TestMaskHidesTheSecretOfEveryKey(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdef0123456789abcdef"
	for text, want := range map[string]string{
		"":                                       "",
		"/v1/auth/keys/key_abc":                  "/v1/auth/keys/key_abc",
		"wave_live_" + digits:                    "wave_live_01234567…",
		"/x/wave_test_" + digits + "/y":          "/x/wave_test_01234567…/y",
		"a_b_dev_" + digits + "abcdef01":         "a_b_dev_01234567…",
		"WAVE_LIVE_" + strings.ToUpper(digits):   "WAVE_LIVE_01234567…",
		"w_trial_" + digits[:31]:                 "w_trial_01234567…",
		"w_live_" + digits + " w_test_" + digits: "w_live_01234567… w_test_01234567…",
		"w_live_w_test_" + digits:                "w_live_w_test_01234567…",
		"data_test_20261127103000":               "data_test_20261127103000",
		"_live_" + digits:                        "_live_" + digits,
		"w_prod_" + digits:                       "w_prod_" + digits,
		"wave_live_":                             "wave_live_",
	} {
		if got := apikey.Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestMaskedTextHoldsNoKeyWhateverStandsAround(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		brand := rapid.StringMatching(`[a-z]([a-z0-9_]{0,20}[a-z0-9])?`).Draw(t, "brand")
		env := rapid.SampledFrom([]apikey.Environment{apikey.Live, apikey.Test, apikey.Dev, apikey.Trial}).Draw(t, "environment")
		key := apikey.Generate(brand, env, rapid.Bool().Draw(t, "checksum"))
		around := rapid.StringMatching(`[a-z_/ ]{0,10}`)
		text := around.Draw(t, "before") + key + around.Draw(t, "between") + key + around.Draw(t, "after")
		masked := apikey.Mask(text)
		if !apikey.Holds(text) || apikey.Holds(masked) || strings.Contains(masked, key[len(key)-20:]) {
			t.Fatalf("%q was masked as %q", text, masked)
		}
	})
}

func TestMaskOfTextWithoutKeysAllocatesNothing(t *testing.T) {
	const path = "/v1/streams/str_1/recordings_of_test/2026"
	if n := testing.AllocsPerRun(100, func() { apikey.Mask(path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
