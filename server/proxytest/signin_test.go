//go:build linux

package proxytest

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
	"wavegate/server"
)

// A browser is a client that keeps the session cookie.
type browser struct {
	client
	cookie string // "name=value", or ""
}

// navigate asks for a page as browsers do.
func (b *browser) navigate(target string, lines ...string) answer {
	return b.get(target, b.with(append(lines, "Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate")...)...)
}

// fetch asks as a script in a page does.
func (b *browser) fetch(target string, lines ...string) answer {
	return b.get(target, b.with(append(lines, "Accept: */*", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin")...)...)
}

// with adds the cookie, between two of the app's.
func (b *browser) with(lines ...string) []string {
	if b.cookie == "" {
		return lines
	}
	return append(lines, "Cookie: theirs=1; "+b.cookie+"; more=a=b")
}

// signIn sends the form of the login page.
func (b *browser) signIn(t *testing.T, target string) answer {
	t.Helper()
	form := url.Values{"username": {"jane"}, "password": {"correct horse"}}
	if _, query, ok := strings.Cut(target, "?"); ok {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		form.Set("next", q.Get("next"))
	}
	a := b.send(request{method: "POST", target: "/_auth/login", body: form.Encode(), lines: []string{
		"Content-Type: application/x-www-form-urlencoded", "Accept: text/html,*/*;q=0.8",
		"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Origin: http://app.example.com",
	}})
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "wavegate" {
			b.cookie = c.Name + "=" + c.Value
		}
	}
	return a
}

// TestSignInBehindProxies has a person sign in through every proxy.
func TestSignInBehindProxies(t *testing.T) {
	scenarios := []struct {
		name string
		run  func(*testing.T, *stage, *browser)
	}{
		{"a browser is led to the login page and back", ledToLogin},
		{"the app is told who it is, and not the cookie", sessionReachesApp},
		{"who may not enter sees the page that says so", noAccessPage},
		{"a script gets 401 and no redirect", scriptGets401},
		{"no client can ask about requests", questionsFromClients},
		{"a signed-out browser is out", signedOut},
	}
	for _, f := range fronts() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{front: f, gate: startGate(t, withUser(t)), app: startApp(t)}
			s.addr = f.start(t, s.gate.addr, s.app.addr)
			b := &browser{client: s.from(t, "127.0.0.51")}
			for _, sc := range scenarios {
				t.Run(sc.name, func(t *testing.T) {
					s.app.take()
					sc.run(t, s, b)
				})
			}
		})
	}
}

// withUser adds a local user: jane, who holds no scope.
func withUser(t *testing.T) func(*server.Config) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, filepath.Join(t.TempDir(), "users"), "jane:"+string(hash)+"\n")
	return func(c *server.Config) {
		c.Users = keychain.Config{Path: path, Kind: keychain.LocalUsers, Required: true}
	}
}

func ledToLogin(t *testing.T, s *stage, b *browser) {
	a := b.navigate("/private?a=1&b=%2f").want(t, "without session", http.StatusFound)
	target := a.header.Get("Location")
	if !strings.HasPrefix(target, "/_auth/login?") || len(s.app.take()) > 0 {
		t.Fatalf("Location %q", target)
	}
	page := b.navigate(target).want(t, "login page", http.StatusOK)
	if !strings.Contains(page.body, `name="password"`) || page.header.Get("Content-Security-Policy") == "" {
		t.Errorf("login page: %v %.300q", page.header, page.body)
	}
	a = b.signIn(t, target).want(t, "form", http.StatusSeeOther)
	if got := a.header.Get("Location"); got != "/private?a=1&b=%2f" || b.cookie == "" {
		t.Fatalf("signed in: Location %q, cookie %t, body %.300q", got, b.cookie != "", a.body)
	}
}

func sessionReachesApp(t *testing.T, s *stage, b *browser) {
	saw := s.expectEntry(t, "with session", b.navigate("/private?a=1&b=%2f"))
	for name, want := range map[string]string{
		"Wave-Subject-ID": "local|jane", "Wave-Username": "jane", "Wave-Auth-Method": "session", "Remote-User": "local|jane",
	} {
		if got := strings.Join(saw.Header.Values(name), "|"); got != want {
			t.Errorf("the app saw %s: %q, want %q", name, got, want)
		}
	}
	if saw.Header.Get("Wave-Client-ID") == "" || saw.Header.Get("Wave-Session-ID") == "" {
		t.Errorf("the app saw no client or session: %v", saw.Header)
	}
	cookies := saw.Header.Get("Cookie")
	keepsAll := strings.HasPrefix(s.name, "Traefik") || strings.HasPrefix(s.name, "Envoy") // and the examples say so
	if strings.Contains(cookies, b.cookie) != keepsAll || !strings.HasPrefix(cookies, "theirs=1; ") || !strings.HasSuffix(cookies, "more=a=b") {
		t.Errorf("the app saw the cookies %q", cookies)
	}
	if keepsAll {
		return
	}
	for sent, want := range map[string]string{
		b.cookie: "", "theirs=1; " + b.cookie: "theirs=1", b.cookie + ";more=a=b": "more=a=b",
		"__Host-wavegate=x; " + b.cookie + "; more=1": "more=1", b.cookie + "; __Host-wavegate=x": "",
		"a=1; __Host-wavegate=x; b=2; " + b.cookie + "; wavegatex=3; xwavegate=4": "a=1; b=2; wavegatex=3; xwavegate=4",
	} {
		saw := s.expectEntry(t, sent, b.get("/private", "Cookie: "+sent))
		if got := strings.Trim(saw.Header.Get("Cookie"), "; "); got != want { // some leave a separator behind
			t.Errorf("%s: the app saw %q, want %q", sent, got, want)
		}
	}
}

func noAccessPage(t *testing.T, s *stage, b *browser) {
	a := b.navigate("/admin")
	s.expectRefusal(t, "page", a.want(t, "page", http.StatusForbidden))
	if !strings.Contains(a.body, "jane") || !strings.Contains(a.body, "/_auth/login") {
		t.Errorf("the page does not name the account or lets nobody switch: %.500q", a.body)
	}
	a = b.fetch("/admin")
	s.expectRefusal(t, "script", a.want(t, "script", http.StatusForbidden))
	if !strings.Contains(a.body, `"request_id"`) {
		t.Errorf("no JSON for a script: %.300q", a.body)
	}
}

func scriptGets401(t *testing.T, s *stage, b *browser) {
	stranger := &browser{client: b.client}
	for _, lines := range [][]string{nil, {"X-Requested-With: XMLHttpRequest"}} {
		a := stranger.fetch("/private", lines...)
		s.expectRefusal(t, "script", a.want(t, "script", http.StatusUnauthorized))
		challenge := strings.Join(a.header.Values("WWW-Authenticate"), "|")
		if a.header.Get("Location") != "" || challenge != `Bearer realm="wavegate"` || !strings.Contains(a.body, "credential_required") {
			t.Errorf("%q: %v %.300q", lines, a.header, a.body)
		}
	}
	a := stranger.send(request{method: "POST", target: "/private", lines: []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}, body: "x=1"})
	s.expectRefusal(t, "form", a.want(t, "form", http.StatusUnauthorized))
}

func questionsFromClients(t *testing.T, s *stage, b *browser) {
	for _, target := range []string{
		"/_auth/verify", "/_auth/verif%79", "/_auth/./verify", "/_auth/forward", "/_auth/forward/private", "/_auth/forwar%64/private", "/_auth//forward/private",
	} {
		for _, lines := range [][]string{
			nil,
			{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /private"},
			{"X-Original-URL: http://app.example.com/private", "X-Original-Method: GET"},
		} {
			a := b.get(target, b.with(lines...)...)
			for name := range a.header {
				if strings.HasPrefix(name, "Wave-") || strings.HasPrefix(name, "Remote-") {
					t.Errorf("%s: status %d, the client got %s", target, a.status, name)
				}
			}
			s.app.take() // where the proxy takes the path for one of the app's
		}
	}
}

func signedOut(t *testing.T, s *stage, b *browser) {
	a := b.navigate("/_auth/logout", "Sec-Fetch-Site: none", "Sec-Fetch-Dest: document").want(t, "logout", http.StatusSeeOther)
	if got := a.header.Get("Location"); got != "/_auth/signed-out" {
		t.Errorf("logout leads to %q", got)
	}
	b.navigate("/_auth/signed-out").want(t, "signed out", http.StatusOK)
	b.navigate("/private").want(t, "after logout", http.StatusFound)
	if seen := s.app.take(); len(seen) > 0 {
		t.Errorf("%d requests at the app", len(seen))
	}
}
