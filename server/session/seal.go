package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const keySize = 32

// Sealed text is format, key ID, nonce, ciphertext and tag: AES-256-GCM under a
// sub-key (HKDF-SHA256, RFC 5869) of the kind and the name of what is sealed.
// With a sub-key for each name no key seals so much that random nonces could
// meet, and nothing opens in another's place.
const (
	sealFormat = 1
	sealHeader = 1 + 4 // format and key ID
)

// The kinds of sealed text.
const (
	sealedTokens  = "wavegate session tokens"
	sealedAttempt = "wavegate login attempt"
)

var (
	errSeal    = errors.New("the seal is broken")
	errForeign = errors.New("sealed under another secret")
)

// A seal is one secret, from which the sub-keys come.
type seal struct {
	id     [4]byte // names the secret, says nothing about it
	secret []byte  // pseudo-random key
}

// seals are the current seal and older ones, which still open.
type seals []seal

func newSeals(keys [][]byte) (seals, error) {
	list := make(seals, len(keys))
	for i, k := range keys {
		prk, err := hkdf.Extract(sha256.New, k, nil)
		if err != nil {
			return nil, fmt.Errorf("derive the sealing keys: %w", err)
		}
		id, err := hkdf.Expand(sha256.New, prk, "wavegate seal id", len(list[i].id))
		if err != nil {
			return nil, fmt.Errorf("derive the sealing keys: %w", err)
		}
		list[i] = seal{[4]byte(id), prk}
	}
	return list, nil
}

func (s *seal) aead(kind, name string) (cipher.AEAD, error) {
	sub, err := hkdf.Expand(sha256.New, s.secret, kind+"\x00"+name, keySize)
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
func boundTo(header []byte, kind, name string) []byte {
	b := make([]byte, 0, len(header)+len(kind)+1+len(name))
	b = append(b, header...)
	b = append(b, kind...)
	b = append(b, 0) // no kind has it
	return append(b, name...)
}

// seal returns plain sealed under the current secret.
func (l seals) seal(kind, name string, plain []byte) ([]byte, error) {
	aead, err := l[0].aead(kind, name)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, sealHeader+len(plain)+aead.Overhead())
	out = append(out, sealFormat)
	out = append(out, l[0].id[:]...)
	return aead.Seal(out, nil, plain, boundTo(out, kind, name)), nil
}

// open returns what was sealed. The error is errForeign when none of the secrets
// is the one that it names, and errSeal when anything else is not as it was.
func (l seals) open(kind, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHeader || sealed[0] != sealFormat {
		return nil, errSeal
	}
	header, body := sealed[:sealHeader], sealed[sealHeader:]
	err := errForeign
	for i := range l {
		if l[i].id != [4]byte(header[1:]) {
			continue
		}
		err = errSeal
		aead, keyErr := l[i].aead(kind, name)
		if keyErr != nil {
			return nil, keyErr
		}
		if plain, openErr := aead.Open(nil, nil, body, boundTo(header, kind, name)); openErr == nil {
			return plain, nil
		}
	}
	return nil, err
}

// Tokens opens what the provider handed out for the session; zero for a session
// without tokens. It fails when the secret that sealed them is gone.
func (m *Manager) Tokens(s *Session) (Tokens, error) { return m.openTokens(s.Record()) }

func (m *Manager) sealTokens(r *Record, t Tokens) ([]byte, error) {
	if t == (Tokens{}) {
		return nil, nil
	}
	var p packed
	p.text(t.ID)
	p.text(t.Access)
	p.text(t.Refresh)
	p.time(t.Expiry)
	return m.seals.seal(sealedTokens, r.ID, p)
}

func (m *Manager) openTokens(r *Record) (Tokens, error) {
	if len(r.Sealed) == 0 {
		return Tokens{}, nil
	}
	plain, err := m.seals.open(sealedTokens, r.ID, r.Sealed)
	if err != nil {
		return Tokens{}, fmt.Errorf("tokens of %s: %w", r.ID, err)
	}
	u := unpacking{rest: plain}
	t := Tokens{ID: u.text(), Access: u.text(), Refresh: u.text(), Expiry: u.time()}
	if !u.done() {
		return Tokens{}, fmt.Errorf("tokens of %s: %w", r.ID, errSeal)
	}
	return t, nil
}

// packed is a row of texts and times, each text with its length before it.
type packed []byte

func (p *packed) text(s string) {
	*p = binary.AppendUvarint(*p, uint64(len(s)))
	*p = append(*p, s...)
}

// time packs milliseconds since the epoch, 0 for the zero time.
func (p *packed) time(t time.Time) {
	ms := int64(0)
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	*p = binary.AppendVarint(*p, ms)
}

// An unpacking reads what packed wrote. After a fault everything is empty.
type unpacking struct {
	rest   []byte
	broken bool
}

func (u *unpacking) text() string {
	n, size := binary.Uvarint(u.rest)
	if u.broken || size <= 0 || n > uint64(len(u.rest)-size) {
		u.broken = true
		return ""
	}
	s := string(u.rest[size : size+int(n)])
	u.rest = u.rest[size+int(n):]
	return s
}

func (u *unpacking) time() time.Time {
	ms, size := binary.Varint(u.rest)
	if u.broken || size <= 0 {
		u.broken = true
		return time.Time{}
	}
	u.rest = u.rest[size:]
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// done reports whether all was there and nothing more.
func (u *unpacking) done() bool { return !u.broken && len(u.rest) == 0 }
