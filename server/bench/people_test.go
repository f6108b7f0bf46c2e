//go:build linux

package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// The one local user.
const (
	userName     = "ann"
	userPassword = "b3nch-password"
	usersFile    = "users"
)

// writePeople adds the users file to a guard's folder.
func writePeople(t *testing.T, guard string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(userPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(guard, usersFile), []byte(userName+":"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startGate starts what is measured, the binary if there is one; with a store
// people can sign in, and their sessions are there.
func startGate(t *testing.T, binary, guard, store string) daemon {
	t.Helper()
	if binary == "" || os.Getenv("WAVEGATE_BENCH_PROFILE") != "" { // the binary writes no profiles
		begun := time.Now()
		return daemon{startRole(t, "wavegate", envDir+"="+guard, envStore+"="+store), begun}
	}
	if store == "" {
		return startDaemon(t, binary, guard)
	}
	return startDaemon(t, binary, guard, "--users-file", filepath.Join(guard, usersFile), "--store", store)
}

// signIn signs the user in and returns the cookie.
func signIn(t *testing.T, gate process) string {
	t.Helper()
	form := url.Values{"username": {userName}, "password": {userPassword}}
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequest(http.MethodPost, "http://"+gate.addr+"/_auth/login", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "wavegate" && c.Value != "" {
			return c.Value
		}
	}
	body, _ := io.ReadAll(res.Body)
	t.Fatalf("no session: %s\n%s", res.Status, body)
	return ""
}

// visit writes a request with a session's cookie and further header lines.
func visit(path, pair string, lines ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: application/json\r\nCookie: %s\r\n", path, pair)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// benchPeople compares requests with a remembered session with those of a
// remembered key and with a server that checks nothing, proxied and at
// /_auth/verify.
func benchPeople(t *testing.T, p plan, tb *table, binary string, upstream process) {
	guard := writeGuard(t, upstream.addr, p.cost)
	writePeople(t, guard)
	gate := startGate(t, binary, guard, "sqlite:"+filepath.Join(t.TempDir(), "sessions.db")).process
	cookie := signIn(t, gate)
	results := compare(t, p,
		target{"bare ReverseProxy", startRole(t, "proxy", envTarget+"=http://"+upstream.addr), get("/v1/streams/str_1", keyID, keySecret), upstreamBody},
		target{"key", gate, get("/v1/streams/str_1", keyID, keySecret), upstreamBody},
		target{"session", gate, visit("/v1/streams/str_1", "wavegate="+cookie), upstreamBody})
	tb.compare("proxied with session and scope ÷ bare ReverseProxy", results[2], results[0], 0.95)
	tb.compare("the same ÷ proxied with key and scope", results[2], results[1], 0)
	results = compare(t, p,
		target{"handler that writes 200", startRole(t, "ok"), get("/_auth/verify", keyID, keySecret, asked...), "\r\n\r\n"},
		target{"key", gate, get("/_auth/verify", keyID, keySecret, asked...), "\r\n\r\n"},
		target{"session", gate, visit("/_auth/verify", "__Host-wavegate="+cookie, asked...), "\r\n\r\n"})
	tb.compare("/_auth/verify with session ÷ a handler that writes 200", results[2], results[0], 0.85)
	tb.compare("the same ÷ /_auth/verify with key", results[2], results[1], 0)
}
