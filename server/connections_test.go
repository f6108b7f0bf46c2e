package server

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"wavegate/server/session"
)

const connectionsPath = "/v1/auth/connections"

// withdrawPath is where the portal withdraws what an app may do.
func withdrawPath(id string) string { return "/_portal/connected/" + id + "/withdraw" }

// siteClient is a client that people can let in.
func (m *managed) siteClient(name string) madeClient {
	m.t.Helper()
	return m.makeClient("all", `{"name":"`+name+`","redirect_uris":["`+appRedirect+`"],"scopes":["streams:read","streams:write"]}`)
}

// checked compares an answer to a call of the API with its description.
func (m *managed) checked(a answer) answer {
	m.t.Helper()
	m.described.checkAnswer(m.t, a)
	return a
}

func TestPeopleSeeTheAppsThatTheyAllowed(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	m.checked(ann.api("GET", connectionsPath, "")).want(t, 200, "")
	if got := ann.api("GET", connectionsPath, ""); strings.TrimSpace(got.body) != `{"connections":[]}` {
		t.Errorf("before anything was allowed: %s", got.body)
	}
	zebra, apple := m.siteClient("Zebra"), m.siteClient("apple")
	ann.allow(zebra, "streams:read")
	ann.allow(apple, "streams:read streams:write")
	bob.allow(apple, "streams:read")
	a := m.checked(ann.api("GET", connectionsPath, "")).want(t, 200, "")
	list, _ := a.at(t, "connections").([]any)
	if len(list) != 2 {
		t.Fatalf("%s", a.body)
	}
	for i, want := range []struct {
		id     string
		scopes []any
	}{{apple.ID, []any{"streams:read", "streams:write"}}, {zebra.ID, []any{"streams:read"}}} {
		got := mapOf(list[i])
		scopes, _ := got["scopes"].([]any)
		if got["client_id"] != want.id || !slices.Equal(scopes, want.scopes) || got["remembered"] != true || got["grants"] != 1.0 || got["created_at"] == nil {
			t.Errorf("connection %d is %v, want %+v", i, got, want)
		}
	}
	bySession := m.call("GET", connectionsPath, "", by(ann.token())...).want(t, 200, "")
	if stripped(bySession) != stripped(a) {
		t.Errorf("a session token shows %s, the browser %s", bySession.body, a.body)
	}
	if page := ann.open("/_portal/connected"); !strings.Contains(page.body, "Zebra") || !strings.Contains(page.body, withdrawPath(apple.ID)) {
		t.Errorf("the portal shows no apps: %s", page.body)
	}
	if m.audited("grant.create", apple.ID) != 2 || m.audited("grant.create", zebra.ID) != 1 {
		t.Error("what people allowed was not written down")
	}
}

// TestWhoWithdrawsEndsAllTokensAtOnce withdraws by the API, by the API with a session
// token, and in the portal, and holds a socket and a stream open.
func TestWhoWithdrawsEndsAllTokensAtOnce(t *testing.T) {
	t.Parallel()
	for how, withdraw := range map[string]func(*managed, *browser, string) answer{
		"the API": func(m *managed, b *browser, id string) answer {
			return m.checked(b.api("DELETE", connectionsPath+"/"+id, "", "Sec-Fetch-Site", "same-origin")).want(m.t, 204, "")
		},
		"a session token": func(m *managed, b *browser, id string) answer {
			return m.call("DELETE", connectionsPath+"/"+id, "", by(b.token())...).want(m.t, 204, "")
		},
		"the portal": func(m *managed, b *browser, id string) answer {
			form := b.open(withdrawPath(id)).fields(m.t, withdrawPath(id))
			return b.press(withdrawPath(id), form).to(m.t, "/_portal/connected?done=app-withdrawn")
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			pair := sqlitePair(t)
			m, app := pair[0], pair[0].siteClient("App")
			kept := m.siteClient("Kept")
			ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
			given, bobs, others := ann.allow(app, "streams:read"), bob.allow(app, "streams:read"), ann.allow(kept, "streams:read")
			again := issuedIn(t, m.refreshed(app, given.Refresh))
			var ends, stay []open
			for _, m := range pair {
				ends = append(ends, m.socketWith(given.Access), m.streamWith(again.Access))
				stay = append(stay, m.socketWith(bobs.Access), m.socketWith(others.Access))
			}
			withdraw(m, ann, app.ID)
			for _, token := range []string{given.Access, again.Access} {
				m.do("GET", "/v1/streams", "", by(token)...).want(t, 401, "invalid_token")
			}
			for _, refresh := range []string{again.Refresh, given.Refresh} {
				m.refreshed(app, refresh).wantOAuth(t, 400, "invalid_grant")
			}
			for _, o := range ends {
				o.ended("the consent was withdrawn")
			}
			pair[1].do("GET", "/v1/streams", "", by(again.Access)...).want(t, 401, "invalid_token")
			for _, o := range stay {
				o.stays("the consent of somebody else, or to something else, was withdrawn")
			}
			m.do("GET", "/v1/streams", "", by(bobs.Access)...).want(t, 200, "")
			if a := ann.api("GET", connectionsPath, ""); strings.Contains(a.body, app.ID) || !strings.Contains(a.body, kept.ID) {
				t.Errorf("connections: %s", a.body)
			}
			m.checked(ann.api("DELETE", connectionsPath+"/"+app.ID, "", "Sec-Fetch-Site", "same-origin")).want(t, 404, "not_found")
			if n := m.audited("grant.withdraw", app.ID); n != 1 {
				t.Errorf("%d withdrawals in the audit log", n)
			}
			ann.allow(app, "streams:read") // fails where nobody is asked again
		})
	}
}

func TestConnectionsAreForTheirPersonAlone(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.siteClient("App")
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	given := ann.allow(app, "streams:read")
	key := m.call("POST", "/v1/auth/keys", `{"name":"k","scopes":["streams:read"]}`, by(ann.token())...).want(t, 201, "").text(t, "api_key.key")
	one := connectionsPath + "/" + app.ID
	none := m.checked(bob.api("DELETE", connectionsPath+"/client_none", "", "Sec-Fetch-Site", "same-origin")).want(t, 404, "not_found")
	if theirs := m.checked(bob.api("DELETE", one, "", "Sec-Fetch-Site", "same-origin")); stripped(theirs) != stripped(none) {
		t.Errorf("somebody else's: %d %s", theirs.StatusCode, theirs.body)
	}
	bob.press(withdrawPath(app.ID), url.Values{}).want(t, 404, "")
	for what, headers := range map[string][]string{
		"an access key": by("all"), "an administrator's": by("root"), "an API key of the person": by(key), "the app itself": by(given.Access),
	} {
		for _, x := range [][2]string{{"GET", connectionsPath}, {"DELETE", one}} {
			if a := m.call(x[0], x[1], "", headers...); a.StatusCode != 403 {
				t.Errorf("%s: %s: %d %s", what, x[0], a.StatusCode, a.body)
			}
		}
		m.call("GET", connectionsPath, "", headers...).want(t, 403, "session_required")
	}
	m.call("GET", connectionsPath, "").want(t, 401, "credential_required")
	m.checked(ann.api("DELETE", one, "", "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	if a := ann.send("POST", withdrawPath(app.ID), url.Values{}, "Sec-Fetch-Site", "cross-site"); a.StatusCode != 403 {
		t.Errorf("another site's form withdraws: %d", a.StatusCode)
	}
	m.do("GET", "/v1/streams", "", by(given.Access)...).want(t, 200, "")
	if m.audited("grant.withdraw", "") != 0 {
		t.Error("something was withdrawn")
	}
}

// TestAPersonWhoIsDisabledLendsNothing: what they allowed ends with them.
func TestAPersonWhoIsDisabledLendsNothing(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.siteClient("App")
	given := newBrowser(t, m.URL).signInLocal("ann").allow(app, "streams:read")
	socket := m.socketWith(given.Access)
	list, err := m.signIn.sessions.Sessions(t.Context(), session.Filter{All: true}, "", 10)
	must(t, err)
	m.as("root", "PATCH", "/v1/auth/users/"+list[0].UserID, `{"disabled":true}`).want(t, 200, "")
	m.do("GET", "/v1/streams", "", by(given.Access)...).want(t, 401, "invalid_token")
	socket.ended("the person was disabled")
	m.refreshed(app, given.Refresh).wantOAuth(t, 400, "invalid_grant")
}
