package manage

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"wavegate/server/fault"
)

const bobJSON = `{"id": "usr_bob", "provider": "local", "subject": "local|bob", "username": "bob", "email": "bob@example.com", "groups": ["it"],
  "roles": ["operator"], "policy_roles": ["developer"], "created_at": "2026-11-01T08:00:00Z", "last_sign_in_at": "2026-11-26T08:00:00Z"`

// bob is what the API says of a user.
func bob(more string) string { return `{"user": ` + bobJSON + more + `}}` }

// peopleDesk is a portal before an API that knows bob, for an administrator.
func peopleDesk(t *testing.T, more map[string]any) *testDesk {
	t.Helper()
	answers := map[string]any{
		"GET /v1/auth/users/usr_bob": bob(""),
		"GET /v1/auth/sessions":      `{"sessions": [{"id": "ses_1", "ip": "192.0.2.7", "user_agent": "Firefox/148.0 Linux"}]}`,
		"GET /v1/auth/catalog": `{"roles": [
			{"name": "developer", "scopes": ["a:read"], "permissions": ["keys:read", "keys:write", "usage:read"], "may_give": true},
			{"name": "operator", "scopes": ["a:write"], "permissions": [], "may_give": true},
			{"name": "viewer", "scopes": [], "permissions": ["keys:read"], "may_give": true}]}`,
	}
	maps.Copy(answers, more)
	return newDesk(t, answers).admin()
}

func TestUsersAreSearchedAndListed(t *testing.T) {
	d := peopleDesk(t, map[string]any{"GET /v1/auth/users": `{"users": [` + bobJSON + `, "disabled_at": "2026-11-27T08:00:00Z"}], "next_cursor": "c2"}`})
	d.get("users?q=bo&cursor=c1").want(http.StatusOK, "bob@example.com", "Disabled", ">operator<", ">developer<", "cursor=c2", `value="bo"`)
	if got := d.made(http.MethodGet); !slices.Contains(got, "/v1/auth/users?cursor=c1&limit=50&q=bo") {
		t.Errorf("asked for %v", got)
	}
	d = peopleDesk(t, map[string]any{"GET /v1/auth/users": `{"users": []}`})
	d.get("users").want(http.StatusOK, "Nobody signed in yet").without(`id="search"`)
	d.get("users?q=zz").want(http.StatusOK, "Nobody fits", `id="search"`)
}

func TestAUserIsShownWithWhereTheirRolesComeFrom(t *testing.T) {
	page := peopleDesk(t, nil).get("users/usr_bob").want(http.StatusOK, "bob@example.com", "192.0.2.7", "By the policy", "Given here",
		"Manages keys. Sees usage.", "owner=sub%3Alocal%7Cbob", "actor=sub%3Alocal%7Cbob", "target=usr_bob", "Disable…")
	form := page.form("users/usr_bob")
	if got := form["roles"]; len(got) != 1 || got[0] != "operator" {
		t.Errorf("%v are ticked, want operator alone: what the policy gives is not sent", got)
	}
	page.without(`name="roles" value="developer"`)
}

func TestRolesAreGivenAndTakenAway(t *testing.T) {
	d := peopleDesk(t, map[string]any{"PATCH /v1/auth/users/usr_bob": bob("")})
	form := d.get("users/usr_bob").form("users/usr_bob")
	form["roles"] = []string{"viewer"}
	d.post("users/usr_bob", form).leads("users/usr_bob?done=roles-saved")
	if _, body := d.last(http.MethodPatch); body != `{"roles":["viewer"]}` {
		t.Errorf("sent %s", body)
	}
	form = d.get("users/usr_bob").form("users/usr_bob")
	form.Del("roles")
	d.post("users/usr_bob", form).leads("users/usr_bob?done=roles-saved")
	if _, body := d.last(http.MethodPatch); body != `{"roles":[]}` {
		t.Errorf("sent %s where nothing is ticked", body)
	}
	d.get("users/usr_bob?done=roles-saved").want(http.StatusOK, "The roles are saved.")
}

func TestWhatTwoPeopleDoToTheSameRolesIsNotLost(t *testing.T) {
	d := peopleDesk(t, map[string]any{"PATCH /v1/auth/users/usr_bob": bob("")})
	form := d.get("users/usr_bob").form("users/usr_bob")
	form["roles"] = []string{"viewer"}
	d.api.answers["GET /v1/auth/users/usr_bob"] = strings.Replace(bob(""), `"roles": ["operator"]`, `"roles": ["gone"]`, 1)
	page := d.post("users/usr_bob", form).want(http.StatusOK, "Somebody else changed these roles meanwhile", "gone", "has no role")
	if got := d.made(http.MethodPatch); len(got) != 0 {
		t.Errorf("%v was made all the same", got)
	}
	again := page.form("users/usr_bob")
	if got := again["roles"]; len(got) != 1 || got[0] != "viewer" {
		t.Errorf("%v are ticked, want what was ticked before", got)
	}
	d.post("users/usr_bob", again).leads("users/usr_bob?done=roles-saved")
}

func TestAComplaintAboutARoleStandsBesideTheRoles(t *testing.T) {
	wrong := &fault.Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: "…", Fields: []fault.Field{{Field: "roles[0]", Message: "is no role of the policy"}}}
	d := peopleDesk(t, map[string]any{"PATCH /v1/auth/users/usr_bob": wrong})
	d.post("users/usr_bob", d.get("users/usr_bob").form("users/usr_bob")).want(http.StatusOK, "This is no role of the policy.", "Error: bob")
}

func TestAUserIsDisabledByNameAndEnabledAtOnce(t *testing.T) {
	d := peopleDesk(t, map[string]any{"PATCH /v1/auth/users/usr_bob": bob("")})
	form := d.get("users/usr_bob/disable").want(http.StatusOK, "signed out everywhere").form("users/usr_bob/disable")
	form.Set("confirm", "bo")
	d.post("users/usr_bob/disable", form).want(http.StatusOK, "That is not the name.")
	if got := d.made(http.MethodPatch); len(got) != 0 {
		t.Errorf("%v was made without the name", got)
	}
	form.Set("confirm", "bob")
	d.post("users/usr_bob/disable", form).leads("users/usr_bob?done=user-disabled")
	if _, body := d.last(http.MethodPatch); body != `{"disabled":true}` {
		t.Errorf("sent %s", body)
	}
	d.api.answers["GET /v1/auth/users/usr_bob"] = bob(`, "disabled_at": "2026-11-27T08:00:00Z"`)
	undo := d.get("users/usr_bob?done=user-disabled").want(http.StatusOK, "The user is disabled", "Kept out since", ">Undo<").form("users/usr_bob/enable")
	d.post("users/usr_bob/enable", undo).leads("users/usr_bob?done=user-enabled")
	if _, body := d.last(http.MethodPatch); body != `{"disabled":false}` {
		t.Errorf("sent %s", body)
	}
}

// To take back that somebody was let in is to disable them: the name is not asked for
// once more.
func TestLettingSomebodyInIsTakenBackWithOneButton(t *testing.T) {
	d := peopleDesk(t, map[string]any{"PATCH /v1/auth/users/usr_bob": bob("")})
	undo := d.get("users/usr_bob?done=user-enabled").want(http.StatusOK, ">Undo<").form("users/usr_bob/disable")
	d.post("users/usr_bob/disable", undo).leads("users/usr_bob?done=user-disabled")
	d.get("users/usr_bob?done=user-disabled").want(http.StatusOK).without(">Undo<") // they are not disabled by now
}

func TestSessionsOfOthersAreEnded(t *testing.T) {
	d := peopleDesk(t, map[string]any{"DELETE /v1/auth/sessions": `{"ended": 1}`})
	page := d.get("users/usr_bob")
	d.post("users/usr_bob/sessions", page.form("users/usr_bob/sessions")).leads("users/usr_bob?done=session-ended") // it is gone already
	d.post("users/usr_bob/end-sessions", d.get("users/usr_bob/end-sessions").want(http.StatusOK, "signed out in every browser").form("users/usr_bob/end-sessions")).
		leads("users/usr_bob?done=user-signed-out")
	want := []string{"/v1/auth/sessions/ses_1", "/v1/auth/sessions?user_id=usr_bob"}
	if got := d.made(http.MethodDelete); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("made %v, want %v", got, want)
	}
}

func TestWhatNeedsAFreshLoginIsShownAgainAfterIt(t *testing.T) {
	stale := &fault.Error{Status: http.StatusForbidden, Code: "fresh_login_required", Message: "…"}
	d := peopleDesk(t, map[string]any{
		"PATCH /v1/auth/users/usr_bob": stale, "POST /v1/auth/signing-keys/rotate": stale,
		"GET /v1/auth/signing-keys": `{"signing_keys": []}`,
		"POST /v1/auth/access-keys": stale, "GET /v1/auth/access-keys": oneAccessKeyJSON, "DELETE /v1/auth/access-keys": stale,
	})
	removal := removalPath("a/b")
	for path, form := range map[string]url.Values{
		"users/usr_bob":         {"roles": {"viewer"}, "_version": {"operator"}},
		"users/usr_bob/enable":  {},
		"users/usr_bob/disable": {"confirm": {"bob"}},
		"signing-keys/rotate":   {"confirm": {"rotate"}},
		"access-keys/new":       {"id": {"my key"}},
		removal:                 {"confirm": {"a/b"}},
	} {
		form.Set("_as", "usr_ann")
		login := d.post(path, form)
		if got := login.Header.Get("Location"); login.Status != http.StatusSeeOther || !strings.Contains(got, "switch=1") || !strings.Contains(got, "resume") {
			t.Errorf("%s: %d to %q, want the login page", path, login.Status, got)
		}
		page := d.get("resume").want(http.StatusOK, "You signed in again")
		for _, value := range append(form["id"], form["confirm"]...) {
			page.want(http.StatusOK, `value="`+value+`"`)
		}
	}
}

// Nobody is offered to keep themselves out.
func TestOnesOwnPageHasNoButtonToDisable(t *testing.T) {
	d := peopleDesk(t, map[string]any{"GET /v1/auth/users/usr_ann": strings.Replace(bob(""), "usr_bob", "usr_ann", 1)})
	d.get("users/usr_ann").want(http.StatusOK, "this is you").without("Disable…")
}
