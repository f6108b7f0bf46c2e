package main

import (
	"database/sql"
	"encoding/json"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/store/storetest"
)

// canary is a password that must not be shown.
const canary = "hunter2-canary"

// TestStoreThatCannotBeOpenedStopsTheStart is about what operators get wrong: one
// line that says what to do, and exit code 1.
func TestStoreThatCannotBeOpenedStopsTheStart(t *testing.T) {
	dir := newSite(t, "").dir
	must(t, os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("no database\n", 100)), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	newer := filepath.Join(dir, "newer.db")
	runOnce(t, dir, "sqlite:"+newer)
	db, err := sql.Open("sqlite", newer)
	must(t, err)
	_, err = db.Exec("INSERT INTO schema_migrations (version_id, is_applied) VALUES (9001, 1)")
	must(t, err)
	must(t, db.Close())
	for _, tt := range []struct{ name, store, want string }{
		{"a file that is no database", "sqlite:text", "store " + dir + "/text: it is no SQLite database: move it away, or name another file with --store sqlite:PATH ("},
		{"a folder", "folder", "store: " + dir + "/folder is no file: name another with --store sqlite:PATH"},
		{"below a file", "sqlite:text/wavegate.db", "make the folder writable for the user that runs wavegate, or name another place with -data-dir or --store"},
		{"a newer schema", "sqlite:" + newer, "it was made by a newer wavegate (version 9001 of its tables, this one knows "},
		{"nothing listens", "postgres://me:" + canary + "@" + closedAddress(t) + "/wavegate", "nothing listens there: start PostgreSQL, or correct host and port in --store"},
		{"no socket", "postgres://me:" + canary + "@/wavegate?host=" + dir, "nothing listens there: start PostgreSQL, or correct host and port in --store"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantNoStart(t, dir, tt.store, tt.want) })
	}
}

func TestPostgresThatCannotBeOpenedStopsTheStart(t *testing.T) {
	dir, store := newSite(t, "").dir, storetest.Postgres(t)
	execute(t, store, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
	t.Cleanup(func() { execute(t, store, "DROP ROLE guarded") })
	runOnce(t, dir, store)
	changed := func(change func(*url.URL)) string {
		u, err := url.Parse(store)
		must(t, err)
		change(u)
		return u.String()
	}
	wrong := changed(func(u *url.URL) { u.User = url.UserPassword("guarded", canary) })
	absent := changed(func(u *url.URL) { u.User, u.Path = url.UserPassword(u.User.Username(), canary), "/absent" })
	bare := changed(func(u *url.URL) { u.User, u.Path = url.UserPassword("guarded", "right"), "/postgres" })
	for _, tt := range []struct{ name, store, want string }{
		{"wrong password", wrong, `it does not let user "guarded" in: correct user and password in --store`},
		{"no such database", absent, "there is no such database: create it with createdb -h "},
		{"no right to make tables", bare, `user "guarded" may not make tables there: run ALTER DATABASE postgres OWNER TO guarded`},
	} {
		t.Run(tt.name, func(t *testing.T) { wantNoStart(t, dir, tt.store, tt.want) })
	}
	t.Run("a newer schema", func(t *testing.T) {
		execute(t, store, "INSERT INTO schema_migrations (version_id, is_applied) VALUES (9001, true)")
		wantNoStart(t, dir, store, "it was made by a newer wavegate (version 9001 of its tables, this one knows ")
	})
}

// TestUnwritableDataFolderStopsTheStart runs the program as somebody who may not
// write there, which root always may.
func TestUnwritableDataFolderStopsTheStart(t *testing.T) {
	dir, err := os.MkdirTemp("", "wavegate-unwritable-") // not t.TempDir, which nobody else may enter
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	program := filepath.Join(dir, "wavegate")
	must(t, os.Link(string(shipped.program(t)), program))
	must(t, os.WriteFile(filepath.Join(dir, "users"), []byte("ann:$2a$04$7XqnPqWmm4RwAfzMvNDmTeFkJgCbpzC7rNbWkKyxl7Tm1jQy7bYbK\n"), 0o644))
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o555))
	must(t, os.Chmod(dir, 0o755))
	asNobody := func(cmd *exec.Cmd) {
		cmd.Path = program
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
	}
	for store, want := range map[string]string{
		"":                    "secret file: ",
		"sqlite:data/more.db": "secret file: ",
	} {
		args := []string{"-listen", "127.0.0.1:0", "--users-file", "users", "-access-key-id", "id", "-access-key-secret", "secret"}
		if store != "" {
			args = append(args, "--store", store)
		}
		code, _, stderr := runToEnd(t, dir, asNobody, args...)
		wantOneLine(t, code, exitFail, stderr, want)
		if !strings.Contains(stderr, "let the user that runs wavegate use it") && !strings.Contains(stderr, "writable") {
			t.Errorf("%s: it does not say what to do: %s", store, stderr)
		}
	}
	// With the secret elsewhere it is the store that cannot be made.
	secret := filepath.Join(dir, "home", "secret")
	must(t, os.Mkdir(filepath.Dir(secret), 0o777))
	must(t, os.Chmod(filepath.Dir(secret), 0o777))
	code, _, stderr := runToEnd(t, dir, asNobody, "-listen", "127.0.0.1:0", "--users-file", "users", "--secret-file", secret,
		"-access-key-id", "id", "-access-key-secret", "secret")
	wantOneLine(t, code, exitFail, stderr, "make the folder writable for the user that runs wavegate, or name another place with -data-dir or --store")
}

// TestHalfConfiguredSignInStopsTheStart is about the start itself; signin.txt has
// the messages.
func TestHalfConfiguredSignInStopsTheStart(t *testing.T) {
	all := []string{
		"-oidc-provider-url=https://id.example.com", "-oidc-redirect-url=https://gate.example.com/_auth/callback",
		"-oidc-client-id=wavegate", "-oidc-client-secret=" + canary,
	}
	for left := range 1<<len(all) - 1 { // every choice but all of them
		if left == 0 {
			continue
		}
		var args []string
		for i, arg := range all {
			if left&(1<<i) != 0 {
				args = append(args, arg)
			}
		}
		dir := t.TempDir()
		code, stdout, stderr := runToEnd(t, dir, nil, append(args, "-listen", "127.0.0.1:0")...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "sign-in is configured by half") || strings.Contains(stderr, canary) || strings.Contains(stderr, "goroutine") {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		if diff := cmp.Diff([]string(nil), filesIn(t, dir)); diff != "" {
			t.Errorf("%q: it left files (-want +got)\n%s", args, diff)
		}
	}
}

// TestCheckWithSignInTouchesNothing has --check look at everything that sign-in
// needs, with no store and no secret there yet.
func TestCheckWithSignInTouchesNothing(t *testing.T) {
	s := newSite(t, "")
	before := filesIn(t, s.dir)
	for _, more := range [][]string{
		nil,
		{"--store", "sqlite:new/sessions.db"},
		{"--store", "postgres://me:" + canary + "@" + closedAddress(t) + "/wavegate"},
		{"-data-dir", "elsewhere", "--secret-file", "elsewhere/secret"},
	} {
		code, stdout, stderr := runToEnd(t, s.dir, nil, append([]string{
			"--check", "--users-file", s.users, "-oidc-provider-url", s.idp.URL, "-oidc-client-id", "wavegate", "-oidc-client-secret", canary,
			"-oidc-redirect-url", "http://127.0.0.1/_auth/callback", "-access-key-id", "id", "-access-key-secret", canary,
		}, more...)...)
		if code != exitOK || stderr != "" || !strings.Contains(stdout, "configuration is good") || !strings.Contains(stdout, "users: 3") || strings.Contains(stdout, canary) {
			t.Errorf("%q: exit code %d\n%s%s", more, code, stdout, stderr)
		}
	}
	if diff := cmp.Diff(before, filesIn(t, s.dir)); diff != "" {
		t.Errorf("files (-before +after)\n%s", diff)
	}
	if n := s.idp.Count("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// wantNoStart starts the program with a store that cannot be opened.
func wantNoStart(t *testing.T, dir, store, want string) {
	t.Helper()
	before := filesIn(t, dir)
	code, _, stderr := runToEnd(t, dir, nil, "-listen", "127.0.0.1:0", "--users-file", "users", "--secret-file", "secret",
		"-access-key-id", "id", "-access-key-secret", "secret", "--store", store)
	wantOneLine(t, code, exitFail, stderr, want)
	if diff := cmp.Diff(before, filesIn(t, dir)); diff != "" {
		t.Errorf("files (-before +after)\n%s", diff)
	}
}

// wantOneLine compares how the program ended with what is wanted: beside the log
// one line on standard error, without a password.
func wantOneLine(t *testing.T, code, wantCode int, stderr, want string) {
	t.Helper()
	var said []string
	for line := range strings.Lines(stderr) {
		if !json.Valid([]byte(line)) {
			said = append(said, strings.TrimSuffix(line, "\n"))
		}
	}
	if code != wantCode || len(said) != 1 || !strings.HasPrefix(said[0], "wavegate: ") || !strings.Contains(said[0], want) {
		t.Errorf("exit code %d, want %d and one line with %q:\n%s", code, wantCode, want, stderr)
	}
	if strings.Contains(stderr, canary) || strings.Contains(stderr, "goroutine ") {
		t.Errorf("a password or a stack trace is shown:\n%s", stderr)
	}
}

// runOnce starts and stops the program, so that the store has its tables.
func runOnce(t *testing.T, dir, store string) {
	t.Helper()
	launch(t, dir, "--users-file", "users", "--secret-file", "secret", "--store", store).stop()
}

// filesIn lists everything below a folder, sorted.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			names = append(names, path)
		}
		return err
	}))
	slices.Sort(names)
	return names
}

// closedAddress is one on which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}
