package provider

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of the keys of a client.
const (
	maxJWKS     = 16 << 10 // bytes
	maxJWKSKeys = 10
	minRSABits  = 2048
	maxRSABits  = 8192 // what is longer takes long to verify with
)

// assertionAlgs are the algorithms that a client may sign assertions with.
var assertionAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.PS256, jose.RS256, jose.EdDSA}

// readJWKS returns the keys of a set, or what is wrong with it.
func readJWKS(raw []byte) (keys []jose.JSONWebKey, why string) {
	if len(raw) > maxJWKS {
		return nil, fmt.Sprintf("a key set has %d bytes at most", maxJWKS)
	}
	var list []json.RawMessage
	set, err := jsonObject(raw)
	if err != nil || json.Unmarshal(set["keys"], &list) != nil {
		return nil, "want a JSON object with the member keys, a list of public keys (RFC 7517, section 5)"
	}
	if len(list) == 0 || len(list) > maxJWKSKeys {
		return nil, fmt.Sprintf("a key set has 1 to %d keys", maxJWKSKeys)
	}
	for i, one := range list {
		key, why := readKey(one)
		if why != "" {
			return nil, fmt.Sprintf("key %d: %s", i+1, why)
		}
		keys = append(keys, key)
	}
	return keys, ""
}

// readKey returns a key that can verify assertions, or what is wrong with it.
func readKey(raw json.RawMessage) (key jose.JSONWebKey, why string) {
	members, err := jsonObject(raw)
	if err != nil {
		return key, "it is no JSON object, or has a member twice"
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, ok := members[private]; ok {
			return key, "this is a private key: replace it, since it was shown to others, and register its public half alone"
		}
	}
	if bytes.Equal(members["kty"], []byte(`"oct"`)) || members["k"] != nil {
		return key, "this is a secret that both sides share: register a public key"
	}
	// Certificates are not looked at, and reading them costs time.
	for _, certificate := range []string{"x5c", "x5u", "x5t", "x5t#S256"} {
		delete(members, certificate)
	}
	if raw, err = json.Marshal(members); err != nil {
		return key, "it cannot be read"
	}
	if err := json.Unmarshal(raw, &key); err != nil || !key.Valid() {
		return key, "it is none of RSA, EC or OKP, or is broken"
	}
	return key, keyProblem(key)
}

func keyProblem(key jose.JSONWebKey) string {
	if key.Use != "" && key.Use != "sig" {
		return "its use is not sig"
	}
	algs := algsOf(key.Key)
	switch {
	case algs == nil:
		return fmt.Sprintf("want an RSA key of %d to %d bits with a usual exponent, an EC key on P-256 or P-384, or Ed25519", minRSABits, maxRSABits)
	case key.Algorithm != "" && !slices.Contains(algs, jose.SignatureAlgorithm(key.Algorithm)):
		return fmt.Sprintf("its alg does not fit: such a key signs with %s", algs[0])
	}
	return ""
}

// algsOf returns the algorithms of assertionAlgs that go with a public key, nil
// for one that is too weak, too slow, or of another kind.
func algsOf(key any) []jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSABits && bits <= maxRSABits && k.E >= 3 && k.E%2 == 1 {
			return []jose.SignatureAlgorithm{jose.PS256, jose.RS256}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}
