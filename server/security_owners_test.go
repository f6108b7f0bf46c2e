package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"wavegate/oidc/oidctest"
)

// sessionsOf returns the sessions that the API lists for a caller, by ID.
func sessionsOf(t *testing.T, a answer) map[string]map[string]any {
	t.Helper()
	a.want(t, 200, "")
	out := map[string]map[string]any{}
	list, _ := a.object(t)["sessions"].([]any)
	for _, one := range list {
		s := one.(map[string]any)
		out[s["id"].(string)] = s
	}
	return out
}

func TestNobodySeesOrEndsSomebodyElsesSession(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), withKeys(t, "id:secret"))
	ann, ann2, bob := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("bob")
	own := sessionsOf(t, bob.api("GET", "/v1/auth/sessions", ""))
	anns := sessionsOf(t, ann.api("GET", "/v1/auth/sessions", ""))
	if len(own) != 1 || len(anns) != 2 {
		t.Fatalf("bob sees %d sessions and ann %d", len(own), len(anns))
	}
	var annUser string
	for id, s := range anns {
		annUser = s["user_id"].(string)
		for _, value := range s {
			if text, ok := value.(string); ok && (text == ann.sessionCookie() || text == ann2.sessionCookie()) {
				t.Error("a cookie's value is in the list")
			}
		}
		for what, status := range map[string]int{"/v1/auth/sessions/" + id: 404, "/v1/auth/sessions/ses_none": 404, "/v1/auth/sessions/": 404, "/v1/auth/sessions/x/" + id: 404} {
			bob.api("DELETE", what, "").want(t, status, "not_found")
			ts.do("DELETE", what, "", "Authorization", basic("id", "secret")).want(t, status, "not_found")
			ts.do("DELETE", what, "", "Authorization", "Bearer "+bob.token()).want(t, status, "not_found")
		}
		// The form of the portal: as if it had worked, and nothing ends.
		bob.press("/_portal/sessions", url.Values{"id": {id}}).to(t, "/_portal/sessions?done=session-ended")
		if page := bob.open("/_portal/sessions").want(t, 200, ""); strings.Contains(page.body, id) {
			t.Error("bob's page names a session of ann's")
		}
	}
	bob.press("/_portal/sessions", url.Values{"id": {""}}).want(t, 400, "")
	bob.press("/_portal/sessions", url.Values{"others": {"true"}}).to(t, "/_portal/sessions?done=sessions-ended")
	ts.wantSessions("after bob's tries", 3)
	key := []string{"Authorization", basic("id", "secret")}
	for _, query := range []string{"?all=true", "?user_id=" + annUser} {
		bob.api("GET", "/v1/auth/sessions"+query, "").want(t, 403, "insufficient_role")
		ts.do("GET", "/v1/auth/sessions"+query, "", key...).want(t, 403, "insufficient_role")
	}
	if got := sessionsOf(t, ts.do("GET", "/v1/auth/sessions", "", key...)); len(got) != 0 {
		t.Errorf("a key that is no administrator's sees %d sessions", len(got))
	}
	for _, c := range [][3]string{{"GET", "/v1/auth/users", ""}, {"GET", "/v1/auth/users/" + annUser, ""}, {"PATCH", "/v1/auth/users/" + annUser, `{"disabled":true}`}} {
		bob.api(c[0], c[1], c[2]).want(t, 403, "insufficient_role")
		ts.do(c[0], c[1], c[2], key...).want(t, 403, "insufficient_role")
		ts.do(c[0], c[1], c[2]).want(t, 401, "credential_required")
	}
	ann.xhr("/x").want(t, 200, "")
	// One's own can be ended, and others stay.
	ann.press("/_portal/sessions", url.Values{"others": {"true"}}).to(t, "/_portal/sessions?done=sessions-ended")
	ann2.xhr("/x").want(t, 401, "credential_required")
	bob.xhr("/x").want(t, 200, "")
	for id := range own {
		bob.api("DELETE", "/v1/auth/sessions/"+id, "").want(t, 204, "")
	}
	bob.xhr("/x").want(t, 401, "credential_required")
	ts.wantSessions("at the end", 1)
}

func TestAdministratorsAreNamedByWhatTheProviderVerified(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	idp.SetUser("mallory", oidctest.Claims{"email": "bob@example.com", "email_verified": false, "preferred_username": "bob@example.com", "name": "local|ann"})
	ts := guarded(t, whoApp, withUsers(t), withKeys(t, "id:secret", "root:secret", "bob@example.com:secret"), withProvider(t, idp), func(c *Config) {
		c.Admins = []string{"bob@example.com", "local|ann", "root"}
	})
	idp.SetUser("root", oidctest.Claims{"preferred_username": "root"})
	mallory, plain := newBrowser(t, ts.URL).signInAs("mallory", ""), newBrowser(t, ts.URL).signInAs("1001", "")
	for what, b := range map[string]*browser{"an address that is not verified": mallory, "somebody else": plain} {
		if a := b.api("GET", "/v1/auth/sessions?all=true", ""); a.StatusCode != 403 {
			t.Errorf("%s: %d", what, a.StatusCode)
		}
	}
	ts.do("GET", "/v1/auth/users", "", "Authorization", basic("bob@example.com", "secret")).want(t, 403, "insufficient_role") // an ID is no address
	bob, ann := newBrowser(t, ts.URL).signInAs("1002", ""), newBrowser(t, ts.URL).signInLocal("ann")
	if got := sessionsOf(t, bob.api("GET", "/v1/auth/sessions?all=true", "")); len(got) != 4 {
		t.Errorf("the administrator sees %d sessions", len(got))
	}
	ts.do("GET", "/v1/auth/users", "", "Authorization", "Bearer "+bob.token()).want(t, 403, "insufficient_role") // a token is no administrator
	ts.do("GET", "/v1/auth/users", "", "Authorization", basic("root", "secret")).want(t, 200, "")
	for id, s := range sessionsOf(t, ann.api("GET", "/v1/auth/sessions?all=true", "")) {
		if s["username"] == "ann" && s["provider"] == "main" {
			ann.api("DELETE", "/v1/auth/sessions/"+id, "").want(t, 204, "")
		}
	}
	plain.xhr("/x").want(t, 401, "credential_required")
	bob.xhr("/x").want(t, 200, "")
}

func TestDisabledUserIsOutAndCannotSignIn(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, socketApp, withUsers(t), withProvider(t, idp), withKeys(t, "root:secret"), func(c *Config) { c.Admins = []string{"root"} })
	root := []string{"Authorization", basic("root", "secret")}
	for how, signIn := range map[string]func(*browser) answer{
		"password": func(b *browser) answer { return b.signIn("bob", "bob-password", "/") },
		"provider": func(b *browser) answer { return b.send("GET", b.begin("1002", nil), nil) },
	} {
		b, waiting := newBrowser(t, ts.URL), newBrowser(t, ts.URL)
		signIn(b)
		socket, token := b.dial("/ws"), b.token()
		user := ts.allSessions()[0].UserID
		var late string
		if how == "provider" {
			late = waiting.begin("1002", nil) // under way when the user is disabled
		}
		ts.do("PATCH", "/v1/auth/users/"+user, `{"disabled":true}`, root...).want(t, 200, "")
		socket.ended(how + ": the user was disabled")
		b.xhr("/x").want(t, 401, "credential_required")
		ts.do("GET", "/x", "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
		for range 2 {
			fresh := newBrowser(t, ts.URL)
			a := signIn(fresh)
			if a.StatusCode != 403 || fresh.sessionCookie() != "" || !strings.Contains(a.body, "disabled") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s: signing in again: %d %.300s", how, a.StatusCode, a.body)
			}
		}
		if late != "" {
			if a := waiting.send("GET", late, nil); a.StatusCode != 403 || waiting.sessionCookie() != "" {
				t.Errorf("a login under way: %d", a.StatusCode)
			}
		}
		ts.wantSessions(how, 0)
		ts.do("PATCH", "/v1/auth/users/"+user, `{"disabled":false}`, root...).want(t, 200, "")
		if a := signIn(b); a.StatusCode != 303 {
			t.Errorf("%s: enabled again: %d", how, a.StatusCode)
		}
		b.send("POST", "/_auth/logout", url.Values{})
	}
	for _, body := range []string{"", "{}", "null", `{"disabled":null}`, `{"disabled":"true"}`, `{"disabled":true,"x":1}`, `{"disabled":true}{}`, `[true]`} {
		ts.do("PATCH", "/v1/auth/users/usr_none", body, root...).want(t, 400, "invalid_request")
	}
	ts.do("PATCH", "/v1/auth/users/usr_none", `{"disabled":true}`, root...).want(t, 404, "not_found")
}

func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) { c.Admins = []string{"local|ann"} })
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	newBrowser(t, ts.URL).signInLocal("ann")
	newBrowser(t, ts.URL).signInLocal("bob")
	all := ts.allSessions()
	for _, c := range []struct{ method, path, body, kind string }{
		{"POST", "/_auth/login", "username=bob&password=bob-password", "application/x-www-form-urlencoded"}, // login CSRF
		{"POST", "/_auth/logout", "", "application/x-www-form-urlencoded"},
		{"POST", "/_portal/sessions", "id=" + all[1].ID, "application/x-www-form-urlencoded"},
		{"POST", "/_portal/sessions", "others=true", "application/x-www-form-urlencoded"},
		{"POST", "/_portal/profile", "current_password=ann-password&new_password=correct-horse-1&repeat_password=correct-horse-1", "application/x-www-form-urlencoded"},
		{"POST", "/_auth/token", "", "text/plain"},
		{"DELETE", "/v1/auth/sessions/" + all[0].ID, "", "text/plain"},
		{"PATCH", "/v1/auth/users/" + all[0].UserID, `{"disabled":true}`, "text/plain"},
	} {
		for what, headers := range map[string][]string{
			"cross-site":        {"Sec-Fetch-Site", "cross-site"},
			"same-site":         {"Sec-Fetch-Site", "same-site"},
			"another Origin":    {"Origin", "https://evil.example"},
			"the same, https":   {"Origin", strings.Replace(ts.URL, "http:", "https:", 1) + "0"},
			"Origin null":       {"Origin", "null"},
			"both, they differ": {"Sec-Fetch-Site", "cross-site", "Origin", ts.URL},
		} {
			a := ann.api(c.method, c.path, c.body, append([]string{"Content-Type", c.kind}, headers...)...)
			if a.StatusCode != 403 || len(a.Header["Set-Cookie"]) > 0 || strings.Contains(a.body, "access_token") {
				t.Errorf("%s %s, %s: %d, cookies %q: %.200s", c.method, c.path, what, a.StatusCode, a.Header["Set-Cookie"], a.body)
			}
		}
	}
	ts.wantSessions("after all of them", 3)
	if a := newBrowser(t, ts.URL).signIn("ann", "ann-password", "/"); a.StatusCode != 303 {
		t.Errorf("the password was changed: %d", a.StatusCode)
	}
	if a := ann.api("POST", "/_auth/token", "", "Sec-Fetch-Site", "same-origin", "Origin", ts.URL); a.StatusCode != 200 {
		t.Errorf("our own pages: %d", a.StatusCode)
	}
}

// handleApp is an app that keeps what it was handed.
type handleApp struct {
	url string
	mu  sync.Mutex // guards got
	got http.Header
}

func newHandleApp(t *testing.T) *handleApp {
	app := &handleApp{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		app.mu.Lock()
		defer app.mu.Unlock()
		app.got = r.Header.Clone()
	}))
	t.Cleanup(server.Close)
	app.url = server.URL
	return app
}

func (a *handleApp) header(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got.Get(name)
}

func TestTokensOfASessionGoToTheOwnerOfTheAppAlone(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens) // Fresh asks the provider each time
	app, other, plain := newHandleApp(t), newHandleApp(t), newHandleApp(t)
	ts := configured(t, withKeys(t, "owner:secret", "mallory:secret"), withUsers(t), withProvider(t, idp), func(c *Config) {
		withPolicy(t, "upstreams:\n  - {route: /plain, url: \""+plain.url+"\"}\n")(c)
	})
	register := func(id, route, address string) {
		body := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":%q,"address":%q,"key_id":"a","key_secret":"b"}}`, route, address)
		ts.do("POST", "/", body, "Authorization", basic(id, "secret"), "Content-Type", "application/json").want(t, 200, "")
	}
	register("owner", "/app", app.url)
	register("mallory", "/evil", other.url)
	b := newBrowser(t, ts.URL).signInAs("1001", "")
	for _, path := range []string{"/app/x", "/evil/x", "/plain/x"} {
		b.xhr(path).want(t, 200, "")
	}
	handle, theirs := app.header("Wave-Session-ID"), other.header("Wave-Session-ID")
	if handle == "" || theirs == "" || handle == theirs || handle == b.sessionCookie() || app.header("Wave-Access-Token") == "" {
		t.Fatalf("handles %q and %q, access token %q", handle, theirs, app.header("Wave-Access-Token"))
	}
	if plain.header("Wave-Access-Token")+plain.header("Wave-Refresh-Token") != "" {
		t.Error("a route that did not ask got tokens")
	}
	ask := func(handle string, headers ...string) answer {
		return ts.do("GET", "/_auth/refresh", "", append([]string{"Wave-Session-ID", handle}, headers...)...)
	}
	owner, mallory := basic("owner", "secret"), basic("mallory", "secret")
	refused := func(what string, a answer, status int) {
		t.Helper()
		if a.StatusCode != status || a.Header.Get("Wave-Access-Token")+a.Header.Get("Wave-Refresh-Token") != "" {
			t.Errorf("%s: %d, tokens %v", what, a.StatusCode, a.Header)
		}
	}
	id := ts.allSessions()[0].ID
	for what, handle := range map[string]string{
		"the app's handle": handle, "the session's name": id, "a made up tag": id + "." + strings.Repeat("A", 24), "no tag": id + ".", "the plain route's": plain.header("Wave-Session-ID"),
		"nothing": "", "the cookie": b.sessionCookie(), "the wrong session": strings.Replace(handle, "ses_", "ses_A", 1), "a long one": handle + strings.Repeat("A", 5000), "its case": strings.ToUpper(handle),
	} {
		refused("mallory with "+what, ask(handle, "Authorization", mallory), 404)
		if what != "the app's handle" {
			refused("the owner with "+what, ask(handle, "Authorization", owner), 404)
		}
	}
	refused("the owner with mallory's", ask(theirs, "Authorization", owner), 404)
	for i := range handle { // every character counts
		changed := handle[:i] + string(handle[i]^1) + handle[i+1:]
		refused("a changed handle", ask(changed, "Authorization", owner), 404)
	}
	refused("no key", ask(handle), 401)
	refused("a wrong secret", ask(handle, "Authorization", basic("owner", "wrong")), 401)
	refused("the published pair", ask(handle, "Authorization", basic("access_key_id", "access_key_secret")), 401)
	refused("a token", ask(handle, "Authorization", "Bearer "+b.token()), 401)
	refused("the browser itself", b.api("GET", "/_auth/refresh", "", "Wave-Session-ID", handle), 401)

	before := app.header("Wave-Refresh-Token")
	got := ask(handle, "Authorization", owner).want(t, 200, "")
	if fresh := got.Header.Get("Wave-Refresh-Token"); fresh == "" || fresh == before || got.Header.Get("Wave-Access-Token") == "" || got.body != "" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the owner gets %v %q", got.Header, got.body)
	}
	b.send("POST", "/_auth/logout", url.Values{})
	refused("after the logout", ask(handle, "Authorization", owner), 404)
}
