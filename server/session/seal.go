package session

import (
	"encoding/binary"
	"fmt"
	"time"

	"wavegate/server/seal"
)

// The kinds of sealed text.
const (
	sealedTokens  = "wavegate session tokens"
	sealedAttempt = "wavegate login attempt"
)

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
	return m.seals.Seal(sealedTokens, r.ID, p)
}

func (m *Manager) openTokens(r *Record) (Tokens, error) {
	if len(r.Sealed) == 0 {
		return Tokens{}, nil
	}
	plain, err := m.seals.Open(sealedTokens, r.ID, r.Sealed)
	if err != nil {
		return Tokens{}, fmt.Errorf("tokens of %s: %w", r.ID, err)
	}
	u := unpacking{rest: plain}
	t := Tokens{ID: u.text(), Access: u.text(), Refresh: u.text(), Expiry: u.time()}
	if !u.done() {
		return Tokens{}, fmt.Errorf("tokens of %s: %w", r.ID, seal.ErrBroken)
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
