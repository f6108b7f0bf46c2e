package server

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/keychain"
)

func TestDeletedKeychainOpensNothingUntilItIsBack(t *testing.T) {
	t.Parallel()
	lines := keychainLine(t, "alice", "a")
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), lines)
	ts := guarded(t, hello, func(c *Config) { c.Keychain = keychain.Config{Path: path} })
	status := func(id, secret string) int {
		return ts.do("GET", "/", "", "Authorization", basic(id, secret)).StatusCode
	}
	if status("alice", "a") != 200 {
		t.Fatal("alice is not let in")
	}
	must(t, os.Remove(path))
	eventually(t, "alice is out", func() bool { return status("alice", "a") == 401 })
	if got := status(keychain.DefaultID, keychain.DefaultSecret); got != 401 {
		t.Errorf("the published pair: %d", got)
	}
	said := "the keychain " + path + " is gone: its keys open nothing any more; put it back"
	must(t, ts.Reload()) // any other change
	if n := len(ts.lines(said)); n != 1 {
		t.Errorf("%d lines say that it is gone, want 1", n)
	}
	writeFile(t, path, lines)
	eventually(t, "the file is back", func() bool { return status("alice", "a") == 200 })
}

func TestDeletedUsersFileSignsItsUsersOut(t *testing.T) {
	t.Parallel()
	var users string
	ts := guarded(t, socketApp, withUsers(t), func(c *Config) { users = c.Users.Path })
	b := newBrowser(t, ts.URL).signInLocal("ann")
	socket := b.dial("/ws")
	must(t, os.Rename(users, users+".aside"))
	socket.ended("the users file is gone")
	b.xhr("/x").want(t, 401, "credential_required")
	if a := newBrowser(t, ts.URL).signIn("ann", "ann-password", "/"); a.StatusCode == http.StatusSeeOther {
		t.Error("a user of a file that is gone signs in")
	}
	must(t, os.Rename(users+".aside", users))
	eventually(t, "the file is back", func() bool {
		return newBrowser(t, ts.URL).signIn("ann", "ann-password", "/").StatusCode == http.StatusSeeOther
	})
	b.xhr("/x").want(t, 401, "credential_required") // what has ended stays so
}

// TestReloadWithoutRunNeverWaits: nobody listens to what a missing file asks for.
func TestReloadWithoutRunNeverWaits(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "alice", "a"))
	cfg.Keychain = keychain.Config{Path: path, Required: true}
	s, err := New(cfg, io.Discard)
	must(t, err)
	defer s.close()
	must(t, os.Remove(path))
	for range 3 {
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "unless it comes back") {
			t.Errorf("got %v", err)
		}
	}
}
