package session_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/identity"
	"wavegate/server/session"
)

// rolesNow are the roles of a session for the next request with it.
func rolesNow(t *testing.T, m *session.Manager, cookie string) []string {
	t.Helper()
	s, err := m.Get(t.Context(), cookie)
	must(t, err)
	return s.Record().Roles
}

func TestRolesCountForTheNextRequest(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		m := newManager(t, s, nil)
		cookie, sess := signIn(t, m, person("ann"))
		id := sess.Record().UserID
		must(t, m.SetRoles(t.Context(), id, 0, []string{"editor"}))
		if got := rolesNow(t, m, cookie); !slices.Equal(got, []string{"editor"}) {
			t.Errorf("given: %v", got)
		}
		later, _ := signIn(t, m, person("ann"))
		if got := rolesNow(t, m, later); !slices.Equal(got, []string{"editor"}) {
			t.Errorf("of a session that began later: %v", got)
		}
		wantErr(t, m.SetRoles(t.Context(), id, 0, []string{"other"}), session.ErrConflict)
		wantErr(t, m.SetRoles(t.Context(), "usr_none", 0, nil), session.ErrNoUser)
		must(t, m.SetRoles(t.Context(), id, 1, nil))
		for _, c := range []string{cookie, later} {
			if got := rolesNow(t, m, c); len(got) != 0 {
				t.Errorf("taken away: %v", got)
			}
		}
		if isEnded(sess.Ended()) {
			t.Error("the session ended")
		}
	})
}

// TestRolesThatChangeElsewhereAreHeardOf sets them in one process and looks at the
// other one.
func TestRolesThatChangeElsewhereAreHeardOf(t *testing.T) {
	noLeak(t)
	s := openSQLite(t)
	a, b := newManager(t, s, nil), newManager(t, s, nil)
	run(t, a)
	run(t, b)
	follow(t, s, b)
	cookie, sess := signIn(t, a, person("ann"))
	if got := rolesNow(t, b, cookie); len(got) != 0 {
		t.Fatalf("at first: %v", got)
	}
	for version, want := range [][]string{{"editor"}, {}, {"editor", "reader"}} {
		must(t, a.SetRoles(t.Context(), sess.Record().UserID, int64(version), want))
		eventually(t, "the other process knows", func() bool { return slices.Equal(rolesNow(t, b, cookie), want) })
	}
}

// TestRenewalKeepsRolesThatChangedMeanwhile: what the provider says and what an
// administrator says go past each other.
func TestRenewalKeepsRolesThatChangedMeanwhile(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		var m *session.Manager
		var calls atomic.Int32
		p := &idp{answer: func(ctx context.Context, r session.Record, tokens session.Tokens) (session.Renewal, error) {
			if calls.Add(1) == 1 {
				must(t, m.SetRoles(ctx, r.UserID, 0, []string{"editor"}))
			}
			next := renewed(r, tokens)
			next.RenewAt = time.Now().Add(time.Hour)
			return next, nil
		}}
		m = newManager(t, s, func(c *session.Config) { c.Renew = p.renew })
		cookie, _ := signIn(t, m, due("ann"))
		if _, err := m.Get(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the session is renewed", func() bool {
			got, err := m.Peek(t.Context(), cookie)
			must(t, err)
			return got.Record().Version == 2
		})
		got, err := m.Peek(t.Context(), cookie)
		must(t, err)
		if r := got.Record(); !slices.Equal(r.Roles, []string{"editor"}) || r.Groups[0] != "renewed" {
			t.Errorf("roles %v, groups %v", r.Roles, r.Groups)
		}
	})
}

// TestPrincipalIsMadeAnewForOtherRoles: it is kept for each version of a session.
func TestPrincipalIsMadeAnewForOtherRoles(t *testing.T) {
	m := newManager(t, newFaulty(), nil)
	cookie, sess := signIn(t, m, person("ann"))
	under, made := new(int), 0
	count := func(s *session.Session) {
		s.Principal(under, func(*session.Session) *identity.Principal {
			made++
			return &identity.Principal{}
		})
	}
	count(sess)
	count(sess)
	must(t, m.SetRoles(t.Context(), sess.Record().UserID, 0, []string{"editor"}))
	got, err := m.Get(t.Context(), cookie)
	must(t, err)
	count(got)
	if made != 2 || got != sess {
		t.Errorf("made %d times; the same session: %v", made, got == sess)
	}
}
