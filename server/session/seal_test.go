package session_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"

	"github.com/google/go-cmp/cmp"
)

// sealedBy returns a session as it lies in the store, and the store.
func sealedBy(t *testing.T, keys ...[]byte) (*faulty, string) {
	t.Helper()
	f := newFaulty()
	cookie, _ := signIn(t, newManager(t, f, func(c *session.Config) { c.Keys = keys }), person("ann"))
	return f, cookie
}

func tokensAfterRestart(t *testing.T, f *faulty, cookie string, keys ...[]byte) (session.Tokens, error) {
	t.Helper()
	m := newManager(t, f, func(c *session.Config) { c.Keys = keys })
	s, err := m.Get(t.Context(), cookie)
	must(t, err)
	return m.Tokens(s)
}

func TestTamperedTokensNeverOpen(t *testing.T) {
	f, cookie := sealedBy(t, secretKey(1))
	r, _ := f.record(hashOf(cookie))
	whole := r.Sealed
	refused := func(what string, sealed []byte) {
		f.edit(hashOf(cookie), func(r *session.Record) { r.Sealed = sealed })
		if tokens, err := tokensAfterRestart(t, f, cookie, secretKey(1)); err == nil || tokens != (session.Tokens{}) {
			t.Fatalf("%s: it opened", what)
		}
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d", bit, i), b)
		}
		if i > 0 {
			refused(fmt.Sprintf("cut after %d bytes", i), whole[:i])
		}
		if rest := whole[i+1:]; len(rest) > 0 { // nothing at all is a session without tokens
			refused(fmt.Sprintf("%d bytes from the start gone", i+1), rest)
		}
	}
}

func TestTokensOfOneSessionNeverOpenInAnother(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	_, bob := signIn(t, m, person("bob"))
	cookie, _ := signIn(t, m, person("ann"))
	f.edit(hashOf(cookie), func(r *session.Record) { r.Sealed = bob.Record().Sealed })
	if _, err := tokensAfterRestart(t, f, cookie, secretKey(1)); err == nil {
		t.Error("bob's tokens opened in ann's session")
	}
	a := session.NewAttempt("corp", "", "/", time.Now())
	value, err := m.SealAttempt(a)
	must(t, err)
	raw, err := base64.RawURLEncoding.DecodeString(value)
	must(t, err)
	f.edit(hashOf(cookie), func(r *session.Record) { r.Sealed = raw })
	if _, err := tokensAfterRestart(t, f, cookie, secretKey(1)); err == nil {
		t.Error("a login attempt opened as tokens")
	}
}

func TestOlderKeysStillOpen(t *testing.T) {
	f, cookie := sealedBy(t, secretKey(1))
	tokens, err := tokensAfterRestart(t, f, cookie, secretKey(2), secretKey(1))
	must(t, err)
	if tokens != person("ann").Tokens {
		t.Error("other tokens came out")
	}
	if _, err := tokensAfterRestart(t, f, cookie, secretKey(2)); err == nil {
		t.Error("tokens opened without their key")
	}
	newer, cookie := sealedBy(t, secretKey(2), secretKey(1))
	_, err = tokensAfterRestart(t, newer, cookie, secretKey(2))
	must(t, err) // the first key is the one that seals
}

func TestAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, newFaulty(), nil)
		a := session.NewAttempt("corp", "https://a.example.com/_auth/callback", "/deep?link=1&x=%2F#top", time.Now())
		if len(a.Verifier) < 43 || strings.Trim(a.Verifier, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Errorf("verifier %q", a.Verifier)
		}
		if b := session.NewAttempt("corp", "", "/", time.Now()); a.State == b.State || a.Nonce == b.Nonce || a.Verifier == b.Verifier || a.Hash() == b.Hash() {
			t.Error("two attempts share something")
		}
		if (session.Attempt{}).Hash() != (session.Hash{}) {
			t.Error("the zero attempt has a hash")
		}
		value, err := m.SealAttempt(a)
		must(t, err)
		for _, secret := range []string{a.State, a.Nonce, a.Verifier} {
			if strings.Contains(value, secret) || strings.Contains(fmt.Sprintf("%v %+v %#v", a, a, a), secret) {
				t.Error("a secret of the attempt can be read")
			}
		}
		got, err := m.OpenAttempt(a.State, value)
		must(t, err)
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("the attempt came back otherwise:\n%s", diff)
		}
		_, err = m.OpenAttempt(session.NewAttempt("", "", "", time.Now()).State, value)
		wantErr(t, err, session.ErrNoAttempt)
		_, err = newManager(t, newFaulty(), func(c *session.Config) { c.Keys = [][]byte{secretKey(2)} }).OpenAttempt(a.State, value)
		wantErr(t, err, session.ErrForeign)

		time.Sleep(10*time.Minute - time.Millisecond)
		_, err = m.OpenAttempt(a.State, value)
		must(t, err)
		time.Sleep(time.Millisecond)
		got, err = m.OpenAttempt(a.State, value)
		wantErr(t, err, session.ErrNoAttempt)
		if got.Next != a.Next {
			t.Error("it is not known any more where the late login was going")
		}
	})
}

func TestTamperedAttemptNeverOpens(t *testing.T) {
	m := newManager(t, newFaulty(), nil)
	a := session.NewAttempt("corp", "https://a.example.com/cb", "/", time.Now())
	value, err := m.SealAttempt(a)
	must(t, err)
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	refused := func(v string) {
		if _, err := m.OpenAttempt(a.State, v); !errors.Is(err, session.ErrNoAttempt) && !errors.Is(err, session.ErrForeign) {
			t.Fatalf("%q opened: %v", v, err)
		}
	}
	for i := range value {
		at := strings.IndexByte(digits, value[i])
		for bit := range 6 {
			refused(value[:i] + string(digits[at^1<<bit]) + value[i+1:])
		}
		refused(value[:i])
		refused(value[i+1:])
		refused(value[:i] + "\n" + value[i:])
	}
	refused(value + "=")
	refused(value + "A")
	refused(strings.Repeat("A", 1<<20))
}

func TestAttemptFitsACookie(t *testing.T) {
	m := newManager(t, newFaulty(), nil)
	for _, n := range []int{0, 100, 2048, 2049, 1 << 20} {
		a := session.NewAttempt("corp", "https://a.example.com/"+strings.Repeat("p", 400), "/"+strings.Repeat("n", n), time.Now())
		value, err := m.SealAttempt(a)
		must(t, err)
		if len(value) > 4000 {
			t.Errorf("%d bytes for a way back of %d", len(value), n)
		}
		got, err := m.OpenAttempt(a.State, value)
		must(t, err)
		if want := map[bool]string{true: a.Next, false: ""}[len(a.Next) <= 2048]; got.Next != want {
			t.Errorf("a way back of %d bytes came back with %d", len(a.Next), len(got.Next))
		}
	}
	if _, err := m.SealAttempt(session.NewAttempt("corp", strings.Repeat("p", 5000), "/", time.Now())); err == nil {
		t.Error("a cookie that browsers drop was made")
	}
	if _, err := m.SealAttempt(session.Attempt{}); err == nil {
		t.Error("an attempt without a state was sealed")
	}
}

// FuzzOpenAttempt opens nothing but the one attempt that was sealed.
func FuzzOpenAttempt(f *testing.F) {
	m := newManager(f, newFaulty(), nil)
	a := session.NewAttempt("corp", "https://a.example.com/cb", "/", time.Now())
	a.State, a.Nonce, a.Verifier = "state", "nonce", "verifier" // the same in all processes of a fuzzer
	a.Ends = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	value, err := m.SealAttempt(a)
	must(f, err)
	f.Add(a.State, value)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, state, v string) {
		if got, err := m.OpenAttempt(state, v); err == nil && got != a {
			t.Errorf("%q opened %q", state, v)
		}
	})
}
