package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
)

// formFrom sends the login form from an address, through a trusted proxy.
func (ts *testServer) formFrom(ip, name, password string) answer {
	ts.t.Helper()
	form := url.Values{"username": {name}, "password": {password}, "next": {"/"}}.Encode()
	return ts.do("POST", "/_auth/login", form, "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html",
		"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "X-Forwarded-For", ip, "X-Forwarded-Proto", "http")
}

// trustLoopback lets a test come from many addresses.
func trustLoopback(c *Config) { c.TrustedProxies = prefixes("127.0.0.0/8") }

func TestUnknownUserAndWrongPasswordAnswerAndCostAlike(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), trustLoopback)
	volatile := regexp.MustCompile(`[0-9a-f]{32}|value="[^"]*" autocomplete="username"`)
	walk := func(name string, subnet int) []string {
		var out []string
		for i := range 12 {
			a := ts.formFrom(fmt.Sprintf("198.51.%d.%d", subnet, i), name, fmt.Sprint("wrong", i))
			h := a.Header.Clone()
			for _, changing := range []string{"Date", "X-Request-Id", "Retry-After", "Content-Length"} {
				h.Del(changing)
			}
			out = append(out, fmt.Sprint(a.StatusCode, h, volatile.ReplaceAllString(a.body, "")))
		}
		return out
	}
	known := walk("ann", 1)
	if !strings.HasPrefix(known[0], "401 ") || !strings.HasPrefix(known[11], "429 ") || strings.Contains(known[0], "Basic") {
		t.Fatalf("the walk goes from %.200q to %.200q", known[0], known[11])
	}
	for i, name := range []string{"nobody", "id", "ann@example.com", "\u00e9\u0142\u00f3"} {
		if got := walk(name, 2+i); !slices.Equal(got, known) {
			t.Errorf("%q is answered otherwise than a known name:\n%q\n%q", name, got, known)
		}
	}
	// The cost is that of the comparisons, each of which is admitted first.
	for _, name := range []string{"bob", "nobody", "", strings.Repeat("x", 300)} {
		runs := 0
		_, _ = ts.signIn.users.Verify(t.Context(), name, "wrong", func() error { runs++; return nil })
		if runs != 1 {
			t.Errorf("%.20q costs %d comparisons, want 1", name, runs)
		}
	}
	for _, name := range []string{"bob", "nobody"} { // too long for bcrypt: refused before any
		runs := 0
		_, err := ts.signIn.users.Verify(t.Context(), name, strings.Repeat("p", 73), func() error { runs++; return nil })
		if runs != 0 || err == nil {
			t.Errorf("%s with 73 bytes: %d comparisons, %v", name, runs, err)
		}
	}
}

func TestGuessingPasswordsLocksTheAccountAndTheSourceAndNobodyElse(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), trustLoopback, withKeys(t, "ann:key-secret"))
	if ts.formFrom("192.0.2.1", "ann", "ann-password").StatusCode != 303 {
		t.Fatal("ann's own password")
	}
	for i, name := range []string{"ann", "ANN", " ann", "ann ", "Ann", "aNN", "\u00a0ann", "ann\u2003", "  ann  ", "AnN"} {
		if a := ts.formFrom(fmt.Sprintf("203.0.113.%d", i), name, fmt.Sprint("guess", i)); a.StatusCode != 401 {
			t.Errorf("guess %d: %d", i, a.StatusCode)
		}
	}
	locked := ts.formFrom("203.0.113.99", "ann", "ann-password")
	if locked.StatusCode != 429 || locked.Header.Get("Retry-After") == "" || len(locked.Cookies()) > 0 || !strings.Contains(locked.body, "Too many") {
		t.Errorf("the right password from elsewhere after ten guesses: %d %q", locked.StatusCode, locked.Header.Get("Retry-After"))
	}
	if a := ts.formFrom("192.0.2.1", "ann", "ann-password"); a.StatusCode != 303 {
		t.Errorf("ann from where she signed in before: %d", a.StatusCode)
	}
	if a := ts.formFrom("203.0.113.99", "bob", "bob-password"); a.StatusCode != 303 {
		t.Errorf("another account: %d", a.StatusCode)
	}
	ts.do("GET", "/x", "", "X-Forwarded-For", "203.0.113.98", "Authorization", basic("ann", "key-secret")).want(t, 200, "") // a key of the same name

	for i := range 20 { // one source against many names, with a success of its own in between
		ts.formFrom("198.51.100.7", fmt.Sprint("name", i), "x")
		if i == 10 {
			ts.formFrom("198.51.100.7", "bob", "bob-password")
		}
	}
	if a := ts.formFrom("198.51.100.7", "bob", "bob-password"); a.StatusCode != 429 {
		t.Errorf("the source after twenty guesses: %d", a.StatusCode)
	}
	if a := ts.formFrom("198.51.100.8", "bob", "bob-password"); a.StatusCode != 303 {
		t.Errorf("its neighbour: %d", a.StatusCode)
	}
	if n := len(ts.lines("lockout")); n != 2 {
		t.Errorf("%d lockouts in the log, want 2", n)
	}
	for _, typed := range []string{"guess0", "name3"} {
		if strings.Contains(ts.log.String(), typed) {
			t.Errorf("the log has what was typed: %q", typed)
		}
	}
}

func TestChangedOrRemovedPasswordEndsSessionsAndSockets(t *testing.T) {
	t.Parallel()
	line := func(name, password string) string { return keychainLine(t, name, password) }
	ann, bob := line("ann", "ann-password"), line("bob", "bob-password")
	for what, next := range map[string]string{
		"another password":   line("ann", "another-one") + bob,
		"removed":            bob,
		"the same, rehashed": line("ann", "ann-password") + bob,
	} {
		path := filepath.Join(t.TempDir(), ".wave-users")
		writeFile(t, path, ann+bob)
		ts := guarded(t, socketApp, func(c *Config) { c.Users = keychain.Config{Kind: keychain.LocalUsers, Path: path, Required: true} })
		a, b := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("bob")
		socket, stream, other := a.dial("/ws"), a.stream("/events"), b.dial("/ws")
		token := a.token()
		must(t, os.WriteFile(path, []byte(next), 0o600)) // no request comes: the file itself is followed
		socket.ended(what)
		stream.ended(what)
		a.xhr("/x").want(t, 401, "credential_required")
		ts.do("GET", "/x", "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
		b.xhr("/x").want(t, 200, "")
		other.stays(what)
		eventually(t, what+": the store has bob's alone", func() bool { return len(ts.allSessions()) == 1 })
	}
}

func TestPasswordChangedWhileTheServerWasDownEndsItsSessions(t *testing.T) {
	t.Parallel()
	users := withUsers(t)
	var cfg Config
	ts := guarded(t, whoApp, users, func(c *Config) { c.Listen = freeAddress(t); cfg = *c })
	ann, bob := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("bob")
	must(t, ts.stop())
	writeFile(t, cfg.Users.Path, keychainLine(t, "ann", "changed")+keychainLineOf(t, cfg.Users.Path, "bob"))
	cfg.Listen = "127.0.0.1:0"
	again := startServer(t, cfg)
	ann.base, bob.base = again.URL, again.URL
	if a := bob.xhr("/x"); a.StatusCode != 200 {
		t.Errorf("bob after the restart: %d", a.StatusCode)
	}
	ann.xhr("/x").want(t, 401, "credential_required")
}

// keychainLineOf returns the line of one ID in a file.
func keychainLineOf(t *testing.T, path, id string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, id+":") {
			return line
		}
	}
	t.Fatalf("%s has no %s", path, id)
	return ""
}

func TestPasswordChangedByItsOwnerEndsAllOtherSessions(t *testing.T) {
	t.Parallel()
	ts := guarded(t, socketApp, withUsers(t))
	b, elsewhere, bob := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("bob")
	socket, before := elsewhere.dial("/ws"), b.sessionCookie()
	change := func(b *browser, current, wanted, again string) answer {
		form := url.Values{"current_password": {current}, "new_password": {wanted}, "repeat_password": {again}, "username": {"bob"}} // the name is not asked for
		return b.press("/_portal/profile", form)
	}
	const wanted = "correct horse battery"
	for what, c := range map[string][3]string{
		"a wrong one": {"wrong", wanted, wanted}, "nothing": {"", wanted, wanted}, "two new ones": {"ann-password", wanted, wanted + "x"},
		"the same": {"ann-password", "ann-password", "ann-password"}, "too short": {"ann-password", "x", "x"}, "too long": {"ann-password", strings.Repeat("x", 73), strings.Repeat("x", 73)}, "empty": {"ann-password", "", ""},
	} {
		if a := change(b, c[0], c[1], c[2]); a.StatusCode != 200 || !strings.Contains(a.body, "aria-invalid") || strings.Contains(a.body, wanted) {
			t.Errorf("%s: %d", what, a.StatusCode)
		}
	}
	ts.wantSessions("after bad forms", 3)
	change(b, "ann-password", wanted, wanted).to(t, "/_portal/profile?done=password-changed")
	if b.sessionCookie() == before {
		t.Error("the session's id stayed")
	}
	socket.ended("the password was changed")
	elsewhere.xhr("/x").want(t, 401, "credential_required")
	ts.do("GET", "/x", "", "Cookie", "wavegate="+before).want(t, 401, "credential_required")
	b.xhr("/x").want(t, 200, "")
	bob.xhr("/x").want(t, 200, "")
	if a := newBrowser(t, ts.URL).signIn("ann", "ann-password", "/"); a.StatusCode != 401 {
		t.Errorf("the old password: %d", a.StatusCode)
	}
	if a := newBrowser(t, ts.URL).signIn("ann", wanted, "/"); a.StatusCode != 303 {
		t.Errorf("the new password: %d", a.StatusCode)
	}
}

func TestUsersAreNoKeysAndKeysAreNoUsers(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), withKeys(t, "id:key-secret"))
	ts.do("GET", "/x", "", "Authorization", basic("ann", "ann-password")).want(t, 401, "invalid_access_key")
	for _, c := range [][2]string{{"id", "key-secret"}, {"access_key_id", "access_key_secret"}, {"", ""}, {"ann", ""}, {"", "ann-password"}, {"local|ann", "ann-password"}, {"ann", "ann-password\x00"}, {"ann\n", "ann-password"}} {
		b := newBrowser(t, ts.URL)
		if a := b.signIn(c[0], c[1], "/"); a.StatusCode != 401 || b.sessionCookie() != "" {
			t.Errorf("%q: %d", c, a.StatusCode)
		}
	}
	// What is in the address is no form, and a form larger than it can be is not read.
	b := newBrowser(t, ts.URL)
	if a := b.send("POST", "/_auth/login?username=ann&password=ann-password", url.Values{}); a.StatusCode != 401 || b.sessionCookie() != "" {
		t.Errorf("a password in the address: %d", a.StatusCode)
	}
	if a := b.signIn("ann", strings.Repeat("x", 1<<20), "/"); a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: %d", a.StatusCode)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	must(t, err)
	if _, err := ts.signIn.users.Verify(context.Background(), "ann", string(hash), nil); err == nil {
		t.Error("a hash opens")
	}
}
