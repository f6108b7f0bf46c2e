package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"wavegate/server/seal"
)

// Errors of OpenAttempt.
var (
	ErrNoAttempt = errors.New("no such login attempt")                          // none, ended, or another tab's
	ErrForeign   = errors.New("the login attempt was sealed by another secret") // replicas disagree, or an old secret was removed
)

const (
	attemptFor = 10 * time.Minute

	// maxAttempt bounds the value of an attempt's cookie, in bytes: browsers drop
	// cookies whose name and value are over 4096 (RFC 6265bis, section 5.7).
	maxAttempt = 4000

	// maxNext bounds the way back that an attempt remembers, in bytes; a longer
	// one is forgotten rather than the login.
	maxNext = 2048
)

// An Attempt is one login at a provider on its way. It travels sealed in a
// cookie of its own, so that the server keeps nothing for strangers and tabs do
// not disturb one another.
type Attempt struct {
	State       string // names the attempt; comes back in the callback's address
	Nonce       string // comes back in the ID token
	Verifier    string // of PKCE (RFC 7636)
	Provider    string
	RedirectURL string
	Next        string // where the browser wanted to go
	Ends        time.Time
	Again       bool // the provider was asked to have the person prove who they are
}

// NewAttempt returns an attempt that ends 10 minutes after now.
func NewAttempt(provider, redirectURL, next string, now time.Time) Attempt {
	return Attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), // 52 characters; RFC 7636 wants 43
		Provider: provider, RedirectURL: redirectURL, Next: next, Ends: milliseconds(now.Add(attemptFor)),
	}
}

// Hash is the name under which the store remembers that the attempt is used up;
// zero for the zero Attempt.
func (a Attempt) Hash() Hash {
	if a.State == "" {
		return Hash{}
	}
	return sha256.Sum256([]byte("wavegate login attempt\x00" + a.State))
}

// SealAttempt returns the value of an attempt's cookie. A Next that is too long
// for a cookie is left out.
func (m *Manager) SealAttempt(a Attempt) (value string, err error) {
	if a.State == "" {
		return "", errors.New("a login attempt needs a state")
	}
	if len(a.Next) > maxNext {
		a.Next = ""
	}
	var p packed
	for _, s := range []string{a.Nonce, a.Verifier, a.Provider, a.RedirectURL, a.Next} {
		p.text(s)
	}
	p.time(a.Ends)
	if a.Again {
		p.text("again")
	}
	sealed, err := m.seals.Seal(sealedAttempt, a.State, p)
	if err != nil {
		return "", err
	}
	value = base64.RawURLEncoding.EncodeToString(sealed)
	if len(value) > maxAttempt {
		return "", fmt.Errorf("the login attempt needs %d bytes, and a cookie holds %d: the redirect URL is too long", len(value), maxAttempt)
	}
	return value, nil
}

// OpenAttempt returns the attempt of a state that came back, from the value of
// its cookie. Errors: ErrNoAttempt, ErrForeign. An attempt that is genuine and
// only too late comes with ErrNoAttempt: where it was going may still be of use.
func (m *Manager) OpenAttempt(state, value string) (Attempt, error) {
	if state == "" || value == "" || len(value) > maxAttempt {
		return Attempt{}, ErrNoAttempt
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(sealed) != base64.RawURLEncoding.DecodedLen(len(value)) { // line breaks are skipped otherwise
		return Attempt{}, ErrNoAttempt
	}
	plain, err := m.seals.Open(sealedAttempt, state, sealed)
	switch {
	case errors.Is(err, seal.ErrForeign):
		return Attempt{}, ErrForeign
	case err != nil:
		return Attempt{}, ErrNoAttempt
	}
	u := unpacking{rest: plain}
	a := Attempt{
		State: state, Nonce: u.text(), Verifier: u.text(), Provider: u.text(),
		RedirectURL: u.text(), Next: u.text(), Ends: u.time(),
	}
	a.Again = !u.done() && u.text() == "again"
	if !u.done() {
		return Attempt{}, ErrNoAttempt
	}
	if !m.cfg.Now().Before(a.Ends) {
		return a, ErrNoAttempt
	}
	return a, nil
}

// String keeps what an attempt is worth out of logs and errors.
func (a Attempt) String() string { return "[login attempt at " + a.Provider + "]" }

// GoString keeps it out of %#v.
func (a Attempt) GoString() string { return a.String() }
