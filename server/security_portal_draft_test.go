package server

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	desk "wavegate/server/manage"
	"wavegate/server/seal"
	"wavegate/server/session"
)

const (
	resumePath  = "/_portal/resume"
	newKeyPath  = "/_portal/keys/new"
	toResume    = "/_auth/login?next=%2F_portal%2Fresume"
	resumeAgain = "/_auth/login?again=1&next=%2F_portal%2Fresume&switch=1"
)

// signOut ends all sessions, as time does.
func (ts *testServer) signOut() {
	ts.t.Helper()
	if _, err := ts.signIn.sessions.End(ts.t.Context(), session.Filter{All: true}); err != nil {
		ts.t.Fatal(err)
	}
}

// typed is the form of a new key as somebody filled it in.
func (b *browser) typed(name string) url.Values {
	b.t.Helper()
	form := b.send("GET", newKeyPath, nil).fields(b.t, newKeyPath)
	form.Set("name", name)
	form.Set("description", "made by hand, it’s <b>“quoted”</b>")
	return form
}

// draft is the value of the cookie in which a form waits.
func (b *browser) draft() string {
	b.t.Helper()
	u, err := url.Parse(b.base + "/_portal/")
	must(b.t, err)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == desk.DraftCookie {
			return c.Value
		}
	}
	return ""
}

// The session ends while somebody fills in a form: they sign in and find what they
// typed, and nothing was done before they send it again.
func TestAFormOutlivesTheSessionOfItsSender(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	form := ann.typed("build server")
	ts.signOut()
	ann.press(newKeyPath, form).to(t, toResume).lacks(t, "build server")
	if ann.draft() == "" || len(ts.storedKeys()) != 0 {
		t.Fatalf("draft %q, %d keys", ann.draft(), len(ts.storedKeys()))
	}
	ann.send("GET", toResume, nil).has(t, 200, "what you were doing")
	ann.signIn("ann", "ann-password", resumePath).to(t, resumePath)
	page := ann.send("GET", resumePath, nil).has(t, 200, `value="build server"`, "&lt;b&gt;“quoted”&lt;/b&gt;", "Everything that you typed is still here")
	if ann.draft() != "" || len(ts.storedKeys()) != 0 {
		t.Fatalf("draft %q, %d keys before the form is sent again", ann.draft(), len(ts.storedKeys()))
	}
	ann.press(newKeyPath, page.fields(t, newKeyPath)).has(t, 200, "wave_live_")
	if got := ts.storedKeys(); len(got) != 1 || got[0].Name != "build server" || got[0].Description != form.Get("description") {
		t.Errorf("the keys are %+v", got)
	}
}

// What is too long for a cookie waits in the page itself.
func TestALongFormOutlivesTheSessionOfItsSender(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	form := ann.typed("build server")
	noise := make([]byte, 5000)
	_, _ = rand.Read(noise) // never fails
	long := hex.EncodeToString(noise)
	form.Set("description", long)
	ts.signOut()
	page := ann.press(newKeyPath, form).has(t, http.StatusUnauthorized, long, "Nothing of it is done yet", toResumeless)
	if ann.draft() != "" || len(ts.storedKeys()) != 0 {
		t.Fatalf("draft %q, %d keys", ann.draft(), len(ts.storedKeys()))
	}
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	ann.signIn("ann", "ann-password", "/_portal/").to(t, "/_portal/")
	held := page.fields(t, newKeyPath)
	again := ann.press(newKeyPath, held).has(t, 200, long) // the API takes no description so long, and says so
	if len(ts.storedKeys()) != 0 {
		t.Fatal("it was taken")
	}
	shorter := again.fields(t, newKeyPath)
	shorter.Set("description", "short")
	ann.press(newKeyPath, shorter).has(t, 200, "wave_live_")
	if got := ts.storedKeys(); len(got) != 1 || got[0].Description != "short" {
		t.Errorf("the keys are %+v", got)
	}
}

// toResumeless is the login page that the page with a long form links to.
const toResumeless = `href="/_auth/login?next=%2F_portal%2F"`

// Somebody else who signs in at the same browser gets nothing of what was typed,
// and neither does the first, afterwards.
func TestAFormThatWaitsIsForItsSenderAlone(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	b := newBrowser(t, ts.URL).signInLocal("ann")
	form := b.typed("build server")
	ts.signOut()
	b.press(newKeyPath, form).to(t, toResume)
	b.signIn("bob", "bob-password", resumePath).to(t, resumePath)
	b.send("GET", resumePath, nil).to(t, "/_portal/?done=draft-lost").lacks(t, "build server")
	if b.draft() != "" {
		t.Error("the draft stays")
	}
	b.press(newKeyPath, form).has(t, 200, "made for another account")
	if n := len(ts.storedKeys()); n != 0 {
		t.Errorf("%d keys", n)
	}
}

func TestNoPasswordWaitsInACookie(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	form := ann.send("GET", "/_portal/profile", nil).fields(t, "/_portal/profile")
	for _, name := range []string{"current_password", "new_password", "repeat_password"} {
		form.Set(name, "canary-of-"+name)
	}
	ts.signOut()
	ann.press("/_portal/profile", form).to(t, toResume).lacks(t, "canary")
	plain := ts.openedDraft(ann.draft())
	if !strings.Contains(plain, "_as") || strings.Contains(plain, "canary") {
		t.Errorf("the cookie holds %s", plain)
	}
	ann.signIn("ann", "ann-password", resumePath).to(t, resumePath)
	ann.send("GET", resumePath, nil).has(t, 200, "Change your password").lacks(t, "canary")
}

// openedDraft is what a draft's cookie holds.
func (ts *testServer) openedDraft(value string) string {
	ts.t.Helper()
	secrets, err := ts.secret.keys("portal drafts")
	must(ts.t, err)
	keys, err := seal.New(secrets)
	must(ts.t, err)
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	must(ts.t, err)
	small, err := keys.Open("portal draft", "", sealed)
	must(ts.t, err)
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(small)))
	must(ts.t, err)
	return string(plain)
}

// The cookie is of no use to anybody but the portal: no app gets it, and it is for
// the portal's paths alone.
func TestTheCookieOfAFormReachesNoApp(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	ts := portalServer(t, withPolicyText(t, "upstreams: [{route: /open, url: '"+app.url+"', access: public}]"))
	ts.do("GET", "/open", "", "Cookie", "a=1; "+desk.DraftCookie+"=canary; b=2", "Cookie", desk.DraftCookie+"=canary")
	got := strings.Join(app.take(), "\n")
	if !strings.Contains(got, "a=1") || strings.Contains(got, "canary") {
		t.Errorf("the app got %s", got)
	}
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	form := ann.typed("build server")
	ts.signOut()
	for _, c := range ann.press(newKeyPath, form).Cookies() {
		if c.Name == desk.DraftCookie && (c.Path != "/_portal/" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 3600) {
			t.Errorf("the cookie is %+v", c)
		}
	}
}

// dangerous makes the API ask for a fresh login before a key is revoked.
func dangerous(s *Server) {
	for i, rt := range s.table {
		if rt.method == "DELETE" && rt.path == "/v1/auth/keys/{id}" {
			s.table[i].serve = func(ex *exchange, r *http.Request) error {
				args := ex.args
				if _, err := s.caller(ex, r); err != nil {
					return err
				}
				if err := s.needFresh(ex); err != nil {
					return err
				}
				ex.args = args
				return rt.serve(ex, r)
			}
		}
	}
}

// longAgo starts a server anew in which everybody signed in an hour ago, which is
// too long for what is dangerous.
func (ts *testServer) longAgo(cfg Config) *testServer {
	ts.t.Helper()
	must(ts.t, ts.stop())
	attackedOAuth{attacked{ts}}.alter("UPDATE sessions SET proved_at = proved_at - (expires_at - created_at) / 10")
	return startServer(ts.t, cfg, dangerous)
}

func freshConfig(c *Config) { c.SignIn.FreshLogin, c.SignIn.Lifetime = 10*time.Minute, 10*time.Hour }

// tooOld makes a key, waits until the session is old, and sends the form that
// revokes it: the login page says why and the form waits.
func (ts *testServer) tooOld(ann *browser, cfg Config) (later *testServer, revoke string) {
	ts.t.Helper()
	ann.press(newKeyPath, ann.typed("build server")).has(ts.t, 200, "wave_live_")
	later = ts.longAgo(cfg)
	revoke = "/_portal/keys/" + later.storedKeys()[0].ID + "/revoke"
	form := ann.send("GET", revoke, nil).fields(ts.t, revoke)
	form.Set("confirm", "build server")
	ann.press(revoke, form).to(ts.t, resumeAgain)
	if got := later.storedKeys()[0].Status(time.Now()); got != "active" {
		ts.t.Fatalf("the key is %s before the fresh login", got)
	}
	return later, revoke
}

// sentAgain sends the form that waited, which is done then.
func (ts *testServer) sentAgain(ann *browser, revoke string) {
	ts.t.Helper()
	page := ann.send("GET", resumePath, nil).has(ts.t, 200, `value="build server"`, "Everything that you typed")
	if got := ts.storedKeys()[0].Status(time.Now()); got != "active" {
		ts.t.Fatalf("the key is %s before the form is sent again", got)
	}
	ann.press(revoke, page.fields(ts.t, revoke)).to(ts.t, strings.TrimSuffix(revoke, "/revoke")+"?done=key-revoked")
	if got := ts.storedKeys()[0].Status(time.Now()); got != "revoked" {
		ts.t.Errorf("the key is %s", got)
	}
}

// Before something dangerous a local user gives the password again.
func TestDangerousActsWaitForAFreshLogin(t *testing.T) {
	t.Parallel()
	cfg := portalConfig(t, freshConfig)
	ts := startServer(t, cfg, dangerous)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	later, revoke := ts.tooOld(ann, cfg)
	page := ann.send("GET", resumeAgain, nil).has(t, 200, "Sign in again to go on:", "needs a fresh login", `value="ann"`)
	page.lacks(t, "Use another account", "Stay signed in")
	ann.send("GET", "/_auth/login?again=1", nil).to(t, "/") // nobody wants a fresh login there
	ann.signIn("ann", "ann-password", resumePath).to(t, resumePath)
	later.sentAgain(ann, revoke)
	later.wantSessions("after the fresh login", 1)
}

// A provider is asked to have its password typed again.
func TestDangerousActsWaitForAFreshLoginAtTheProvider(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	cfg := portalConfig(t, withProvider(t, idp), freshConfig)
	ts := startServer(t, cfg, dangerous)
	ann := newBrowser(t, ts.URL).signInAs("1001", "")
	later, revoke := ts.tooOld(ann, cfg)
	page := ann.send("GET", resumeAgain, nil).has(t, 200, "Sign in again to go on:", `href="/_auth/init?again=1&amp;next=%2F_portal%2Fresume&amp;provider=`)
	_, init, _ := strings.Cut(page.body, `href="/_auth/init?`)
	init, _, _ = strings.Cut(init, `"`)
	query, err := url.ParseQuery(strings.ReplaceAll(init, "&amp;", "&"))
	must(t, err)
	authorize := ann.send("GET", "/_auth/init?"+query.Encode(), nil).Header.Get("Location")
	if u, err := url.Parse(authorize); err != nil || u.Query().Get("prompt") != "login" {
		t.Fatalf("the provider is asked with %s", authorize)
	}
	ann.send("GET", ann.consent(authorize, "1001"), nil).to(t, resumePath)
	later.sentAgain(ann, revoke)
}

// A login for which the provider asked nobody anything is no proof, however new it is.
func TestALoginThatAProviderRemembersIsNotFresh(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	cfg := portalConfig(t, withProvider(t, idp), freshConfig)
	ts := startServer(t, cfg, dangerous)
	ann := newBrowser(t, ts.URL).signInAs("1001", "")
	later, revoke := ts.tooOld(ann, cfg)
	authorize := ann.send("GET", "/_auth/init?provider=main&next="+url.QueryEscape(resumePath), nil).Header.Get("Location")
	ann.send("GET", ann.consent(authorize, "1001"), nil).to(t, resumePath)
	page := ann.send("GET", resumePath, nil).has(t, 200, `value="build server"`)
	ann.press(revoke, page.fields(t, revoke)).to(t, resumeAgain)
	if got := later.storedKeys()[0].Status(time.Now()); got != "active" {
		t.Errorf("the key is %s after a login without a question", got)
	}
}

// Providers that take prompt=login are asked for the password of the same account;
// Google refuses it and lets an account be chosen.
func TestProvidersAreAskedForAFreshLogin(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string][2]string{
		"https://accounts.google.com": {"select_account", "select_account"}, "https://login.microsoftonline.com/x/v2.0": {"select_account", "login"}, "https://id.example": {"login", "login"},
	} {
		if got := [2]string{promptToSwitch(issuer, false), promptToSwitch(issuer, true)}; got != want {
			t.Errorf("%s: %v, want %v", issuer, got, want)
		}
	}
}
