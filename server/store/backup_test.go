package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// dump reads all that a backup must hold.
func dump(t testing.TB, s *Store) []string {
	t.Helper()
	var all []string
	users, err := s.Users(t.Context(), "", 1000)
	must(t, err)
	for _, u := range users {
		all = append(all, fmt.Sprintf("%+v", u))
	}
	sessions, err := s.Sessions(t.Context(), session.Filter{All: true}, "", 1000)
	must(t, err)
	for _, r := range sessions {
		all = append(all, fmt.Sprintf("%+v", r))
	}
	for _, c := range changes(t, s) {
		all = append(all, fmt.Sprintf("%+v", c))
	}
	return append(all, fmt.Sprint(count(t, s, "login_attempts"), count(t, s, "ended_sessions")), content(t, s))
}

// populate does some of everything.
func populate(t testing.TB, s *Store) session.Record {
	t.Helper()
	for i := range 20 {
		at := start.Add(time.Duration(i) * time.Minute)
		_, err := s.SignIn(t.Context(), newRecord(fmt.Sprint("user", i%7), at), newHash(), at)
		must(t, err)
	}
	r := signIn(t, s, newRecord("ann", start))
	must(t, s.Renew(t.Context(), r))
	_, err := s.End(t.Context(), session.Filter{Issuer: r.Issuer, Subject: "user3"})
	must(t, err)
	addKey(t, s, newKey("sub:ann", start))
	note(t, s, 0, 5)
	_, err = s.SweepAudit(t.Context(), start.Add(2*time.Second), 10)
	must(t, err)
	return r
}

// checkCopy compares a restored store with what was backed up, and works on.
func checkCopy(t *testing.T, restored *Store, want []string, r session.Record) {
	t.Helper()
	wantSame(t, "restored", dump(t, restored), want)
	n, err := restored.End(t.Context(), session.Filter{ID: r.ID})
	if n != 1 || err != nil {
		t.Errorf("End in the restored store: %d, %v", n, err)
	}
	signIn(t, restored, newRecord("ann", start))
	note(t, restored, 9, 1)
	verified(t, restored, 4, 6)
	if got := changes(t, restored); got[len(got)-1] != ofSession(r) {
		t.Errorf("the last change is %v", got[len(got)-1])
	}
}

// TestBackupSQLite copies a store with VACUUM INTO while sessions are touched.
func TestBackupSQLite(t *testing.T) {
	s := open(t, Config{URL: storetest.SQLite(t)})
	r := populate(t, s)
	want := dump(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() { // changes of no row, but all the locks of a change
		for ctx.Err() == nil {
			if err := s.Touch(context.Background(), []session.Touch{{Hash: newHash(), SeenAt: start}}); err != nil {
				t.Error(err)
			}
		}
	})
	path := filepath.Join(t.TempDir(), "backup.db")
	pool, err := openPool(s.name[len("SQLite "):], 1) // as the sqlite3 command would
	must(t, err)
	_, err = pool.Exec("VACUUM INTO ?", path)
	cancel()
	busy.Wait()
	must(t, err)
	must(t, pool.Close())
	checkCopy(t, open(t, Config{URL: path}), want, r)
}

// TestBackupPostgres dumps a database and restores it into another.
func TestBackupPostgres(t *testing.T) {
	from, to := storetest.Postgres(t), storetest.Postgres(t)
	s := open(t, Config{URL: from})
	r := populate(t, s)
	want := dump(t, s)
	file := filepath.Join(t.TempDir(), "backup.sql")
	command(t, "pg_dump", "--no-owner", "--file="+file, from)
	command(t, "psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file, to)
	checkCopy(t, open(t, Config{URL: to}), want, r)
}

// command runs one of PostgreSQL's programs, of the server's version.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		path, err = slices.Max(found), nil
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no %s here: install the Debian package postgresql-client", name)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &out)
	}
}
