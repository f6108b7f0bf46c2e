package store

import (
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := newRecord("ann", start)
		u, err := s.SignIn(t.Context(), r, newHash(), start.Add(time.Minute))
		must(t, err)
		if !regexp.MustCompile(`^usr_[a-z2-7]{26}$`).MatchString(u.ID) {
			t.Errorf("user ID %q", u.ID)
		}
		want := session.User{
			ID: u.ID, Provider: "google", Issuer: r.Issuer, Subject: "ann", Claims: r.Claims, CreatedAt: start, SeenAt: start,
		}
		wantSame(t, "user", u, want)
		r.UserID = u.ID
		got, err := s.Session(t.Context(), r.Hash)
		must(t, err)
		wantSame(t, "session", got, r)

		t.Run("again brings the user up to date", func(t *testing.T) {
			again := newRecord("ann", start.Add(time.Hour))
			again.Claims = session.Claims{Username: "Ann B.", Email: "new@example.com"}
			u, err := s.SignIn(t.Context(), again, newHash(), start.Add(time.Minute))
			must(t, err)
			want.Claims, want.SeenAt = again.Claims, start.Add(time.Hour)
			wantSame(t, "user", u, want)
		})
		t.Run("a late one does not turn back when the user was seen", func(t *testing.T) {
			u, err := s.SignIn(t.Context(), newRecord("ann", start.Add(-time.Hour)), session.Hash{}, time.Time{})
			must(t, err)
			wantSame(t, "SeenAt", u.SeenAt, start.Add(time.Hour))
			wantSame(t, "CreatedAt", u.CreatedAt, start)
		})
	})
}

// TestSignInBareRecord stores a session in which everything that may be empty
// is.
func TestSignInBareRecord(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, session.Record{
			ID: "ses_1", Hash: newHash(), ClientID: "c", Provider: session.Local, Issuer: session.Local, Subject: "bob",
			Version: 1, CreatedAt: start, SeenAt: start, ExpiresAt: start.Add(time.Hour),
		})
		got, err := s.Session(t.Context(), r.Hash)
		must(t, err)
		wantSame(t, "session", got, r)
		if got.Sealed != nil || got.Groups != nil || !got.RenewAt.IsZero() {
			t.Errorf("nothing became something: %#v", got)
		}
	})
}

// TestAccountsLinkOnIssuerAndSubject, never on an e-mail address.
func TestAccountsLinkOnIssuerAndSubject(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		base := signIn(t, s, newRecord("ann", start))
		for name, change := range map[string]func(*session.Record){
			"other issuer":        func(r *session.Record) { r.Issuer = "https://evil.example.com" },
			"other subject":       func(r *session.Record) { r.Subject = "bob" },
			"subject's case":      func(r *session.Record) { r.Subject = "Ann" },
			"issuer's last slash": func(r *session.Record) { r.Issuer += "/" },
			"blank after":         func(r *session.Record) { r.Subject += " " },
		} {
			r := newRecord("ann", start)
			change(&r)
			r.Claims = base.Claims
			if got := signIn(t, s, r); got.UserID == base.UserID {
				t.Errorf("%s: the same user", name)
			}
		}
		r := newRecord("ann", start)
		r.Email = "other@example.com"
		if got := signIn(t, s, r); got.UserID != base.UserID {
			t.Error("another e-mail address made another user")
		}
	})
}

func TestAttemptIsUsedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		attempt := newHash()
		_, err := s.SignIn(t.Context(), newRecord("ann", start), attempt, start.Add(time.Minute))
		must(t, err)
		replay := newRecord("mallory", start)
		_, err = s.SignIn(t.Context(), replay, attempt, start.Add(time.Minute))
		wantErr(t, "replay", err, session.ErrAttemptUsed)
		wantSame(t, "session of the replay", there(t, s, replay), []bool{false})
		if n := count(t, s, "users"); n != 1 {
			t.Errorf("%d users, want 1: the replay left one", n)
		}
	})
}

func TestRacingSignInsOfOneAttempt(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		attempt := newHash()
		var won, used atomic.Int32
		together(50, func(i int) {
			_, err := stores[i%2].SignIn(t.Context(), newRecord("ann", start), attempt, start.Add(time.Minute))
			switch err {
			case nil:
				won.Add(1)
			case session.ErrAttemptUsed:
				used.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || used.Load() != 49 {
			t.Errorf("%d won and %d were refused, want 1 and 49", won.Load(), used.Load())
		}
		if n := count(t, s, "sessions"); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
	})
}

func TestRacingSignInsOfOneUser(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		users := make([]string, 100)
		together(len(users), func(i int) {
			subject := []string{"ann", "bob"}[i%2]
			u, err := stores[i/2%2].SignIn(t.Context(), newRecord(subject, start), newHash(), start.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if u.Subject != subject {
				t.Errorf("signed in %s, got %s", subject, u.Subject)
			}
			users[i] = u.ID
		})
		slices.Sort(users)
		if users = slices.Compact(users); len(users) != 2 {
			t.Errorf("two people became %d users", len(users))
		}
		if n := count(t, s, "sessions"); n != 100 {
			t.Errorf("%d sessions, want 100", n)
		}
	})
}

func TestDisabledUserCannotSignIn(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		must(t, s.SetDisabled(t.Context(), r.UserID, start))
		attempt := newHash()
		again := newRecord("ann", start.Add(time.Hour))
		again.Email = "changed@example.com"
		_, err := s.SignIn(t.Context(), again, attempt, start)
		wantErr(t, "sign in", err, session.ErrDisabled)
		u, err := s.User(t.Context(), r.UserID)
		must(t, err)
		if u.Email != "ann@example.com" || u.SeenAt != start {
			t.Errorf("a refused sign-in changed the user: %+v", u)
		}
		must(t, s.SetDisabled(t.Context(), r.UserID, time.Time{}))
		_, err = s.SignIn(t.Context(), again, attempt, start)
		must(t, err)
	})
}

// TestNoSessionSurvivesRacingDisable lets sign-ins and a disabling meet.
func TestNoSessionSurvivesRacingDisable(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		other := open(t, Config{URL: url})
		for range 10 {
			r := signIn(t, s, newRecord("ann", start))
			together(8, func(i int) {
				if i == 4 {
					if err := other.SetDisabled(t.Context(), r.UserID, start); err != nil {
						t.Error(err)
					}
					return
				}
				_, err := s.SignIn(t.Context(), newRecord("ann", start), newHash(), start)
				if err != nil && err != session.ErrDisabled {
					t.Error(err)
				}
			})
			if n := count(t, s, "sessions"); n != 0 {
				t.Fatalf("%d sessions of a disabled user", n)
			}
			must(t, s.SetDisabled(t.Context(), r.UserID, time.Time{}))
		}
	})
}

// TestSignInHostileText: what cannot be stored as it is may be mended where it
// is only shown, and is refused where it names somebody.
func TestSignInHostileText(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := newRecord("ann", start)
		r.Username, r.Email, r.UserAgent = "a\x00b", "ann\x00@example.com", "curl\xff\xfe"
		r.Groups = []string{"g\x00", `"]'; DROP TABLE users; --`}
		r = signIn(t, s, r)
		got, err := s.Session(t.Context(), r.Hash)
		must(t, err)
		r.Username, r.Email, r.UserAgent = "a\uFFFDb", "ann\uFFFD@example.com", "curl\uFFFD"
		wantSame(t, "session", got, r)

		for _, subject := range []string{"a\x00", "ann\x00", "\xff"} {
			_, err := s.SignIn(t.Context(), newRecord(subject, start), session.Hash{}, time.Time{})
			wantErr(t, "sign in", err, session.ErrUnavailable)
		}
		n, err := s.End(t.Context(), session.Filter{UserID: "\x00"})
		if n != 0 || err != nil {
			t.Errorf("End: %d, %v", n, err)
		}
		list, err := s.Sessions(t.Context(), session.Filter{All: true}, "\xff", 10)
		if len(list) != 0 || err != nil {
			t.Errorf("Sessions: %d, %v", len(list), err)
		}
		users, err := s.Users(t.Context(), "\x00", 10)
		if len(users) != 0 || err != nil {
			t.Errorf("Users: %d, %v", len(users), err)
		}
		_, err = s.User(t.Context(), "\x00")
		wantErr(t, "User", err, session.ErrNoUser)
		wantErr(t, "SetDisabled", s.SetDisabled(t.Context(), "\x00", start), session.ErrNoUser)
	})
}
