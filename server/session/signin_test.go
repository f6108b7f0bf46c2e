package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"wavegate/server/identity"
	"wavegate/server/session"

	"github.com/google/go-cmp/cmp"
)

func TestSignInNeverStoresTheCookie(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, nil)
	seen := map[string]bool{}
	for range 200 {
		cookie, s := signIn(t, m, person("ann"))
		if len(cookie) < 26 || seen[cookie] {
			t.Fatalf("cookie %q: want 26 characters of base32 (130 bits), each time others", cookie)
		}
		seen[cookie] = true
		if s.Record().Hash != hashOf(cookie) {
			t.Fatal("the session is not known by the SHA-256 of its cookie")
		}
		if id := s.Record().ID; !strings.HasPrefix(id, "ses_") || len(id) != 30 || seen[id] || strings.Contains(strings.ToUpper(id), cookie) {
			t.Fatalf("public name %q", id)
		}
		seen[s.Record().ID] = true
	}
	dump := f.dump()
	for secret := range seen {
		if !strings.HasPrefix(secret, "ses_") && strings.Contains(dump, secret) {
			t.Fatal("a cookie's value is in the store")
		}
	}
	for _, token := range []string{"idtoken-ann", "access-ann", "refresh-ann"} {
		if strings.Contains(dump, token) {
			t.Fatalf("the token %q is in the store unsealed", token)
		}
	}
}

func TestPlantedCookieStaysAnonymous(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		planted := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		_, err := m.Get(t.Context(), planted)
		wantErr(t, err, session.ErrNoSession)
		cookie, _ := signIn(t, m, person("ann"))
		if cookie == planted {
			t.Fatal("the planted cookie was used")
		}
		_, err = m.Get(t.Context(), planted)
		wantErr(t, err, session.ErrNoSession)
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		before, _ := signIn(t, m, person("ann"))
		if before == cookie {
			t.Fatal("a second sign-in used the first one's cookie again")
		}
	})
}

func TestSignInIsThereForAllManagers(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		a, b := newManager(t, s, nil), newManager(t, s, nil)
		login := person("ann")
		login.UserAgent = strings.Repeat("é", 300)
		login.RenewAt = time.Now().Add(time.Hour)
		cookie, sa := signIn(t, a, login)
		sb, err := b.Get(t.Context(), cookie)
		must(t, err)
		if diff := cmp.Diff(sa.Record(), sb.Record()); diff != "" {
			t.Errorf("another process reads the session otherwise (-signed in +read):\n%s", diff)
		}
		r := sb.Record()
		if len(r.UserAgent) > 256 || !utf8.ValidString(r.UserAgent) {
			t.Errorf("user agent of %d bytes", len(r.UserAgent))
		}
		if r.ExpiresAt.Sub(r.CreatedAt) != a.Lifetime() || r.UserID == "" || r.ClientID == "" || r.Version != 1 {
			t.Errorf("record %+v", r)
		}
		tokens, err := b.Tokens(sb)
		must(t, err)
		if tokens != login.Tokens {
			t.Error("the tokens are others than those that were sealed")
		}
		byID, err := b.ByID(t.Context(), r.ID)
		must(t, err)
		if byID != sb {
			t.Error("there are two of one session")
		}
		fresh := newManager(t, s, nil)
		byID, err = fresh.ByID(t.Context(), r.ID)
		must(t, err)
		if byID.Record().Hash != r.Hash {
			t.Error("the public name leads to another session")
		}
		for _, id := range []string{"", "ses_", r.ID + "a", strings.ToUpper(r.ID), "ses_" + strings.Repeat("a", 26)} {
			_, err := fresh.ByID(t.Context(), id)
			wantErr(t, err, session.ErrNoSession)
		}
	})
}

func TestAttemptIsNeverUsedTwice(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		login := person("ann")
		login.Attempt = session.NewAttempt("corp", "https://a.example.com/_auth/callback", "/", time.Now())
		var wins, used int
		var mu sync.Mutex // guards both
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := m.SignIn(t.Context(), login)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					wins++
				case errors.Is(err, session.ErrAttemptUsed):
					used++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins != 1 || used != 19 {
			t.Errorf("%d sign-ins with one attempt, %d refused", wins, used)
		}
	})
}

func TestDisabledUserIsOut(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		cookie, sess := signIn(t, m, person("ann"))
		other, otherSess := signIn(t, m, person("bob"))
		must(t, m.SetDisabled(t.Context(), sess.Record().UserID, time.Now()))
		if !isEnded(sess.Ended()) {
			t.Error("sockets of a disabled user were not told")
		}
		_, err := m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
		_, _, err = m.SignIn(t.Context(), person("ann"))
		wantErr(t, err, session.ErrDisabled)
		_, err = m.Get(t.Context(), other)
		must(t, err)
		if isEnded(otherSess.Ended()) {
			t.Error("somebody else's session ended")
		}
		must(t, m.SetDisabled(t.Context(), sess.Record().UserID, time.Time{}))
		_, err = m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
		signIn(t, m, person("ann"))
		wantErr(t, m.SetDisabled(t.Context(), "usr_nobody", time.Now()), session.ErrNoUser)
		_, err = m.User(t.Context(), "usr_nobody")
		wantErr(t, err, session.ErrNoUser)
	})
}

// TestParallelSignInsAreNeverMixedUp signs two people in a hundred times at once
// and uses what they got.
func TestParallelSignInsAreNeverMixedUp(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		a, b := newManager(t, s, nil), newManager(t, s, nil)
		under := new(int)
		principal := func(s *session.Session) *identity.Principal {
			return &identity.Principal{Username: s.Record().Username, SessionID: s.Record().ID}
		}
		check := func(m *session.Manager, cookie, name string) error {
			s, err := m.Get(context.Background(), cookie)
			if err != nil {
				return err
			}
			tokens, err := m.Tokens(s)
			if err != nil {
				return err
			}
			p := s.Principal(under, principal)
			if s.Record().Hash != hashOf(cookie) || p.Username != name || p.SessionID != s.Record().ID || tokens.Access != "access-"+name {
				return fmt.Errorf("the cookie of %s is that of %s (principal %s)", name, s.Record().Username, p.Username)
			}
			return nil
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				name := []string{"ann", "bob"}[i%2]
				cookie, _, err := a.SignIn(context.Background(), person(name))
				for range 5 {
					for _, m := range []*session.Manager{a, b} {
						if err == nil {
							err = check(m, cookie, name)
						}
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestPrincipalIsMadeOnce(t *testing.T) {
	m := newManager(t, newFaulty(), nil)
	_, s := signIn(t, m, person("ann"))
	policies, made := [2]*int{new(int), new(int)}, 0
	makeOne := func(*session.Session) *identity.Principal { made++; return &identity.Principal{} }
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { s.Principal(policies[0], makeOne) })
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("made %d times under one policy", made)
	}
	first := s.Principal(policies[0], makeOne)
	if s.Principal(policies[1], makeOne) == first || made != 2 {
		t.Error("another policy got the Principal of the first")
	}
	none := func(*session.Session) *identity.Principal { return nil }
	if s.Principal(new(int), none) != nil || s.Principal(policies[1], makeOne) == nil || made != 2 {
		t.Error("no Principal was kept as one")
	}
}
