package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func newECKey(tb testing.TB) *ecdsa.PrivateKey { return newECKeyOn(tb, elliptic.P256()) }

func newECKeyOn(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newRSAKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsaKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newEdKey(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// jwks returns a set of the public halves of keys.
func jwks(tb testing.TB, keys ...crypto.Signer) []byte {
	tb.Helper()
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public()})
	}
	return marshal(tb, set)
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// set returns the text of a set of one key, some members of which are replaced.
func set(tb testing.TB, key any, members map[string]any) []byte {
	tb.Helper()
	var object map[string]any
	if err := json.Unmarshal(marshal(tb, jose.JSONWebKey{Key: key}), &object); err != nil {
		tb.Fatal(err)
	}
	maps.Copy(object, members)
	return marshal(tb, map[string]any{"keys": []any{object}})
}

func TestKeySetsOfClients(t *testing.T) {
	ec := newECKey(t)
	short := new(big.Int).Rsh(newRSAKey(t).N, 1024)
	many := make([]crypto.Signer, maxJWKSKeys+1)
	for i := range many {
		many[i] = ec
	}
	for name, tt := range map[string]struct {
		raw  []byte
		want string // "" for a good one
	}{
		"P-256":                                {jwks(t, ec), ""},
		"all kinds":                            {jwks(t, ec, newECKeyOn(t, elliptic.P384()), newRSAKey(t), newEdKey(t)), ""},
		"with all it may":                      {set(t, ec.Public(), map[string]any{"kid": "a", "alg": "ES256", "use": "sig"}), ""},
		"with a certificate that nobody reads": {set(t, ec.Public(), map[string]any{"x5c": []string{"x"}}), ""},
		"ten":                                  {jwks(t, many[1:]...), ""},
		"eleven":                               {jwks(t, many...), "1 to 10 keys"},
		"none":                                 {[]byte(`{"keys":[]}`), "1 to 10 keys"},
		"no list":                              {[]byte(`{"keys":{}}`), "want a JSON object"},
		"nothing":                              {[]byte(`{}`), "want a JSON object"},
		"a list":                               {[]byte(`[]`), "want a JSON object"},
		"no JSON":                              {[]byte(`x`), "want a JSON object"},
		"one key alone":                        {marshal(t, jose.JSONWebKey{Key: ec.Public()}), "want a JSON object"},
		"keys twice":                           {[]byte(`{"keys":[],"keys":[]}`), "want a JSON object"},
		"too large":                            {[]byte(`{"keys":[` + strings.Repeat(" ", maxJWKS) + `]}`), "16384 bytes"},
		"private EC":                           {set(t, ec, nil), "private key"},
		"private RSA":                          {set(t, newRSAKey(t), nil), "private key"},
		"private Ed25519":                      {set(t, newEdKey(t), nil), "private key"},
		"private, null":                        {set(t, ec.Public(), map[string]any{"d": nil}), "private key"},
		"symmetric":                            {set(t, []byte("0123456789abcdef0123456789abcdef"), nil), "share"},
		"symmetric, said otherwise":            {set(t, ec.Public(), map[string]any{"k": "AAAA"}), "share"},
		"RSA of 1024 bits":                     {set(t, &rsa.PublicKey{N: short, E: 65537}, nil), "2048 to 8192 bits"},
		"RSA, exponent 1":                      {set(t, &rsa.PublicKey{N: newRSAKey(t).N, E: 1}, nil), "broken"},
		"RSA, even exponent":                   {set(t, &rsa.PublicKey{N: newRSAKey(t).N, E: 65536}, nil), "exponent"},
		"P-521":                                {jwks(t, newECKeyOn(t, elliptic.P521())), "P-256 or P-384"},
		"not on the curve":                     {set(t, ec.Public(), map[string]any{"x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}), "broken"},
		"for encryption":                       {set(t, ec.Public(), map[string]any{"use": "enc"}), "use is not sig"},
		"alg of others":                        {set(t, ec.Public(), map[string]any{"alg": "RS256"}), "signs with ES256"},
		"alg HS256":                            {set(t, ec.Public(), map[string]any{"alg": "HS256"}), "signs with ES256"},
		"unknown kind":                         {[]byte(`{"keys":[{"kty":"XYZ"}]}`), "none of RSA"},
		"no object":                            {[]byte(`{"keys":[5]}`), "no JSON object"},
		"a member twice":                       {[]byte(`{"keys":[{"kty":"EC","kty":"EC"}]}`), "twice"},
	} {
		keys, why := readJWKS(tt.raw)
		if tt.want == "" && (why != "" || len(keys) == 0) || tt.want != "" && (!strings.Contains(why, tt.want) || keys != nil) {
			t.Errorf("%s: %q and %d keys, want %q", name, why, len(keys), tt.want)
		}
	}
}

func FuzzJWKS(f *testing.F) {
	f.Add(jwks(f, newECKey(f), newEdKey(f)))
	f.Add(jwks(f, newRSAKey(f)))
	f.Add(set(f, newECKey(f), nil))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, why := readJWKS(raw)
		if (why == "") != (len(keys) > 0) || len(keys) > maxJWKSKeys {
			t.Errorf("%d keys and %q", len(keys), why)
		}
		for _, key := range keys {
			if !key.IsPublic() || algsOf(key.Key) == nil {
				t.Errorf("%T is taken as a public key", key.Key)
			}
		}
	})
}
