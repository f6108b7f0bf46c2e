package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

func TestUsersInPages(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var want []string
		for i := range 5 {
			r := signIn(t, s, newRecord(fmt.Sprint("user", i), start.Add(time.Duration(i)*time.Second)))
			want = append([]string{r.UserID}, want...)
		}
		var got []string
		after := ""
		for range 10 {
			list, err := s.Users(t.Context(), after, 2)
			must(t, err)
			if len(list) == 0 {
				break
			}
			for _, u := range list {
				got = append(got, u.ID)
			}
			after = got[len(got)-1]
		}
		wantSame(t, "newest first", got, want)
		list, err := s.Users(t.Context(), "usr_none", 10)
		if len(list) != 0 || err != nil {
			t.Errorf("after nobody: %d users, %v", len(list), err)
		}
		list, err = s.Users(t.Context(), "", 100)
		must(t, err)
		for _, u := range list {
			one, err := s.User(t.Context(), u.ID)
			must(t, err)
			wantSame(t, "the same user", one, u)
		}
		if !slices.ContainsFunc(list, func(u session.User) bool { return u.Subject == "user3" && u.CreatedAt.Equal(start.Add(3*time.Second)) }) {
			t.Error("user3 is not listed")
		}
		_, err = s.User(t.Context(), "usr_none")
		wantErr(t, "nobody", err, session.ErrNoUser)
	})
}

func TestRolesOfAUserAreKeptAndTold(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		other := signIn(t, s, newRecord("bob", start))
		run(t, s, "DELETE FROM changes")
		must(t, s.SetRoles(t.Context(), r.UserID, 0, []string{"editor", "reader"}))
		wantSame(t, "changes", changes(t, s), []session.Change{{Kind: session.ChangedUser, Key: r.UserID}})
		u, err := s.User(t.Context(), r.UserID)
		must(t, err)
		wantSame(t, "roles of the user", u.Roles, []string{"editor", "reader"})
		got, err := s.Session(t.Context(), r.Hash)
		must(t, err)
		wantSame(t, "roles of the session", got.Roles, u.Roles)
		wantSame(t, "version", got.RolesVersion, int64(1))
		got, err = s.Session(t.Context(), other.Hash)
		must(t, err)
		wantSame(t, "roles of another", len(got.Roles), 0)
		wantErr(t, "over what somebody else set", s.SetRoles(t.Context(), r.UserID, 0, nil), session.ErrConflict)
		wantErr(t, "of nobody", s.SetRoles(t.Context(), "usr_none", 0, nil), session.ErrNoUser)
		wantErr(t, "of no text", s.SetRoles(t.Context(), "\xff", 0, nil), session.ErrNoUser)
		again, err := s.SignIn(t.Context(), newRecord("ann", start.Add(time.Hour)), session.Hash{}, start)
		must(t, err)
		wantSame(t, "after the next sign-in", again.Roles, u.Roles)
		must(t, s.SetRoles(t.Context(), r.UserID, 1, nil))
		u, err = s.User(t.Context(), r.UserID)
		must(t, err)
		wantSame(t, "taken away", len(u.Roles), 0)
	})
}

func TestRacingRolesAreOneOfThem(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		var won atomic.Int32
		together(6, func(i int) {
			switch err := s.SetRoles(t.Context(), r.UserID, 0, []string{fmt.Sprint("role", i)}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, session.ErrConflict):
				t.Error(err)
			}
		})
		wantSame(t, "won", won.Load(), int32(1))
	})
}

func TestUsersAreFoundByText(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for i, name := range []string{"ann", "Änne 100%", "under_score", "bob"} {
			r := newRecord(fmt.Sprint("auth0|", i), start.Add(time.Duration(i)*time.Second))
			r.Provider, r.Username, r.Email = "corp", name, fmt.Sprintf("Mail%d@example.com", i)
			signIn(t, s, r)
		}
		for search, want := range map[string][]string{
			"":                {"bob", "under_score", "Änne 100%", "ann"},
			"AN":              {"ann"},
			"änne":            {"Änne 100%"},
			"ÄNNE":            {"Änne 100%"},
			"%":               {"Änne 100%"},
			"_":               {"under_score"},
			"mail1@":          {"Änne 100%"},
			"auth0|3":         {"bob"},
			"corp|auth0|3":    {"bob"},
			"other|auth0|3":   nil,
			"corp":            nil,
			"' OR TRUE --":    nil,
			"nobody\x00":      nil,
			"\xff":            nil,
			"ann\nmail0@exam": {"ann"},
		} {
			list, err := s.FindUsers(t.Context(), search, "", 10)
			must(t, err)
			var got []string
			for _, u := range list {
				got = append(got, u.Username)
			}
			wantSame(t, search, got, want)
		}
		first, err := s.FindUsers(t.Context(), "example.com", "", 3)
		must(t, err)
		rest, err := s.FindUsers(t.Context(), "example.com", first[2].ID, 3)
		must(t, err)
		if len(first) != 3 || len(rest) != 1 || rest[0].Username != "ann" {
			t.Errorf("pages of %d and %d", len(first), len(rest))
		}
	})
}

// TestRenewedUserIsFoundByTheNewName: what users are found by follows what the
// provider says.
func TestRenewedUserIsFoundByTheNewName(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		r.Username = "Married"
		must(t, s.Renew(t.Context(), r))
		for search, want := range map[string]int{"married": 1, "ann": 1} {
			list, err := s.FindUsers(t.Context(), search, "", 10)
			must(t, err)
			wantSame(t, search, len(list), want)
		}
	})
}

// TestUsersFromBeforeRolesAreFound brings tables of an older version up to date.
func TestUsersFromBeforeRolesAreFound(t *testing.T) {
	for dialect, url := range map[string]string{"sqlite": storetest.SQLite(t), "postgres": storetest.Postgres(t)} {
		driver, address := "sqlite", strings.TrimPrefix(url, "sqlite:")
		if dialect == "postgres" {
			driver, address = "pgx", url
		}
		db, err := sql.Open(driver, address)
		must(t, err)
		provider, err := newProvider(db, dialect)
		must(t, err)
		_, err = provider.UpTo(t.Context(), 4)
		must(t, err)
		_, err = db.Exec(`INSERT INTO users (id, provider, issuer, subject, username, email, group_list, created_at, seen_at)
			VALUES ('usr_1', 'corp', 'i', 'S-1', 'Ann', 'Ann@Example.com', '[]', 1, 1)`)
		must(t, err)
		must(t, db.Close())
		s := open(t, Config{URL: url})
		for _, search := range []string{"ann", "example.com", "s-1", "corp|S-1"} {
			list, err := s.FindUsers(t.Context(), search, "", 10)
			must(t, err)
			if len(list) != 1 || len(list[0].Roles) != 0 || list[0].RolesVersion != 0 {
				t.Errorf("%s, %q: %+v", dialect, search, list)
			}
		}
	}
}
