package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wavegate/server/session"
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
