package keychain

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
)

// A tag is what the memory keeps of a pair instead of its secret: HMAC-SHA256
// (RFC 2104) of stored hash, ID and secret under a key that only this process
// has. Two pairs have one tag only if they are the same pair of the same line.
type tag [sha256.Size]byte

func (t *tag) equal(other *tag) bool { return subtle.ConstantTimeCompare(t[:], other[:]) == 1 }

// A tagger makes tags. It is HMAC written out over arrays, because the path of
// a remembered pair must not allocate.
type tagger struct {
	inner, outer [sha256.BlockSize]byte // the key, padded
}

func newTagger() *tagger {
	t := new(tagger)
	var key [sha256.Size]byte
	rand.Read(key[:])
	copy(t.inner[:], key[:])
	copy(t.outer[:], key[:])
	for i := range t.inner {
		t.inner[i] ^= 0x36
		t.outer[i] ^= 0x5c
	}
	return t
}

// of returns the tag of a pair. Each part is written with its length before it,
// so that no two different triples are the same bytes. An ID of more than
// maxID bytes is no key's, and a digest stands in for it.
func (t *tagger) of(hash, id, secret string) tag {
	var buf [sha256.BlockSize + 3*2 + hashLen + maxID + maxSecret]byte
	if len(id) > maxID {
		sum := sha256.Sum256([]byte(id))
		id = string(sum[:])
	}
	n := copy(buf[:], t.inner[:])
	for _, part := range [...]string{hash, id, secret} {
		buf[n], buf[n+1] = byte(len(part)>>8), byte(len(part))
		n += 2 + copy(buf[n+2:], part)
	}
	sum := sha256.Sum256(buf[:n])
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(outer[:], t.outer[:])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
