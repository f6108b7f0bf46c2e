package manage

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/fault"
)

const (
	connectionsJSON = `{"connections": [{"client_id": "app_1", "name": "Stream studio\u202e", "client_uri": "https://studio.example.com/",
		"scopes": ["openid", "streams:write", "own"], "remembered": true, "grants": 1, "created_at": "2026-03-09T08:12:40Z", "last_used_at": null}]}`
	catalogJSON = `{"scopes": [{"name": "streams:write", "description": "Change your streams.", "risk": "high", "may_give": true}],
		"roles": [{"name": "developer", "scopes": ["streams:write"], "permissions": ["keys:write"], "may_give": false}]}`
	sessionsJSON = `{"sessions": [
		{"id": "ses_2", "current": false, "ip": "198.51.100.23", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0", "created_at": "2026-03-09T08:12:40Z", "last_used_at": null},
		{"id": "ses_1", "current": true, "ip": "203.0.113.7", "user_agent": "", "created_at": "2026-03-09T08:12:40Z", "last_used_at": "2026-03-09T08:12:40Z"}],
		"next_cursor": "ses_2"}`
	userinfoJSON = `{"sub": "local|ann", "groups": ["on-call"], "auth_method": "session"}`
)

// ownAnswers are those of the API for somebody who has some of everything.
func ownAnswers() map[string]any {
	return map[string]any{
		"GET /v1/auth/connections": connectionsJSON, "GET /v1/auth/catalog": catalogJSON,
		"GET /v1/auth/sessions": sessionsJSON, "GET /_auth/userinfo": userinfoJSON,
		"DELETE /v1/auth/connections/app_1": "", "DELETE /v1/auth/sessions/ses_2": "", "DELETE /v1/auth/sessions": `{"ended": 2}`,
		"POST /v1/auth/password": `{"ended": 2}`,
	}
}

func TestConnectedAppsSayWhatTheyMayDo(t *testing.T) {
	d := newDesk(t, ownAnswers())
	d.get("connected").want(http.StatusOK,
		"Stream studio<", "studio.example.com", "Change your streams.", "Sign you in with this account", "<code>own</code>", "High risk", "not asked again", "never",
		"a session token of yours", "https://gate.example.com/gate/v1/auth/connections",
	).without("\u202e")
	d.api.answers["GET /v1/auth/connections"] = `{"connections": []}`
	d.get("connected").want(http.StatusOK, "No app uses your account").without("<table")
}

// Somebody who may not see the catalog sees the names of the scopes.
func TestConnectedAppsAreShownWithoutTheCatalog(t *testing.T) {
	answers := ownAnswers()
	answers["GET /v1/auth/catalog"] = fault.New(http.StatusForbidden, "insufficient_scope", "No.")
	newDesk(t, answers).get("connected").want(http.StatusOK, "<code>streams:write</code>")
}

func TestWithdrawingAsksFirst(t *testing.T) {
	d := newDesk(t, ownAnswers())
	form := d.get("connected/app_1/withdraw").want(http.StatusOK, "Withdraw the access of Stream studio?", "-X DELETE").form("connected/app_1/withdraw")
	if got := d.made("DELETE"); got != nil {
		t.Fatalf("asking made %v", got)
	}
	d.post("connected/app_1/withdraw", form).leads("connected?done=app-withdrawn")
	if diff := cmp.Diff([]string{"/v1/auth/connections/app_1"}, d.made("DELETE")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	d.get("connected?done=app-withdrawn").want(http.StatusOK, "cannot use your account any more")
	d.get("connected/app_2/withdraw").want(http.StatusNotFound, "There is nothing here")
	d.post("connected/app_2/withdraw", url.Values{}).want(http.StatusNotFound)
}

func TestSessionsShowThisBrowserFirst(t *testing.T) {
	page := newDesk(t, ownAnswers()).get("sessions").want(http.StatusOK,
		"Firefox on Linux", "Unknown browser", "this browser", "203.0.113.7", "Sign out everywhere else", "Next page", "others=true", "–",
	).without("0001")
	if strings.Index(page.Body, "203.0.113.7") > strings.Index(page.Body, "198.51.100.23") {
		t.Error("this browser is not the first")
	}
	if strings.Contains(page.Body, `value="ses_1"`) {
		t.Error("this browser’s session can be ended as if it were another")
	}
}

func TestOneSessionIsEndedAndAllOthers(t *testing.T) {
	d := newDesk(t, ownAnswers())
	d.post("sessions", url.Values{"id": {"ses_2"}, "_as": {"usr_ann"}}).leads("sessions?done=session-ended")
	d.post("sessions", url.Values{"others": {"true"}, "_as": {"usr_ann"}}).leads("sessions?done=sessions-ended")
	d.post("sessions", url.Values{"id": {"ses_gone"}}).leads("sessions?done=session-ended") // it ended by itself
	d.post("sessions", url.Values{}).want(http.StatusBadRequest)
	want := []string{"/v1/auth/sessions/ses_2", "/v1/auth/sessions?others=true", "/v1/auth/sessions/ses_gone"}
	if diff := cmp.Diff(want, d.made("DELETE")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// A page that was made for somebody else ends nothing of whoever is signed in now.
func TestAPageOfSomebodyElseEndsNoSession(t *testing.T) {
	d := newDesk(t, ownAnswers())
	d.post("sessions", url.Values{"others": {"true"}, "_as": {"usr_bob"}}).want(http.StatusOK, "made for another account")
	if got := d.made("DELETE"); got != nil {
		t.Errorf("it made %v", got)
	}
}

func TestTheProfileSaysWhoSomebodyIs(t *testing.T) {
	d := newDesk(t, ownAnswers())
	d.who.Provider = "Example ID"
	d.get("profile").want(http.StatusOK, "ann@example.com", "Example ID", "developer", "streams:write", "keys:write", "on-call", "local|ann").
		without(`type="password"`, "Administrator")
	d.post("profile", url.Values{"new_password": {"x"}, "repeat_password": {"x"}}).want(http.StatusNotFound)
	if got := d.made("POST"); got != nil {
		t.Errorf("it made %v", got)
	}
	d.admin().get("profile").want(http.StatusOK, "Administrator")
}

func TestAPasswordIsChanged(t *testing.T) {
	d := newDesk(t, ownAnswers())
	d.who.Local = true
	d.api.header = http.Header{"Set-Cookie": {"wavegate=new; Path=/; HttpOnly"}}
	form := d.get("profile").form("profile")
	form.Set("current_password", "the old one")
	form.Set("new_password", "the new one")
	form.Set("repeat_password", "the new one")
	d.post("profile", form).leads("profile?done=password-changed")
	if _, body := d.last("POST"); body != `{"current_password":"the old one","new_password":"the new one"}` {
		t.Errorf("the call was %s", body)
	}
	if d.jar["wavegate"] != "new" {
		t.Error("the new session does not reach the browser")
	}
}

// Nothing of a password is ever in a page, whatever becomes of the form.
func TestPasswordsAreNeverShown(t *testing.T) {
	const old, wanted = "old-secret-1", "new-secret-2"
	d := newDesk(t, ownAnswers())
	d.who.Local = true
	fill := func(again string) url.Values {
		form := d.get("profile").form("profile")
		form.Set("current_password", old)
		form.Set("new_password", wanted)
		form.Set("repeat_password", again)
		return form
	}
	d.post("profile", fill("another")).want(http.StatusOK, "The two new passwords are not the same.").without(old, wanted)
	if got := d.made("POST"); got != nil {
		t.Errorf("two that differ made %v", got)
	}
	wrong := fault.New(http.StatusBadRequest, "invalid_request", "Wrong.")
	wrong.Fields = []fault.Field{{Field: "current_password", Message: "The current password is wrong."}}
	d.api.answers["POST /v1/auth/password"] = wrong
	d.post("profile", fill(wanted)).want(http.StatusOK, "The current password is wrong.", "aria-invalid").without(old, wanted)
	for _, e := range []*fault.Error{
		fault.New(http.StatusTooManyRequests, "locked_out", "Too many wrong ones. Wait a while."),
		fault.New(http.StatusServiceUnavailable, "unavailable", "Not now."),
	} {
		d.api.answers["POST /v1/auth/password"] = e
		d.post("profile", fill(wanted)).want(http.StatusOK, e.Message).without(old, wanted)
	}
	d.api.answers["POST /v1/auth/password"] = fault.New(http.StatusUnauthorized, "credential_required", "Sign in.")
	d.post("profile", fill(wanted)).want(http.StatusSeeOther).without(old, wanted)
	d.get("resume").want(http.StatusOK, "Everything that you typed").without(old, wanted)
}
