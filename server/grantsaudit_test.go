package server

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"wavegate/server/store"
)

// entriesOf are the lines of the audit log about an action.
func (m *managed) entriesOf(action string) []map[string]any {
	m.t.Helper()
	list, _ := m.as("root", "GET", "/v1/auth/audit?action="+action, "").want(m.t, 200, "").at(m.t, "entries").([]any)
	var entries []map[string]any
	for _, e := range list {
		entries = append(entries, mapOf(e))
	}
	return entries
}

// TestAReplayIsToldToThePersonAndToTheClientsOwner sends a code a second time.
func TestAReplayIsToldToThePersonAndToTheClientsOwner(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.siteClient("App")
	ann := newBrowser(t, m.URL).signInLocal("ann")
	owners, persons, strangers := newReceiver(t), newReceiver(t), newReceiver(t)
	hook := func(r *receiver, headers []string) {
		m.call("POST", hooks, `{"url":"`+r.URL+`/","events":["suspicious_activity"]}`, headers...).want(t, 201, "")
	}
	hook(owners, by("all"))
	hook(persons, by(ann.token()))
	hook(strangers, by("narrow"))
	code := ann.allowAndCode(app, "streams:read")
	given := issuedIn(t, m.redeemed(app, code))
	socket := m.socketWith(given.Access)
	m.redeemed(app, code).wantOAuth(t, 400, "invalid_grant")
	socket.ended("the code came a second time")
	for _, r := range []*receiver{owners, persons} {
		got := decoded(t, r.wait(t, app.ID, 1).body)
		data := mapOf(mapOf(got)["data"])
		if data["kind"] != "authorization_code" || !strings.HasPrefix(fmt.Sprint(data["grant_id"]), "grt_") || data["ip"] != "127.0.0.1" || data["request_id"] == "" {
			t.Errorf("told %v", got)
		}
	}
	eventually(t, "it is written down", func() bool { return len(m.entriesOf("grant.suspicious")) == 1 })
	e := m.entriesOf("grant.suspicious")[0]
	if e["actor"] != "client:"+app.ID || e["owner"] != "sub:local|ann" || e["outcome"] != "authorization_code" || !strings.HasPrefix(fmt.Sprint(e["target"]), "grt_") {
		t.Errorf("written down as %v", e)
	}
	if n := len(strangers.all("")); n != 0 {
		t.Errorf("a stranger was told %d times", n)
	}
	for what, text := range map[string]string{"an event": owners.all("")[0].body, "the audit log": m.as("root", "GET", "/v1/auth/audit?limit=200", "").body, "the log": m.log.String()} {
		if strings.Contains(text, code) || strings.Contains(text, given.Access) || strings.Contains(text, given.Refresh) {
			t.Errorf("%s holds a code or a token", what)
		}
	}
}

// TestWhatPeopleDecideIsWrittenDown goes through the pages: an app, a device that is
// refused, one that is let in.
func TestWhatPeopleDecideIsWrittenDown(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.siteClient("App")
	tool := m.makeClient("all", `{"name":"Tool","type":"public","scopes":["streams:read"]}`)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	ann.decideAbout(app, "streams:read", "deny").want(t, 303, "")
	ann.allow(app, "streams:read streams:write")
	decide := func(decision string) {
		t.Helper()
		begun := m.do("POST", devicePath, url.Values{"client_id": {tool.ID}, "scope": {"streams:read"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded").want(t, 200, "")
		page := ann.send("POST", deviceCodePath, url.Values{"user_code": {begun.text(t, "user_code")}}, "Sec-Fetch-Site", "same-origin").want(t, 200, "")
		found := hiddenRequest.FindStringSubmatch(page.body)
		if found == nil {
			t.Fatalf("no page for the device: %s", page.body)
		}
		ann.send("POST", deviceAllowPath, url.Values{"request": {found[1]}, "decision": {decision}}, "Sec-Fetch-Site", "same-origin").want(t, 200, "")
	}
	decide("deny")
	decide("allow")
	for action, want := range map[string][]map[string]any{
		"grant.deny": {{"device": "127.0.0.1"}, {}},
		"grant.create": {
			{"scopes": "streams:read", "device": "127.0.0.1"},
			{"scopes": "streams:read streams:write", "redirect_to": "http://127.0.0.1:9"},
		},
	} {
		got := m.entriesOf(action)
		if len(got) != len(want) {
			t.Fatalf("%s: %v", action, got)
		}
		for i, e := range got {
			target := tool.ID
			if want[i]["device"] == nil {
				target = app.ID
			}
			if e["actor"] != "sub:local|ann" || e["owner"] != "sub:local|ann" || e["method"] != "session" || e["target"] != target || fmt.Sprint(e["details"]) != fmt.Sprint(want[i]) {
				t.Errorf("%s: %v, want %s %v", action, e, target, want[i])
			}
		}
	}
}

// TestATokenThatIsGivenBackIsWrittenDown: once, by whom it was given back.
func TestATokenThatIsGivenBackIsWrittenDown(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.siteClient("App")
	given := newBrowser(t, m.URL).signInLocal("ann").allow(app, "streams:read")
	for range 2 { // the second time there is nothing to give back
		m.revokeAs(app, given.Access)
	}
	got := m.entriesOf("token.revoke")
	if len(got) != 1 || got[0]["actor"] != "client:"+app.ID || got[0]["target"] != app.ID || got[0]["method"] != "client" {
		t.Errorf("written down as %v", got)
	}
}

// revokeAs gives a token back in the name of a client.
func (m *managed) revokeAs(c madeClient, token string) {
	m.t.Helper()
	form := url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}, "token": {token}}
	m.do("POST", "/oauth/revoke", form.Encode(), "Content-Type", "application/x-www-form-urlencoded").want(m.t, 200, "")
}

// TestAnAppThatSignsSomebodyOutIsWrittenDown: session.end says which app it was.
func TestAnAppThatSignsSomebodyOutIsWrittenDown(t *testing.T) {
	t.Parallel()
	m := issue(t)
	app := m.makeClient("all", `{"name":"App","redirect_uris":["`+appRedirect+`"],"scopes":["streams:read"],"post_logout_redirect_uris":["http://127.0.0.1:9/bye"]}`)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	code := ann.allowAndCode(app, "openid")
	hint := m.redeemed(app, code).want(t, 200, "").text(t, "id_token")
	q := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"http://127.0.0.1:9/bye"}}
	if a := ann.send("GET", oauthLogoutPath+"?"+q.Encode(), nil).want(t, 303, ""); a.Header.Get("Location") != "http://127.0.0.1:9/bye" {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
	got := m.entriesOf("session.end")
	if len(got) != 1 || mapOf(got[0]["details"])["client"] != app.ID || got[0]["actor"] != "sub:local|ann" || !strings.HasPrefix(fmt.Sprint(got[0]["target"]), "ses_") {
		t.Errorf("written down as %v", got)
	}
	m.wantSessions("after the app signed her out", 0)
}

// TestClientsThatRegisterThemselvesBelongToAdministrators: where the policy lets them
// register at all.
func TestClientsThatRegisterThemselvesBelongToAdministrators(t *testing.T) {
	t.Parallel()
	const body = `{"client_name":"Self","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`
	issue(t).do("POST", "/oauth/register", body, "Content-Type", "application/json").want(t, 404, "")

	m := issue(t, func(c *Config) {
		text, err := os.ReadFile(c.PolicyFile)
		must(t, err)
		writeFile(t, c.PolicyFile, string(text)+"oauth: {registration: {enabled: true, scopes: [streams:read], per_ip_per_hour: 3, most: 100}}\n")
	})
	told := newReceiver(t)
	m.as("root", "POST", hooks, `{"url":"`+told.URL+`/","all":true,"events":["client_created"]}`).want(t, 201, "")
	id := m.do("POST", "/oauth/register", body, "Content-Type", "application/json").want(t, 201, "").text(t, "client_id")
	one := clientsPath + "/" + id
	m.try([]try{
		{"all", "GET", one, "", 404, "not_found", nil, nil},
		{"all", "GET", clientsPath, "", 200, "", nil, []string{id}},
		{"root", "GET", one, "", 200, "", []string{`"owner":"registration"`, `"registered_itself":true`, `"type":"public"`, `"first_party":false`}, nil},
		{"root", "PATCH", one, `{"first_party":true}`, 400, "invalid_request", []string{`"field":"first_party"`}, nil},
		{"root", "PATCH", one, `{"disabled":true}`, 200, "", []string{`"status":"disabled"`}, nil},
		{"root", "DELETE", one, "", 204, "", nil, nil},
	})
	told.wait(t, id, 1)
	if got := m.entriesOf("client.register"); len(got) != 1 || got[0]["actor"] != "anonymous" || got[0]["target"] != id || mapOf(got[0]["details"])["name"] != "Self" {
		t.Errorf("written down as %v", got)
	}
	for range 2 {
		m.do("POST", "/oauth/register", body, "Content-Type", "application/json").want(t, 201, "")
	}
	if a := m.do("POST", "/oauth/register", body, "Content-Type", "application/json").want(t, 429, ""); a.Header.Get("Retry-After") == "" {
		t.Errorf("nothing says how long to wait: %s", a.body)
	}
	if list, err := m.store.Clients(t.Context(), store.ClientFilter{Owner: "registration"}, "", 10); err != nil || len(list) != 2 {
		t.Errorf("%d clients: %v", len(list), err)
	}
}
