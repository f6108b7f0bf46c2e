package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPeopleEndTheirOtherSessions(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann, phone, old, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	socket := phone.dial("/ws")
	a := m.checked(ann.api("DELETE", "/v1/auth/sessions?others=true", "", "Sec-Fetch-Site", "same-origin")).want(t, 200, "")
	if got := a.at(t, "ended"); got != 2.0 {
		t.Errorf("ended %v", got)
	}
	socket.ended("the session was ended from another one")
	for _, b := range []*browser{phone, old} {
		b.xhr("/x").want(t, 401, "credential_required")
	}
	for _, b := range []*browser{ann, bob} {
		b.xhr("/x").want(t, 200, "")
	}
	// The same with the session's token, which is of this session too.
	newBrowser(t, m.URL).signInLocal("ann")
	a = m.call("DELETE", "/v1/auth/sessions?others=true", "", by(ann.token())...).want(t, 200, "")
	if got := a.at(t, "ended"); got != 1.0 {
		t.Errorf("ended %v", got)
	}
	ann.xhr("/x").want(t, 200, "")
	a = m.checked(ann.api("DELETE", "/v1/auth/sessions?others=true", "", "Sec-Fetch-Site", "same-origin")).want(t, 200, "")
	if got := a.at(t, "ended"); got != 0.0 {
		t.Errorf("ended %v where there is no other", got)
	}
	id := m.userID("ann")
	if n := m.audited("session.end", id); n != 2 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestAdministratorsEndAllSessionsOfSomebody(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	newBrowser(t, m.URL).signInLocal("ann")
	id := m.userID("ann")
	path := "/v1/auth/sessions?user_id=" + id
	m.checked(bob.api("DELETE", path, "", "Sec-Fetch-Site", "same-origin")).want(t, 403, "insufficient_role")
	m.checked(ann.api("DELETE", path, "", "Sec-Fetch-Site", "same-origin")).want(t, 403, "insufficient_role")
	m.checked(ann.api("DELETE", "/v1/auth/sessions?others=true", "", "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	m.try([]try{
		{"all", "DELETE", path, "", 403, "insufficient_role", nil, nil},
		{"root", "DELETE", "/v1/auth/sessions", "", 400, "invalid_request", []string{`"field":"others"`}, nil},
		{"root", "DELETE", "/v1/auth/sessions?others=false", "", 400, "invalid_request", []string{`"field":"others"`}, nil},
		{"root", "DELETE", path + "&others=true", "", 400, "invalid_request", []string{`"field":"others"`}, nil},
		{"root", "DELETE", path + "&all=true", "", 400, "invalid_request", []string{`"field":"all"`}, nil},
		{"root", "DELETE", "/v1/auth/sessions?others=true", "", 403, "session_required", nil, nil},
		{"root", "DELETE", "/v1/auth/sessions?user_id=usr_none", "", 404, "not_found", nil, nil},
	})
	m.call("DELETE", path, "").want(t, 401, "credential_required")
	m.wantSessions("after what was refused", 3)
	m.as("root", "DELETE", path, "").want(t, 200, "")
	ann.xhr("/x").want(t, 401, "credential_required")
	bob.xhr("/x").want(t, 200, "")
	m.wantSessions("at the end", 1)
	e := m.as("root", "GET", "/v1/auth/audit?action=session.end", "").want(t, 200, "")
	got := []any{e.at(t, "entries.0.target"), e.at(t, "entries.0.owner"), e.at(t, "entries.0.details"), e.at(t, "entries.0.actor")}
	if diff := cmp.Diff([]any{id, "sub:local|ann", map[string]any{"sessions": "all"}, "key:root"}, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	m.as("root", "PATCH", "/v1/auth/users/"+id, `{"disabled": false}`).want(t, 200, "") // they were ended, not kept out
	newBrowser(t, m.URL).signInLocal("ann")
}
