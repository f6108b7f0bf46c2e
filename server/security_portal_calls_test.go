package server

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain"
	desk "wavegate/server/manage"
	"wavegate/server/portal"
	"wavegate/server/seal"
	"wavegate/server/store"
)

// An access key is removed by its page whatever letters its ID has: the call reaches
// that key and no other, and no other call.
func TestAnAccessKeyOfAnyLettersIsRemovedInThePortal(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	carl := newBrowser(t, ts.URL).signInLocal("carl")
	ids := []string{"night shift", "a/b", "a%2Fb", "100%", "..", "ünï", `q"'<b>`, "x?id=root", "x&id=root", "r#t", "constructor"}
	for _, id := range ids {
		form := carl.send("GET", "/_portal/access-keys/new", nil).fields(t, "/_portal/access-keys/new")
		form.Set("id", id)
		carl.press("/_portal/access-keys/new", form).has(t, http.StatusOK, "The access key is made")
	}
	for _, id := range ids {
		page := "/_portal/" + portal.AccessKey{ID: id}.RemovePath()
		carl.send("GET", "/_portal/access-keys", nil).has(t, http.StatusOK, `href="`+page+`"`)
		form := carl.send("GET", page, nil).fields(t, page)
		form.Set("confirm", id)
		carl.press(page, form).to(t, "/_portal/access-keys?done=access-key-removed")
	}
	left, err := keychain.List(ts.cfg.Keychain.Path)
	must(t, err)
	if got := strings.Join(left, " "); !strings.Contains(got, "root") || strings.Contains(got, "a/b") || len(left) != len(ts.keychain.IDs()) {
		t.Errorf("left are %q", left)
	}
}

// things are one of each kind that pages of the portal act on, by the room of their
// pages. They belong to carl, an administrator.
func (ts *testServer) things(carl *browser) map[string]string {
	ts.t.Helper()
	made := func(path, body, id string) string {
		a := carl.api("POST", path, body, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin").want(ts.t, http.StatusCreated, "")
		return a.text(ts.t, id)
	}
	newBrowser(ts.t, ts.URL).signInLocal("bob")
	bob := carl.api("GET", "/v1/auth/users?q=bob", "").text(ts.t, "users.0.id")
	made("/v1/auth/access-keys", `{"id":"made"}`, "access_key.id")
	return map[string]string{
		"keys": made("/v1/auth/keys", `{"name":"made"}`, "api_key.id"), "users": bob,
		"apps":        made(clientsPath, `{"name":"made","redirect_uris":["https://app.example/cb"]}`, "client.client_id"),
		"webhooks":    made("/v1/auth/webhooks", `{"url":"https://hooks.example.com/"}`, "webhook.id"),
		"access-keys": strings.Split(portal.AccessKey{ID: "made"}.RemovePath(), "/")[1],
	}
}

// everyForm are the pages that take forms, each about something that there is, and a
// form that would do what the page is for.
func (ts *testServer) everyForm(carl *browser) map[string]url.Values {
	ts.t.Helper()
	forms, things := map[string]url.Values{}, ts.things(carl)
	for _, page := range ts.portalPages("POST", "ID") {
		room, _, _ := strings.Cut(strings.TrimPrefix(page, "/_portal/"), "/")
		form := url.Values{
			"name": {"changed"}, "kind": {"web"}, "redirect_uris": {"https://new.example/cb"}, "type": {"confidential"}, "pkce": {"required"},
			"url": {"https://new.example/"}, "which": {"all"}, "disabled": {"true"}, "others": {"true"}, "grace_period_hours": {"0"},
			"environment": {"live"}, "roles": {"viewer"}, "request": {"GET /"},
		}
		for _, name := range []string{"made", "bob", "rotate", "hooks.example.com"} {
			if room == map[string]string{"made": "keys", "bob": "users", "rotate": "signing-keys", "hooks.example.com": "webhooks"}[name] || name == "made" && (room == "apps" || room == "access-keys") {
				form.Set("confirm", name)
			}
		}
		if room != "connected" && !strings.Contains(page, "deliveries") { // of those there is none
			forms[strings.ReplaceAll(page, "ID", things[room])] = form
		}
	}
	if len(forms) < 25 {
		ts.t.Fatalf("there are %d forms", len(forms))
	}
	return forms
}

// state is all that forms of the portal could change.
func (ts *testServer) changeable() map[string]any {
	ts.t.Helper()
	all := map[string]any{"audit": ts.deedsDone(), "access keys": ts.keychain.IDs(), "sessions": len(ts.allSessions())}
	for _, path := range []string{"/v1/auth/keys?all=true", clientsPath + "?all=true", "/v1/auth/webhooks?all=true", "/v1/auth/users", signingKeysPath} {
		all[path] = ts.do("GET", path, "", "Authorization", basic("root", "secret")).want(ts.t, http.StatusOK, "").body
	}
	return all
}

// deedsDone are the actions that people did, as the audit log has them.
func (ts *testServer) deedsDone() (done []string) {
	ts.t.Helper()
	list, err := ts.store.Audit(ts.t.Context(), store.AuditFilter{}, 0, 1000)
	must(ts.t, err)
	for _, e := range list {
		if e.Outcome == "ok" && e.Action != "config.reload" {
			done = append(done, e.Action)
		}
	}
	return done
}

// A form that is only to be shown does nothing, on whatever page: neither one that is
// checked while somebody types nor one that waited for a login.
func TestFormsThatAreOnlyShownDoNothing(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	carl := newBrowser(t, ts.URL).signInLocal("carl")
	forms := ts.everyForm(carl)
	me := carl.send("GET", newKeyPath, nil).fields(t, newKeyPath).Get("_as")
	before := ts.changeable()
	for page, form := range forms {
		form.Set("_as", me)
		carl.plant(desk.DraftCookie, ts.sealedDraft(strings.TrimPrefix(page, "/_portal/"), me, form))
		if a := carl.send("GET", resumePath, nil); a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" {
			t.Errorf("%s, after a login: %d to %q", page, a.StatusCode, a.Header.Get("Location"))
		}
		form.Set("_preview", "name")
		if a := carl.press(page, form); a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" {
			t.Errorf("%s, while somebody types: %d to %q", page, a.StatusCode, a.Header.Get("Location"))
		}
	}
	if diff := cmp.Diff(before, ts.changeable()); diff != "" {
		t.Errorf("something was done (-before +after):\n%s", diff)
	}
	for page, form := range forms { // the same does something once it is sent
		if strings.HasSuffix(page, "/access-keys/new") || strings.HasSuffix(page, "/switch") {
			form.Del("_preview")
			carl.press(page, form)
		}
	}
	if len(ts.deedsDone()) < len(before["audit"].([]string))+2 {
		t.Error("forms that are sent do nothing either: the test tries nothing")
	}
}

// sealedDraft is a form that waits, as the server itself would seal it.
func (ts *testServer) sealedDraft(path, as string, form url.Values) string {
	ts.t.Helper()
	plain, err := json.Marshal(map[string]any{"p": path, "a": as, "f": form, "t": time.Now().Unix()})
	must(ts.t, err)
	var small bytes.Buffer
	z, err := flate.NewWriter(&small, flate.BestCompression)
	must(ts.t, err)
	_, err = z.Write(plain)
	must(ts.t, err)
	must(ts.t, z.Close())
	secrets, err := ts.secret.keys("portal drafts")
	must(ts.t, err)
	keys, err := seal.New(secrets)
	must(ts.t, err)
	sealed, err := keys.Seal("portal draft", "", small.Bytes())
	must(ts.t, err)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// A form that waits is shown on a page of the portal or nowhere, whatever path it has.
func TestAFormThatWaitsLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	carl := newBrowser(t, ts.URL).signInLocal("carl")
	me := carl.send("GET", newKeyPath, nil).fields(t, newKeyPath).Get("_as")
	for _, path := range []string{
		"", "resume", "/", "//evil.example/", "https://evil.example/", "../v1/auth/keys", "keys/../../_auth/logout", "/v1/auth/keys", "keys/new/", "%2e%2e/x", "keys/new?_x=1", "keys/new#", "\\evil",
	} {
		carl.plant(desk.DraftCookie, ts.sealedDraft(path, me, url.Values{"_as": {me}, "name": {"made"}}))
		if a := carl.send("GET", resumePath, nil); a.StatusCode != http.StatusNotFound || a.Header.Get("Location") != "" {
			t.Errorf("%q: %d to %q", path, a.StatusCode, a.Header.Get("Location"))
		}
	}
	if n := len(ts.storedKeys()); n != 0 {
		t.Errorf("%d keys", n)
	}
}

// A page that is left open fetches itself, and its session ends for want of use all
// the same. One that somebody uses goes on.
func TestAPageThatFetchesItselfKeepsNoSessionAlive(t *testing.T) {
	t.Parallel()
	ts := portalServer(t, func(c *Config) { c.SignIn.Idle = 3 * time.Second })
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	begun := time.Now()
	eventually(t, "somebody is there for longer than the session lasts unused", func() bool {
		ann.send("GET", "/_portal/", nil).has(t, http.StatusOK)
		return time.Since(begun) > 4*time.Second
	})
	eventually(t, "the session ends under a page that fetches itself", func() bool {
		return ann.send("GET", "/_portal/", nil, liveHeader, "1").StatusCode == http.StatusSeeOther
	})
}

// A session token of an old session opens nothing that the session does not, and no
// page: it is no administrator.
func TestATokenOfAnOldSessionIsNoFreshLogin(t *testing.T) {
	t.Parallel()
	ts := portalServer(t, func(c *Config) { c.SignIn.FreshLogin = time.Nanosecond })
	carl := newBrowser(t, ts.URL).signInLocal("carl")
	key := carl.api("POST", "/v1/auth/keys", `{"name":"mine","role":"viewer"}`, "Sec-Fetch-Site", "same-origin").text(t, "api_key.key")
	before := ts.rowsOfAudit()
	for name, secret := range map[string]string{"a session token": carl.token(), "an API key": key} {
		for _, c := range [][2]string{
			{"POST", accessKeysPath}, {"DELETE", accessKeysPath + "?id=root"}, {"POST", signingKeysPath + "/rotate"}, {"PATCH", "/v1/auth/users/usr_1"}, {"DELETE", "/v1/auth/sessions?user_id=usr_1"},
		} {
			if a := ts.do(c[0], c[1], "{}", bearer(secret)...); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with %s: %d", c[0], c[1], name, a.StatusCode)
			}
		}
	}
	if after := ts.rowsOfAudit(); after != before {
		t.Errorf("%d things were done", after-before)
	}
}
