package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/server/seal"
)

// secret is a key of 32 equal bytes.
func secret(b byte) []byte { return bytes.Repeat([]byte{b}, seal.Size) }

func keys(t testing.TB, secrets ...[]byte) seal.Keys {
	t.Helper()
	k, err := seal.New(secrets)
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeysThatCannotSealAreRefused(t *testing.T) {
	for name, secrets := range map[string][][]byte{
		"none": nil, "short": {make([]byte, 31)}, "long": {make([]byte, 33)}, "the second is empty": {secret(1), nil},
	} {
		if _, err := seal.New(secrets); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := (seal.Keys{}).Seal("kind", "name", nil); err == nil {
		t.Error("the zero Keys seal")
	}
}

// TestWhatWasSealedBeforeStillOpens holds the format: rows and cookies of
// earlier versions are in use.
func TestWhatWasSealedBeforeStillOpens(t *testing.T) {
	k := keys(t, secret(1))
	for _, test := range []struct{ kind, name, sealed, plain string }{
		{"wavegate session tokens", "ses_1", "01cb417628f60a3bedea16fade78dfea3e9c9a33bea37bf8c320bfaa83a8ba0fd2eb048de0de91318400ac", "plain text"},
		{"wavegate login attempt", "state", "01cb41762832959bfc65587a8fe8bd17f66d65a9abf97d73e7454538c0af008bbe", ""},
	} {
		sealed, err := hex.DecodeString(test.sealed)
		must(t, err)
		plain, err := k.Open(test.kind, test.name, sealed)
		if err != nil || string(plain) != test.plain {
			t.Errorf("%s: %q, %v", test.kind, plain, err)
		}
	}
}

func TestWhatIsSealedOpensAsItselfAlone(t *testing.T) {
	k := keys(t, secret(1))
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.StringMatching(`[a-z ]{1,20}`).Draw(t, "kind")
		name := rapid.String().Draw(t, "name")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := k.Seal(kind, name, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(kind, name, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%x came back as %x, %v", plain, got, err)
		}
		for _, other := range [][2]string{{kind + "x", name}, {kind, name + "x"}, {kind + name + "x", ""}, {"", kind + name}} {
			if _, err := k.Open(other[0], other[1], sealed); !errors.Is(err, seal.ErrBroken) {
				t.Fatalf("%q opened as %q: %v", [2]string{kind, name}, other, err)
			}
		}
		if again, _ := k.Seal(kind, name, plain); bytes.Equal(again, sealed) {
			t.Fatal("sealed twice to the same bytes")
		}
	})
}

func TestEveryBitFlipAndCutIsRefused(t *testing.T) {
	k := keys(t, secret(1))
	whole, err := k.Seal("kind", "name", []byte("plain"))
	must(t, err)
	refused := func(what string, sealed []byte) {
		if _, err := k.Open("kind", "name", sealed); !errors.Is(err, seal.ErrBroken) && !errors.Is(err, seal.ErrForeign) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d", bit, i), b)
		}
		refused(fmt.Sprintf("cut after %d bytes", i), whole[:i])
		refused(fmt.Sprintf("%d bytes from the start gone", i+1), whole[i+1:])
	}
	refused("one byte more", append(bytes.Clone(whole), 0))
}

func TestOlderKeysOpenAndTheFirstSeals(t *testing.T) {
	before, after := keys(t, secret(1)), keys(t, secret(2), secret(1))
	sealed, err := before.Seal("kind", "name", []byte("plain"))
	must(t, err)
	_, err = after.Open("kind", "name", sealed)
	must(t, err)
	if _, err := keys(t, secret(2)).Open("kind", "name", sealed); !errors.Is(err, seal.ErrForeign) {
		t.Errorf("without the old key: %v, want ErrForeign", err)
	}
	sealed, err = after.Seal("kind", "name", []byte("plain"))
	must(t, err)
	if _, err := before.Open("kind", "name", sealed); !errors.Is(err, seal.ErrForeign) {
		t.Errorf("it was not sealed under the first key: %v", err)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	k := keys(t, []byte(strings.Repeat("s3", seal.Size/2)))
	if text := fmt.Sprintf("%v %+v %#v %s %d", k, k, k, k, k); strings.ReplaceAll(text, "[sealing keys]", "") != "    " {
		t.Errorf("printed: %s", text)
	}
}

func FuzzOpen(f *testing.F) {
	k := keys(f, secret(1))
	sealed, err := k.Seal("kind", "name", []byte("plain"))
	must(f, err)
	f.Add("kind", "name", sealed)
	f.Add("", "", []byte{})
	f.Fuzz(func(t *testing.T, kind, name string, b []byte) {
		if plain, err := k.Open(kind, name, b); err == nil && (kind+"\x00"+name != "kind\x00name" || string(plain) != "plain") {
			t.Errorf("%q opened", b)
		}
	})
}
