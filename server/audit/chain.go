package audit

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"
)

// What can be wrong with a log.
var (
	ErrUnknownSecret = errors.New("it was hashed under a secret that is not here: put the line back into the secret file")
	ErrChanged       = errors.New("it is not what was written")
	ErrMissing       = errors.New("entries are missing")
	ErrOrder         = errors.New("it comes twice, or out of order")
)

// minSecret is the shortest secret, in bytes.
const minSecret = 32

// A Chain computes the hashes: HMAC-SHA256 under a secret of this server over the
// hash before and every field. Whoever changes the store alone cannot forge it.
// Any number of goroutines may use it.
type Chain struct {
	current string            // HashBy of what is sealed
	keys    map[string][]byte // by HashBy
}

// NewChain returns a Chain. The first secret hashes, all verify. There is at least
// one, and each has 32 bytes or more.
func NewChain(secrets [][]byte) (*Chain, error) {
	if len(secrets) == 0 {
		return nil, errors.New("the audit log has no secret: give it one")
	}
	c := &Chain{keys: map[string][]byte{}}
	for i, secret := range secrets {
		if len(secret) < minSecret {
			return nil, fmt.Errorf("secret %d of the audit log has %d bytes: give it %d or more", i+1, len(secret), minSecret)
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "wavegate audit chain", sha256.Size)
		if err != nil {
			return nil, err
		}
		name, err := hkdf.Key(sha256.New, secret, nil, "wavegate audit chain, its name", 8)
		if err != nil {
			return nil, err
		}
		by := hex.EncodeToString(name)
		c.keys[by] = key
		if i == 0 {
			c.current = by
		}
	}
	return c, nil
}

// String keeps keys out of logs and errors.
func (Chain) String() string { return "[audit chain]" }

// GoString keeps them out of %#v.
func (Chain) GoString() string { return "[audit chain]" }

// Seal fills in Hash and HashBy of an entry whose other fields are final. prev is
// the hash of the entry before, nil for the first.
func (c *Chain) Seal(prev []byte, e *Entry) {
	e.HashBy = c.current
	e.Hash = sumEntry(c.keys[c.current], prev, e)
}

// Check reports whether an entry is what was sealed behind prev. The error says
// what is wrong: ErrUnknownSecret or ErrChanged.
func (c *Chain) Check(prev []byte, e *Entry) error {
	key, known := c.keys[e.HashBy]
	if !known {
		return ErrUnknownSecret
	}
	if !hmac.Equal(e.Hash, sumEntry(key, prev, e)) {
		return ErrChanged
	}
	return nil
}

// A State is where a log begins and ends. It is sealed too, or whoever takes the
// newest or the oldest entries out would leave a chain that fits.
type State struct {
	AnchorSeq  int64  // of the last entry that was removed as too old; 0 for none
	AnchorHash []byte // of that entry; nil for none
	LastSeq    int64  // of the newest entry; 0 for none
	LastHash   []byte // of that entry
	Seal       []byte
	SealedBy   string // which secret
}

// SealState fills in Seal and SealedBy.
func (c *Chain) SealState(s *State) {
	s.SealedBy = c.current
	s.Seal = sumState(c.keys[c.current], s)
}

// CheckState reports whether a state is what was sealed: ErrUnknownSecret,
// ErrChanged. The state of a log that was never written is not sealed.
func (c *Chain) CheckState(s *State) error {
	if s.SealedBy == "" && s.Seal == nil && s.LastSeq == 0 && s.AnchorSeq == 0 {
		return nil
	}
	key, known := c.keys[s.SealedBy]
	if !known {
		return ErrUnknownSecret
	}
	if !hmac.Equal(s.Seal, sumState(key, s)) {
		return ErrChanged
	}
	return nil
}

// sumEntry hashes every field but Hash. Each has its length before it, or a fixed
// one, so that no two entries are the same bytes.
func sumEntry(key, prev []byte, e *Entry) []byte {
	m := mac{hmac.New(sha256.New, key)}
	m.text("entry")
	m.text(string(prev))
	m.number(e.Seq)
	m.number(millis(e.At))
	for _, text := range []string{e.Actor, e.Method, e.IP, e.RequestID, e.Action, e.Target, e.Owner, e.Outcome} {
		m.text(text)
	}
	m.number(int64(len(e.Details)))
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		m.text(name)
		m.text(e.Details[name])
	}
	m.number(e.Count)
	m.text(e.HashBy)
	return m.Sum(nil)
}

func sumState(key []byte, s *State) []byte {
	m := mac{hmac.New(sha256.New, key)}
	m.text("state")
	m.number(s.AnchorSeq)
	m.text(string(s.AnchorHash))
	m.number(s.LastSeq)
	m.text(string(s.LastHash))
	m.text(s.SealedBy)
	return m.Sum(nil)
}

// millis is a time as it is hashed: 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// A mac is fed with fields. Writing to a hash never fails.
type mac struct{ hash.Hash }

func (m mac) number(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	m.Write(b[:])
}

func (m mac) text(s string) {
	m.number(int64(len(s)))
	m.Write([]byte(s))
}
