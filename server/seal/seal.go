// Package seal keeps secrets at rest and in cookies: authenticated encryption
// under keys that are derived from the server's own, with older keys still
// opening what they sealed. It owns the format of sealed bytes, keeps nothing
// itself and does not know what is in them.
//
// Sealed text is format, key ID, nonce, ciphertext and tag: AES-256-GCM under a
// sub-key (HKDF-SHA256, RFC 5869) of the kind and the name of what is sealed.
// With a sub-key for each name no key seals so much that random nonces could
// meet, and nothing opens in another's place.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Size is how many bytes a key has.
const Size = 32

const (
	format = 1
	header = 1 + 4 // format and key ID
)

// Errors of Open.
var (
	ErrBroken  = errors.New("the seal is broken")          // changed, or sealed as something else
	ErrForeign = errors.New("sealed under another secret") // processes disagree about the secret, or an old one was removed
)

// Keys seal and open. The zero value does neither. They may be used by any
// number of goroutines.
type Keys struct {
	list []key // the current one first; the others still open
}

// A key is one secret, from which the sub-keys come.
type key struct {
	id     [4]byte // names the secret, says nothing about it
	secret []byte  // pseudo-random key
}

// New returns the keys that seal under the first of secrets, each of Size bytes,
// and open under all of them.
func New(secrets [][]byte) (Keys, error) {
	if len(secrets) == 0 {
		return Keys{}, errors.New("no key to seal with")
	}
	list := make([]key, len(secrets))
	for i, s := range secrets {
		if len(s) != Size {
			return Keys{}, fmt.Errorf("sealing key %d has %d bytes, want %d", i+1, len(s), Size)
		}
		prk, err := hkdf.Extract(sha256.New, s, nil)
		if err != nil {
			return Keys{}, fmt.Errorf("derive the sealing keys: %w", err)
		}
		id, err := hkdf.Expand(sha256.New, prk, "wavegate seal id", len(list[i].id))
		if err != nil {
			return Keys{}, fmt.Errorf("derive the sealing keys: %w", err)
		}
		list[i] = key{[4]byte(id), prk}
	}
	return Keys{list}, nil
}

func (k *key) aead(kind, name string) (cipher.AEAD, error) {
	sub, err := hkdf.Expand(sha256.New, k.secret, kind+"\x00"+name, Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// boundTo is the associated data: a sealed text opens for one kind and name.
func boundTo(head []byte, kind, name string) []byte {
	b := make([]byte, 0, len(head)+len(kind)+1+len(name))
	b = append(b, head...)
	b = append(b, kind...)
	b = append(b, 0) // no kind has it
	return append(b, name...)
}

// Seal returns plain sealed under the current key. The kind, a constant without
// NUL, says what it is ("wavegate session tokens"); the name says whose.
func (k Keys) Seal(kind, name string, plain []byte) ([]byte, error) {
	if len(k.list) == 0 {
		return nil, errors.New("no key to seal with")
	}
	current := &k.list[0]
	aead, err := current.aead(kind, name)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, header+len(plain)+aead.Overhead())
	out = append(out, format)
	out = append(out, current.id[:]...)
	return aead.Seal(out, nil, plain, boundTo(out, kind, name)), nil
}

// Open returns what was sealed as that kind and name. The error is ErrForeign
// when none of the keys is the one that it names, and ErrBroken when anything
// else is not as it was.
func (k Keys) Open(kind, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < header || sealed[0] != format {
		return nil, ErrBroken
	}
	head, body := sealed[:header], sealed[header:]
	err := ErrForeign
	for i := range k.list {
		if k.list[i].id != [4]byte(head[1:]) {
			continue
		}
		err = ErrBroken
		aead, keyErr := k.list[i].aead(kind, name)
		if keyErr != nil {
			return nil, keyErr
		}
		if plain, openErr := aead.Open(nil, nil, body, boundTo(head, kind, name)); openErr == nil {
			return plain, nil
		}
	}
	return nil, err
}

// String keeps the keys out of logs and errors.
func (Keys) String() string { return "[sealing keys]" }

// Format keeps them out of whatever verb there is.
func (k Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue keeps them out of structured logs.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }
