package manage

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

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
	for call, answer := range more {
		answers[call] = answer
	}
	return newDesk(t, answers).admin()
}

func TestUsersAreSearchedAndListed(t *testing.T) {
	d := peopleDesk(t, map[string]any{"GET /v1/auth/users": `{"users": [` + bobJSON + `, "disabled_at": "2026-11-27T08:00:00Z"}], "next_cursor": "c2"}`})
	d.get("users?q=bo&cursor=c1").want(http.StatusOK, "bob@example.com", "Disabled", ">operator<", ">developer<", "cursor=c2", `value="bo"`)
	c, _ := d.last(http.MethodGet)
	for _, call := range d.made(http.MethodGet) {
		if strings.HasPrefix(call, "/v1/auth/users") {
			c.Path, c.Query = usersCall, nil
			if call != "/v1/auth/users?cursor=c1&limit=50&q=bo" {
				t.Errorf("asked for %s", call)
			}
		}
	}
	if c.Path != usersCall {
		t.Error("nobody asked for the users")
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
		"POST /v1/auth/access-keys": stale, "GET /v1/auth/access-keys": oneAccessKeyJSON, "DELETE /v1/auth/access-keys/a%2Fb": stale,
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

const oneAccessKeyJSON = `{"access_keys": [{"id": "a/b", "roles": [], "scopes": ["*"], "listed": false, "source": "file", "in_use": true},
  {"id": "SETTING", "roles": ["viewer"], "scopes": ["a:read"], "listed": true, "source": "settings", "in_use": false}], "file": "keys/.wave-keychain"}`

// removalPath is the page that removes an access key.
func removalPath(id string) string {
	return "access-keys/" + url.PathEscape(url.PathEscape(id)) + "/remove"
}

func TestAccessKeysAreListedWithWhatTheyOpen(t *testing.T) {
	page := newDesk(t, map[string]any{"GET /v1/auth/access-keys": oneAccessKeyJSON}).admin().get("access-keys")
	page.want(http.StatusOK, "a/b", "Everything", "the policy does not name it", "SETTING", "from the server’s settings", ">viewer<", "a:read",
		"keys/.wave-keychain", `href="/gate/_portal/`+removalPath("a/b")+`"`).without(removalPath("SETTING"))
	published := `{"access_keys": [{"id": "access_key_id", "roles": [], "scopes": ["*"], "listed": false, "source": "published", "in_use": false}], "file": "f"}`
	newDesk(t, map[string]any{"GET /v1/auth/access-keys": published}).admin().get("access-keys").
		want(http.StatusOK, "The published default key is in use", "New access key").without("<table")
	newDesk(t, map[string]any{"GET /v1/auth/access-keys": `{"access_keys": [], "file": "f"}`}).admin().get("access-keys").
		want(http.StatusOK, "Make the first access key")
}

func TestAnAccessKeyIsMadeAndShownOnce(t *testing.T) {
	made := `{"access_key": {"id": "it's", "secret": "S3CRET"}, "warning": "This is the only time. It may do everything."}`
	d := newDesk(t, map[string]any{"POST /v1/auth/access-keys": made}).admin()
	form := d.get("access-keys/new").want(http.StatusOK).form("access-keys/new")
	page := d.post("access-keys/new", form).want(http.StatusOK, "S3CRET", "It may do everything.", "curl -u &#39;it&#39;\\&#39;&#39;s:S3CRET&#39;")
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	if _, body := d.last(http.MethodPost); body != `{}` {
		t.Errorf("sent %s where no ID was chosen", body)
	}
	d.post("access-keys/new", form).want(http.StatusOK, "sent twice").without("S3CRET")
	form = d.get("access-keys/new").form("access-keys/new")
	form.Set("id", " mine ")
	d.api.answers["POST /v1/auth/access-keys"] = &fault.Error{Status: http.StatusConflict, Code: "access_key_exists", Message: "There is one of this ID."}
	d.post("access-keys/new", form).want(http.StatusOK, `id="f-id-error" data-swap>There is one of this ID.`)
	if _, body := d.last(http.MethodPost); body != `{"id":"mine"}` {
		t.Errorf("sent %s", body)
	}
}

func TestAnAccessKeyIsRemovedByItsID(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/access-keys": oneAccessKeyJSON, "DELETE /v1/auth/access-keys/a%2Fb": ""}).admin()
	form := d.get(removalPath("a/b")).want(http.StatusOK, "Remove this access key?").form(removalPath("a/b"))
	d.post(removalPath("a/b"), form).want(http.StatusOK, "That is not the name.")
	form.Set("confirm", "a/b")
	d.post(removalPath("a/b"), form).leads("access-keys?done=access-key-removed")
	if got := d.made(http.MethodDelete); len(got) != 1 {
		t.Errorf("made %v, want one call", got)
	}
	d.get(removalPath("nothing")).want(http.StatusNotFound)
}

func TestLocksAreListedAndLifted(t *testing.T) {
	now := time.Now()
	lock := map[string]any{"id": "lck_1", "kind": "key", "subject": "user:bob", "since": now, "until": now.Add(89*time.Second + 500*time.Millisecond)}
	d := newDesk(t, map[string]any{"GET /v1/auth/lockouts": map[string]any{"lockouts": []any{lock}}, "DELETE /v1/auth/lockouts/lck_1": ""})
	d.get("lockouts").want(http.StatusOK, "Keys of yours", ">bob<", "in 2 minutes", "data-live").without(">Lift<")
	page := d.admin().get("lockouts").want(http.StatusOK, "Addresses and keys")
	form := page.form("lockouts")
	d.post("lockouts", form).leads("lockouts?done=lock-lifted")
	delete(d.api.answers, "DELETE /v1/auth/lockouts/lck_1")
	d.post("lockouts", form).leads("lockouts?done=lock-lifted") // it ended meanwhile
	if got := d.made(http.MethodDelete); len(got) != 2 || got[0] != "/v1/auth/lockouts/lck_1" {
		t.Errorf("made %v", got)
	}
	d.post("lockouts", url.Values{"_as": {"usr_ann"}}).want(http.StatusBadRequest)
	d.api.answers["GET /v1/auth/lockouts"] = `{"lockouts": []}`
	d.get("lockouts").want(http.StatusOK, "Nobody is locked out", "within 5 minutes")
}

func TestSigningKeysAreListedAndRotated(t *testing.T) {
	keys := `{"signing_keys": [{"kid": "k2", "alg": "ES256", "status": "next", "created_at": null, "used_from": "2026-12-01T08:00:00Z", "published_until": null},
		{"kid": "k1", "alg": "RS256", "status": "current", "created_at": null, "used_from": "2026-11-01T08:00:00Z", "published_until": null}]}`
	d := newDesk(t, map[string]any{"GET /v1/auth/signing-keys": keys, "POST /v1/auth/signing-keys/rotate": keys}).admin()
	d.get("signing-keys").want(http.StatusOK, "k2", "ES256", "Next", "Signs now", "Rotate now…")
	form := d.get("signing-keys/rotate").want(http.StatusOK, "stay valid until they expire").form("signing-keys/rotate")
	form.Set("confirm", "rotat")
	d.post("signing-keys/rotate", form).want(http.StatusOK, "That is not the word.")
	if got := d.made(http.MethodPost); len(got) != 0 {
		t.Errorf("%v was made without the word", got)
	}
	form.Set("confirm", "rotate")
	d.post("signing-keys/rotate", form).leads("signing-keys?done=signing-rotated")
	d.api.answers["GET /v1/auth/signing-keys"] = `{"signing_keys": []}`
	d.get("signing-keys").want(http.StatusOK, "No key signs tokens").without("Rotate now")
}
