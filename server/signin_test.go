package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wavegate/oidc/oidctest"
)

func TestLocalUserSignsInAndComesBack(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t))
	b := newBrowser(t, ts.URL)

	a := b.send("GET", "/reports?year=2026&q=a%20b", nil)
	a.want(t, http.StatusFound, "")
	if got, want := a.Header.Get("Location"), "/_auth/login?next="+url.QueryEscape("/reports?year=2026&q=a%20b"); got != want {
		t.Errorf("sent to %q, want %q", got, want)
	}
	page := b.open("/reports?year=2026&q=a%20b").want(t, http.StatusOK, "")
	if !strings.Contains(page.body, `name="password"`) || !strings.Contains(page.body, "/reports?year=2026&amp;q=a%20b") {
		t.Errorf("no login form that remembers the way: %s", page.body)
	}
	wrong := b.signIn("ann", "not hers", "/reports?year=2026")
	if wrong.StatusCode != http.StatusUnauthorized || !strings.Contains(wrong.body, "The name or the password is wrong.") || b.sessionCookie() != "" {
		t.Errorf("wrong password: %d %q", wrong.StatusCode, wrong.body)
	}
	right := b.signIn("ann", "ann-password", "/reports?year=2026")
	if right.StatusCode != http.StatusSeeOther || right.Header.Get("Location") != "/reports?year=2026" {
		t.Fatalf("right password: %d to %q: %s", right.StatusCode, right.Header.Get("Location"), right.body)
	}
	got := b.open("/reports?year=2026").want(t, http.StatusOK, "")
	if want := "GET /reports?year=2026 subject=local|ann username=ann method=session"; got.body != want {
		t.Errorf("the app saw %q, want %q", got.body, want)
	}
}

func TestLogoutEndsTheSessionOnTheServer(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t))
	b := newBrowser(t, ts.URL)
	b.signIn("ann", "ann-password", "/")
	cookie := b.sessionCookie()
	if cookie == "" {
		t.Fatal("no session cookie")
	}
	out := b.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Location") != "/_auth/signed-out" {
		t.Errorf("logout: %d to %q", out.StatusCode, out.Header.Get("Location"))
	}
	cleared := out.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cleared, "wavegate=;") || !strings.Contains(cleared, "Path=/;") || !strings.Contains(cleared, "Max-Age=0") {
		t.Errorf("cookie cleared with %q", cleared)
	}
	if b.sessionCookie() != "" {
		t.Error("the browser still has the cookie")
	}
	ts.do("GET", "/x", "", "Cookie", "wavegate="+cookie).want(t, http.StatusUnauthorized, "credential_required")
}

func TestProviderSignsInAndLeadsBackToTheDeepLink(t *testing.T) {
	t.Parallel()
	idp := oidctest.New(t, oidctest.Config{Users: map[string]oidctest.Claims{
		"1001": {"preferred_username": "ann", "email": "ann@example.com", "email_verified": true, "groups": []string{"eng"}},
	}})
	idp.Login("1001")
	ts := guarded(t, whoApp, withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	page := b.open("/reports?year=2026&q=a%20b").want(t, http.StatusOK, "")
	if !strings.Contains(page.body, "/_auth/init?") {
		t.Fatalf("no way to the provider on the login page: %s", page.body)
	}
	got := b.open("/_auth/init?next="+url.QueryEscape("/reports?year=2026&q=a%20b")).want(t, http.StatusOK, "")
	if want := "GET /reports?year=2026&q=a%20b subject=1001 username=ann method=session"; got.body != want {
		t.Errorf("the app saw %q, want %q", got.body, want)
	}
	out := b.open("/_auth/logout")
	if b.sessionCookie() != "" {
		t.Errorf("still signed in after logout: %d %s", out.StatusCode, out.body)
	}
	if t.Failed() {
		t.Log(ts.log.String())
	}
}
