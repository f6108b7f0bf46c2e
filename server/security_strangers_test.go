package server

import (
	"crypto/rand"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStrangersLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := withoutLockouts(guarded(t, whoApp, withUsers(t), withProvider(t, idp)))
	send := func(target string, headers ...string) int {
		r := httptest.NewRequest("GET", target, nil)
		r.Host = ts.cfg.Listen
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		ts.ServeHTTP(w, r)
		return w.Code
	}
	for range 300 {
		id := rand.Text()
		for what, status := range map[string]int{
			send2("/x", send, "Cookie", "wavegate="+id):                                       401,
			send2("/_auth/callback?code=x&state="+id, send, "Cookie", attemptPair(id, id+id)): 400,
			send2("/_auth/init?next=/"+id, send):                                              302,
			send2("/x", send, "Authorization", "Bearer a.b."+id):                              401,
		} {
			if !strings.HasSuffix(what, fmt.Sprint(status)) {
				t.Fatalf("%s, want %d", what, status)
			}
		}
	}
	if n, bytes := ts.signIn.sessions.Remembered(); n != 0 || bytes != 0 {
		t.Errorf("%d sessions of strangers are remembered, %d bytes", n, bytes)
	}
	ts.wantSessions("of strangers", 0)
	users, err := ts.signIn.sessions.Users(t.Context(), "", 10)
	must(t, err)
	if len(users) != 0 || idp.Count("/token") != 0 {
		t.Errorf("%d users, %d questions to the provider", len(users), idp.Count("/token"))
	}
	// One browser cannot be filled either: its oldest logins make room.
	b := newBrowser(t, ts.URL)
	for range 40 {
		b.send("GET", "/_auth/init", nil)
	}
	if n := strings.Count(b.cookies(), "wavegate-login-"); n > 8 || len(b.cookies()) > 20<<10 {
		t.Errorf("%d logins in %d bytes of cookies", n, len(b.cookies()))
	}
}

// send2 names a request and its status.
func send2(target string, send func(string, ...string) int, headers ...string) string {
	return target + " " + strings.Join(headers, " ") + " " + fmt.Sprint(send(target, headers...))
}

func TestHugeCookiesAreRefusedWithAWord(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, newIDP(t)))
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	huge := "wavegate=" + ann.sessionCookie() + "; x=" + strings.Repeat("A", 100<<10)
	for _, path := range []string{"/x", "/_auth/login", "/_auth/callback?state=x&code=y", "/_auth/userinfo"} {
		a := ts.do("GET", path, "", "Cookie", huge).want(t, 431, "header_too_large")
		if line := ts.requestLine(a); line["code"] != "header_too_large" {
			t.Errorf("%s: the log says %v", path, line)
		}
		if a := ts.do("GET", path, "", "Cookie", huge, "Accept", "text/html"); a.StatusCode != 431 || !strings.Contains(a.body, "cookies of this site") {
			t.Errorf("%s: %d %.300s", path, a.StatusCode, a.body)
		}
	}
	// Less than that: our own cookies in sizes that they cannot have.
	for _, size := range []int{27, 64, 4001, 30 << 10} {
		long := strings.Repeat("A", size)
		ts.do("GET", "/x", "", "Cookie", "wavegate="+long).want(t, 401, "credential_required")
		a := newBrowser(t, ts.URL).send("GET", "/_auth/callback?code=x&state=abc", nil, "Cookie", attemptPair("abc", long))
		ts.refusedPage(fmt.Sprint(size, " bytes"), a, 400, "stale_login")
	}
	if n := ts.do("GET", "/_auth/login?next=/"+strings.Repeat("n", 50<<10), ""); n.StatusCode != 200 || strings.Contains(n.body, "nnnnnnnnnn") {
		t.Errorf("a next of 50 KB: %d, %d bytes", n.StatusCode, len(n.body))
	}
}

func TestCookiesOfAnotherInstanceOpenNothing(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	users := withUsers(t)
	ts := guarded(t, whoApp, users, withProvider(t, idp))
	other := guarded(t, whoApp, users, withProvider(t, idp)) // the same users and provider, another secret and store
	ann := newBrowser(t, other.URL).signInLocal("ann")
	cookie := "wavegate=" + ann.sessionCookie()
	ts.do("GET", "/x", "", "Cookie", cookie).want(t, 401, "credential_required")
	if a := ts.do("GET", "/x", "", "Cookie", cookie, "Accept", "text/html"); a.StatusCode != 302 || !strings.HasPrefix(a.Header.Get("Location"), "/_auth/login?") {
		t.Errorf("a page: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	ts.do("GET", "/x", "", "Authorization", "Bearer "+ann.token()).want(t, 401, "invalid_token")
	begun := newBrowser(t, other.URL)
	callback := begun.begin("1001", nil)
	stray := newBrowser(t, ts.URL)
	a := stray.send("GET", strings.Replace(callback, other.URL, ts.URL, 1), nil, "Cookie", begun.cookies())
	ts.refusedPage("an attempt of the other", a, 400, "stale_login")
	warned := ts.lines("a login attempt was sealed by another secret: all replicas need the same --secret-file")
	if len(warned) != 1 || warned[0]["request_id"] != a.Header.Get("X-Request-Id") {
		t.Errorf("the log says %v", warned)
	}
	if idp.Count("/token") != 0 {
		t.Error("a code was spent")
	}
}
