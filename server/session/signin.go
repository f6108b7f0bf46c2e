package session

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"
)

// A Login is somebody who proved who they are.
type Login struct {
	Provider string // name of the provider, or Local
	Issuer   string
	Subject  string
	SID      string // the provider's name of its session, or empty
	Stamp    string // local users: of their line in the users file
	Claims
	Tokens  Tokens    // zero for none
	RenewAt time.Time // when to ask the provider again; zero is never

	// Proved: the person proved who they are just now, by a password of ours or because
	// the provider was asked to have them do so.
	Proved bool

	IP, UserAgent string

	Attempt Attempt // used up by the sign-in; zero is none (local users)
}

const (
	maxUserAgent = 256  // bytes
	maxGroups    = 1000 // as Claims says

	// attemptSlack is how long the mark of a used attempt outlives it: between the
	// opening of an attempt and its use lies the provider's answer.
	attemptSlack = time.Minute
)

// SignIn begins a session and returns the value of its cookie, which is new and
// random whatever the browser sent before. Errors: ErrDisabled, ErrAttemptUsed,
// ErrUnavailable.
func (m *Manager) SignIn(ctx context.Context, l Login) (cookie string, s *Session, err error) {
	cookie = newID()
	r, err := m.newRecord(hashID(cookie), &l)
	if err != nil {
		return "", nil, err
	}
	attempt, ends := l.Attempt.Hash(), time.Time{}
	if attempt != (Hash{}) {
		ends = l.Attempt.Ends.Add(attemptSlack)
	}
	ld, _ := m.loads.join(&r.Hash)
	m.fetch(ctx, ld, r.Hash, func(ctx context.Context, _ Hash) (Record, error) {
		user, err := m.store.SignIn(ctx, r, attempt, ends)
		r.UserID, r.Roles, r.RolesVersion = user.ID, user.Roles, user.RolesVersion
		return r, err
	})
	if ld.err != nil {
		return "", nil, ld.err
	}
	return cookie, ld.session, nil
}

// newRecord is the record of a session that begins now.
func (m *Manager) newRecord(h Hash, l *Login) (Record, error) {
	now := time.UnixMilli(m.now()).UTC()
	r := Record{
		ID: idOf(&h), Hash: h, ClientID: strings.ToLower(rand.Text()),
		Provider: l.Provider, Issuer: l.Issuer, Subject: l.Subject, SID: l.SID, Stamp: l.Stamp,
		Claims: l.Claims.cut(), Version: 1,
		RenewAt: milliseconds(l.RenewAt), CreatedAt: now, SeenAt: now, ExpiresAt: milliseconds(now.Add(m.cfg.Lifetime)),
		IP: l.IP, UserAgent: cut(l.UserAgent, maxUserAgent),
	}
	if l.Proved {
		r.ProvedAt = now
	}
	var err error
	r.Sealed, err = m.sealTokens(&r, l.Tokens)
	return r, err
}

func (c Claims) cut() Claims {
	c.Groups = c.Groups[:min(len(c.Groups), maxGroups)]
	return c
}

// cut shortens text to a number of bytes, between characters.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// milliseconds is a time as records have it.
func milliseconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
