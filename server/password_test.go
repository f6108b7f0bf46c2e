package server

import (
	"strings"
	"testing"

	"wavegate/server/store/storetest"
)

const (
	passwordPath = "/v1/auth/password"
	newPassword  = "correct horse battery"
)

func passwords(current, wanted string) string {
	return `{"current_password":"` + current + `","new_password":"` + wanted + `"}`
}

func TestPasswordIsChangedByTheAPI(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann, elsewhere, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	socket, before, token := elsewhere.dial("/ws"), ann.sessionCookie(), elsewhere.token()
	change := func(body string) answer {
		return m.checked(ann.api("POST", passwordPath, body, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin"))
	}
	for what, c := range map[string]struct{ body, field string }{
		"a wrong one":   {passwords("canary-wrong", newPassword), "current_password"},
		"the same":      {passwords("ann-password", "ann-password"), "new_password"},
		"too short":     {passwords("ann-password", "x"), "new_password"},
		"too long":      {passwords("ann-password", strings.Repeat("canary", 13)), "new_password"},
		"no new one":    {`{"current_password":"ann-password"}`, "new_password"},
		"no current":    {`{"new_password":"` + newPassword + `"}`, "current_password"},
		"no text":       {`{"current_password":1,"new_password":"` + newPassword + `"}`, "current_password"},
		"another field": {`{"user":"bob"}`, "user"},
	} {
		a := change(c.body).want(t, 400, "invalid_request")
		if !strings.Contains(a.body, `"field":"`+c.field+`"`) || strings.Contains(a.body, "canary") || strings.Contains(a.body, newPassword) {
			t.Errorf("%s: %s", what, a.body)
		}
	}
	m.wantSessions("after bad requests", 3)
	change(passwords("ann-password", newPassword)).want(t, 204, "")
	if after := ann.sessionCookie(); after == before || after == "" {
		t.Error("the browser has no new session")
	}
	ann.xhr("/x").want(t, 200, "")
	bob.xhr("/x").want(t, 200, "")
	socket.ended("the password was changed")
	elsewhere.xhr("/x").want(t, 401, "credential_required")
	m.do("GET", "/x", "", by(token)...).want(t, 401, "invalid_token")
	m.do("GET", "/x", "", "Cookie", "wavegate="+before).want(t, 401, "credential_required")
	if a := newBrowser(t, m.URL).signIn("ann", "ann-password", "/"); a.StatusCode != 401 {
		t.Errorf("the old password: %d", a.StatusCode)
	}
	if a := newBrowser(t, m.URL).signIn("ann", newPassword, "/"); a.StatusCode != 303 {
		t.Errorf("the new password: %d", a.StatusCode)
	}
	if n := m.audited("user.password", m.userID("ann")); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	for _, secret := range []string{"canary", newPassword, "ann-password"} {
		if strings.Contains(m.log.String(), secret) || strings.Contains(m.as("root", "GET", "/v1/auth/audit", "").body, secret) {
			t.Errorf("%s is in the log or the audit log", secret)
		}
	}
}

// TestPasswordChangedWithATokenEndsTheToken: a script gets no cookie.
func TestPasswordChangedWithATokenEndsTheToken(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	headers := by(ann.token())
	a := m.call("POST", passwordPath, passwords("ann-password", newPassword), headers...).want(t, 204, "")
	if got := a.Header.Values("Set-Cookie"); len(got) != 0 {
		t.Errorf("cookies: %d", len(got))
	}
	m.do("GET", "/x", "", headers...).want(t, 401, "invalid_token")
	ann.xhr("/x").want(t, 401, "credential_required")
	m.wantSessions("after it", 0)
}

func TestPasswordIsChangedByNobodyElse(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	m := issue(t, withProvider(t, idp))
	ann, other := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInAs("1001", "")
	body := passwords("ann-password", newPassword)
	key := madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"k","scopes":["streams:read"]}`))
	m.call("POST", passwordPath, body).want(t, 401, "credential_required")
	m.call("POST", passwordPath, body, by("root")...).want(t, 403, "session_required")
	m.call("POST", passwordPath, body, by(key.Key)...).want(t, 403, "session_required")
	m.checked(other.api("POST", passwordPath, body, "Sec-Fetch-Site", "same-origin")).want(t, 403, "password_elsewhere")
	m.checked(ann.api("POST", passwordPath, body, "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	if a := newBrowser(t, m.URL).signIn("ann", "ann-password", "/"); a.StatusCode != 303 {
		t.Errorf("the password is another: %d", a.StatusCode)
	}
}

// TestWrongCurrentPasswordsCountAsLoginsDo: a session is no way around the lockouts.
func TestWrongCurrentPasswordsCountAsLoginsDo(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Store = storetest.SQLite(t) })
	ann := newBrowser(t, m.URL).signInLocal("ann")
	try := func(current string) answer {
		return ann.api("POST", passwordPath, passwords(current, newPassword), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/json")
	}
	for range 10 {
		try("wrong").want(t, 400, "invalid_request")
	}
	a := m.checked(try("ann-password")).want(t, 429, "locked_out")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say for how long")
	}
	if a := newBrowser(t, m.URL).signIn("ann", "ann-password", "/"); a.StatusCode != 429 {
		t.Errorf("a login: %d", a.StatusCode)
	}
	ann.xhr("/x").want(t, 200, "")
}
