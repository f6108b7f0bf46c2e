package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"wavegate/server/store/storetest"
)

// TestBackupAndRestoreAsDocumented runs the commands of docs/operations.md, with
// people who sign in meanwhile.
func TestBackupAndRestoreAsDocumented(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		need(t, "sqlite3", "sqlite3")
		backups := documented(t, "**SQLite.**", 0)
		if len(backups) != 2 {
			t.Fatalf("want two ways, got %q", backups)
		}
		for _, backup := range backups {
			s := newSite(t, "")
			g := s.start()
			people := populate(t, s, g)
			g.meanwhile(t, func() { shell(t, s.dir, nil, backup) })
			g.Kill()
			writeJunk(t, filepath.Join(s.dir, "data/wavegate.db"))
			restore := documented(t, "**SQLite.**", 1)
			s.checkRestored(t, people, func() { shell(t, s.dir, nil, restore...) })
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
		must(t, err)
		s := newSite(t, storetest.Postgres(t))
		g := s.start()
		people := populate(t, s, g)
		u, err := url.Parse(s.store)
		must(t, err)
		env := []string{
			"PATH=" + strings.Join(append(found, os.Getenv("PATH")), ":"),
			"WAVEGATE_STORE=" + s.store, "PGHOST=" + u.Query().Get("host"), "PGUSER=" + u.User.Username(), "PGDATABASE=postgres",
		}
		commands := documented(t, "**PostgreSQL.**", 0)
		g.meanwhile(t, func() { shell(t, s.dir, env, commands[0]) })
		g.Kill()
		u.Path = "/wavegate_restored"
		s.store = u.String()
		t.Cleanup(func() { shell(t, s.dir, env, "dropdb --force wavegate_restored") })
		s.checkRestored(t, people, func() { shell(t, s.dir, env, commands[1:]...) })
	})
}

// populate has people sign in, and one be disabled.
func populate(t *testing.T, s *site, g *gate) map[string]*person {
	t.Helper()
	people := map[string]*person{"ann": newPerson(t), "carl": newPerson(t), "dora": newPerson(t)}
	people["ann"].signIn(g, "ann")
	people["carl"].signIn(g, "carl")
	people["dora"].signInAtProvider(g, g)
	bob := newPerson(t)
	bob.signIn(g, "bob")
	_, user := bob.session(g)
	byAdministrator(g, "PATCH", "/v1/auth/users/"+user, `{"disabled": true}`)
	return people
}

// meanwhile does something while somebody signs in and out again and again.
func (g *gate) meanwhile(t *testing.T, do func()) {
	t.Helper()
	over, begun := make(chan struct{}), make(chan struct{})
	once, work := sync.OnceFunc(func() { close(begun) }), sync.WaitGroup{}
	work.Go(func() {
		defer once()
		for !isClosed(over) {
			p := newPerson(t)
			a, err := p.try(g, "POST", "/_auth/login", url.Values{"username": {"carl"}, "password": {"carl-password"}})
			if err != nil || a.StatusCode != http.StatusSeeOther {
				t.Errorf("signing in beside a backup: %v %v", a.Response, err)
				return
			}
			if _, err := p.try(g, "POST", "/_auth/logout", url.Values{}); err != nil {
				t.Error(err)
			}
			once()
		}
	})
	<-begun
	do()
	close(over)
	work.Wait()
}

// checkRestored starts the program on the copy as it is, and on the copy as the
// documentation restores it: without sessions.
func (s *site) checkRestored(t *testing.T, people map[string]*person, restore func()) {
	t.Helper()
	restore()
	g := s.start()
	for name, p := range people {
		if p.passes(g) {
			t.Errorf("the session of %s is alive again", name)
		}
	}
	bob := newPerson(t)
	bob.send(g, http.StatusForbidden, "POST", "/_auth/login", url.Values{"username": {"bob"}, "password": {"bob-password"}})
	people["ann"].signIn(g, "ann")
	people["dora"].signInAtProvider(g, g)
	people["ann"].isIn("ann", g)
	people["dora"].isIn("dora", g)
	g.stop()
}

// TestRestoredCopyServesTheSameSessions is a backup that is younger than the last
// session that ended.
func TestRestoredCopyServesTheSameSessions(t *testing.T) {
	need(t, "sqlite3", "sqlite3")
	s := newSite(t, "")
	g := s.start()
	people := populate(t, s, g)
	shell(t, s.dir, nil, documented(t, "**SQLite.**", 0)[0])
	g.Kill()
	s.store = "sqlite:wavegate-backup.db"
	g = s.start("-data-dir", t.TempDir())
	for name, p := range people {
		p.isIn(name, g)
	}
}

// documented returns the commands of the n-th block of shell behind a mark in
// docs/operations.md. Those that speak to the service manager are left out.
func documented(t *testing.T, mark string, n int) []string {
	t.Helper()
	text, err := os.ReadFile("docs/operations.md")
	must(t, err)
	_, section, found := strings.Cut(string(text), mark)
	blocks := strings.Split(section, "```sh\n")
	if !found || len(blocks) < n+2 {
		t.Fatalf("docs/operations.md has no block %d behind %q", n, mark)
	}
	block, _, _ := strings.Cut(blocks[n+1], "```")
	var commands []string
	for line := range strings.Lines(block) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "systemctl ") {
			commands = append(commands, line)
		}
	}
	return commands
}

// shell runs commands one after the other until one fails.
func shell(t *testing.T, dir string, env []string, commands ...string) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(commands, "\n"))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", strings.Join(commands, "\n"), err, out)
	}
}

// need skips the test where a program lacks; in CI it fails.
func need(t *testing.T, program, debianPackage string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("no %s here: install the Debian package %s", program, debianPackage)
}

// writeJunk is what a broken disk leaves.
func writeJunk(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = io.WriteString(f, strings.Repeat("junk", 1024))
	must(t, err)
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		t.Error("no log of changes was left behind, so nothing is shown about it")
	}
}
