package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// ImportedSHA256 is the HashBy of keys that were made elsewhere and imported as
// the plain SHA-256 of the key.
const ImportedSHA256 = "sha256"

// MaxKey is the most bytes that a key may have, imported ones included. Longer
// ones are never found.
const MaxKey = 512

const secretBytes = 32

// A Hasher hashes keys with HMAC-SHA256 (RFC 2104) under the secrets of this
// server. The first secret is the current one, which hashes new keys; the others
// still find older ones. Its methods may be called by any number of goroutines.
type Hasher struct {
	version string
	keyed   []*keyed // the current one first
}

// NewHasher returns a Hasher. Each secret has 32 bytes; there is at least one.
func NewHasher(secrets [][]byte) (*Hasher, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret to hash API keys with")
	}
	h := &Hasher{}
	for i, s := range secrets {
		if len(s) != secretBytes {
			return nil, fmt.Errorf("secret %d for the hashes of API keys has %d bytes, want %d", i+1, len(s), secretBytes)
		}
		h.keyed = append(h.keyed, newKeyed(s))
	}
	label := h.keyed[0].sum("wavegate: version of the secret for API keys")
	h.version = hex.EncodeToString(label[:4])
	return h, nil
}

// Current returns the hash of a key under the current secret. It allocates
// nothing.
func (h *Hasher) Current(key string) [32]byte { return h.keyed[0].sum(key) }

// Version names the current secret: 8 hexadecimal digits that tell nothing about
// it. Records keep it in HashBy.
func (h *Hasher) Version() string { return h.version }

// All returns the hashes of a key under every secret, the current one first, and
// last the plain SHA-256, which finds imported keys.
func (h *Hasher) All(key string) [][32]byte {
	all := make([][32]byte, 0, len(h.keyed)+1)
	for _, k := range h.keyed {
		all = append(all, k.sum(key))
	}
	return append(all, sha256.Sum256([]byte(key)))
}

// Format keeps the secrets out of everything that prints a Hasher.
func (h Hasher) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "hasher "+h.version) }

// A keyed is HMAC-SHA256 under one secret. Its states are used again: a new one
// would hash the secret anew, and that is half of the work for a short key.
type keyed struct {
	states sync.Pool // of *state
}

// A state is an HMAC with room for what goes in and out, which would otherwise
// be allocated.
type state struct {
	mac hash.Hash
	in  [128]byte
	out [sha256.Size]byte
}

func newKeyed(secret []byte) *keyed {
	own := [secretBytes]byte(secret)
	return &keyed{states: sync.Pool{New: func() any {
		return &state{mac: hmac.New(sha256.New, own[:])}
	}}}
}

func (k *keyed) sum(key string) [sha256.Size]byte {
	s := k.states.Get().(*state)
	defer k.states.Put(s)
	s.mac.Reset()
	for rest := key; rest != ""; {
		n := copy(s.in[:], rest)
		_, _ = s.mac.Write(s.in[:n]) // never fails
		rest = rest[n:]
	}
	s.mac.Sum(s.out[:0])
	clear(s.in[:min(len(key), len(s.in))])
	return s.out
}
