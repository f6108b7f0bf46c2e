package server

import (
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestLoginIsFreshForAsLongAsTheSettingSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		within, ago time.Duration
		want        bool
	}{
		{15 * time.Minute, 0, true},
		{15 * time.Minute, 15*time.Minute - time.Millisecond, true},
		{15 * time.Minute, 15 * time.Minute, false},
		{15 * time.Minute, 700 * time.Hour, false},
		{15 * time.Minute, -time.Minute, true}, // another server's clock is ahead
		{0, 700 * time.Hour, true},
	} {
		s := &Server{cfg: Config{SignIn: SignIn{FreshLogin: tt.within}}}
		if got := s.fresh(&session.Record{ProvedAt: now.Add(-tt.ago)}, now); got != tt.want {
			t.Errorf("signed in %v ago, within %v: %v", tt.ago, tt.within, got)
		}
	}
}

// TestDangerousActsNeedAFreshLogin: a session that began too long ago may look, and
// do what hurts nobody; a credential that comes with the request is not asked.
func TestDangerousActsNeedAFreshLogin(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		within time.Duration
		refuse bool
	}{"an old login": {time.Nanosecond, true}, "a fresh one": {time.Hour, false}, "never asked": {0, false}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := issue(t, func(c *Config) { c.Admins, c.SignIn.FreshLogin = append(c.Admins, "local|ann"), tt.within })
			newBrowser(t, m.URL).signInLocal("bob")
			ann := newBrowser(t, m.URL).signInLocal("ann")
			bob := m.userID("bob")
			for _, c := range []struct {
				method, path, body string
				status             int
			}{
				{"POST", accessKeysPath, `{"id":"made"}`, 201},
				{"DELETE", accessKeysPath + "/watcher", "", 204},
				{"DELETE", accessKeysPath + "?id=narrow", "", 204},
				{"POST", signingKeysPath + "/rotate", "", 200},
				{"PATCH", "/v1/auth/users/" + bob, `{"roles":["viewer"]}`, 200},
				{"PATCH", "/v1/auth/users/" + bob, `{"disabled":true}`, 200},
				{"DELETE", "/v1/auth/sessions?user_id=" + bob, "", 200},
			} {
				a := m.checked(ann.api(c.method, c.path, c.body, "Sec-Fetch-Site", "same-origin"))
				if !tt.refuse {
					a.want(t, c.status, "")
					continue
				}
				if a.want(t, 403, "fresh_login_required"); !strings.Contains(a.body, "/_auth/login?switch=1") {
					t.Errorf("it does not say how: %s", a.body)
				}
				m.as("root", c.method, c.path, c.body).want(t, c.status, "")
			}
			for _, path := range []string{accessKeysPath, signingKeysPath, "/v1/auth/users", "/v1/auth/sessions?all=true"} {
				m.checked(ann.api("GET", path, "")).want(t, 200, "")
			}
			m.checked(ann.api("DELETE", "/v1/auth/sessions?others=true", "", "Sec-Fetch-Site", "same-origin")).want(t, 200, "")
		})
	}
}

// TestStrangersAreNotToldToSignInAgain: whoever may not do it at all hears that.
func TestStrangersAreNotToldToSignInAgain(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.SignIn.FreshLogin = time.Nanosecond })
	bob := newBrowser(t, m.URL).signInLocal("bob")
	m.checked(bob.api("POST", accessKeysPath, "{}", "Sec-Fetch-Site", "same-origin")).want(t, 403, "insufficient_role")
	m.checked(bob.api("DELETE", "/v1/auth/sessions?user_id="+m.userID("bob"), "", "Sec-Fetch-Site", "same-origin")).want(t, 403, "insufficient_role")
}
