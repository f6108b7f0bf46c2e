package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

func TestHashIsHMACUnderTheSecret(t *testing.T) {
	h := newHasher(t, secretOf(7), secretOf(8))
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringN(0, -1, 400).Draw(t, "key")
		want := [][32]byte{hmacOf(7, key), hmacOf(8, key), sha256.Sum256([]byte(key))}
		if got := h.All(key); !slices.Equal(got, want) {
			t.Fatalf("All(%q) = %x, want %x", key, got, want)
		}
		if h.Current(key) != want[0] {
			t.Fatalf("Current(%q) is not the first of All", key)
		}
	})
}

func hmacOf(secret byte, key string) [32]byte {
	mac := hmac.New(sha256.New, secretOf(secret))
	mac.Write([]byte(key))
	return [32]byte(mac.Sum(nil))
}

func TestHasherWantsSecretsOf32Bytes(t *testing.T) {
	for _, secrets := range [][][]byte{nil, {}, {nil}, {secretOf(1)[:31]}, {secretOf(1), append(secretOf(2), 0)}} {
		if _, err := apikey.NewHasher(secrets); err == nil {
			t.Errorf("%d secrets of wrong lengths were taken", len(secrets))
		}
	}
}

func TestHasherKeepsItsOwnSecret(t *testing.T) {
	secret := secretOf(1)
	h := newHasher(t, secret)
	clear(secret)
	if h.Current("k") != hmacOf(1, "k") {
		t.Error("who changes the secret afterwards changes the hashes")
	}
}

func TestVersionNamesTheSecretAndTellsNothing(t *testing.T) {
	a, again, b := newHasher(t), newHasher(t), newHasher(t, secretOf(2), secretOf(1))
	if a.Version() != again.Version() || a.Version() == b.Version() {
		t.Errorf("versions are %q, %q and %q: one for each secret is wanted", a.Version(), again.Version(), b.Version())
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(a.Version()) {
		t.Errorf("version is %q, want 8 hexadecimal digits", a.Version())
	}
}

func TestHasherPrintsNoSecret(t *testing.T) {
	secret := []byte("canary-canary-canary-canary-cana")
	h := newHasher(t, secret)
	h.Current("key")
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
		for _, v := range []any{h, *h, apikey.Config{Hasher: h}, &apikey.Config{Hasher: h}} {
			got := fmt.Sprintf(format, v)
			for _, canary := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%d", secret[:4])} {
				if strings.Contains(got, strings.Trim(canary, "[]")) {
					t.Errorf("%s of %T prints the secret: %s", format, v, got)
				}
			}
		}
	}
}

func TestCurrentAllocatesNothing(t *testing.T) {
	h := newHasher(t)
	key := apikey.Generate("wave", apikey.Live, true)
	if n := leastAllocs(func() { h.Current(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
