package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

const canary = "s3cr3t-canary"

func TestValidate(t *testing.T) {
	tests := []struct{ url, want string }{ // want "" is good
		{"", ""},
		{"wavegate.db", ""},
		{"/var/lib/a?b%20c.db", ""},
		{`C:\wavegate.db`, ""},
		{"sqlite:rel/x.db", ""},
		{"sqlite:///abs/x.db", ""},
		{"SQLite:/abs/x.db", ""},
		{"postgres://u:p@h:5432/db?sslmode=disable", ""},
		{"postgresql:///db?host=/run/postgresql", ""},
		{"postgres://h?dbname=x", ""},
		{"sqlite:", "names no file"},
		{"sqlite://host/x.db", "two slashes"},
		{"sqlite::memory:", ":memory:"},
		{":memory:", ":memory:"},
		{"a\x00b", "NUL"},
		{"mysql://u:" + canary + "@h/db", `"mysql:"`},
		{"http:x", "sqlite:PATH or postgres://"},
		{"postgres://u:" + canary + "@h", "names no database"},
		{"postgres:h/db", "cannot be read"},
		{"postgres://u:" + canary + "/x@h/db", "%XX"},
		{"postgres://u:" + canary + "#x@h/db", "%XX"},
		{"postgres://u:%zz" + canary + "@h/db", "%XX"},
	}
	for _, tt := range tests {
		err := Config{URL: tt.url}.Validate()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.url, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q: error %v, want %q in it", tt.url, err, tt.want)
		}
	}
	if err := (Config{Poll: -time.Second}).Validate(); err == nil {
		t.Error("a negative Poll is good")
	}
}

// TestNoPasswordInErrors has the password in every place where somebody might
// put one, and things that go wrong at each step.
func TestNoPasswordInErrors(t *testing.T) {
	for _, address := range []string{
		"postgres://u:" + canary + "@127.0.0.1:1/db",
		"postgres://u:" + canary + "@127.0.0.1:1/db?sslmode=nonsense",
		"postgres://u:" + canary + "@127.0.0.1:1/db?sslrootcert=/nowhere",
		"postgres://u:" + canary + "@h:port/db",
		"postgres://u:" + canary + "/@h/db",
		"postgres://u:x:" + canary + "@/h/db?connect_timeout=x",
		"postgres://127.0.0.1:1/db?user=u&password=" + canary,
		"postgres://u@127.0.0.1:1," + canary + "/db?port=x",
		"mysql://u:" + canary + "@h/db",
		canary + "://h/db",
	} {
		var log bytes.Buffer
		s, err := Open(t.Context(), Config{URL: address, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", address)
			continue
		}
		if strings.Contains(fmt.Sprintf("%v %+v %s", err, err, &log), canary) && !strings.HasPrefix(address, canary) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestOpenSQLiteErrors(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(path("text"), bytes.Repeat([]byte("no database\n"), 100), 0o600))
	must(t, os.Mkdir(path("folder"), 0o700))
	must(t, os.WriteFile(path("newer"), nil, 0o600))
	newer := open(t, Config{URL: path("newer")})
	run(t, newer, "INSERT INTO schema_migrations (version_id, is_applied) VALUES (9999, 1)")
	for _, tt := range []struct{ name, want string }{
		{"text", "no SQLite database"},
		{"folder", "is no file"},
		{"text/x.db", "another place with -data-dir or --store"},
		{"newer", "newer wavegate (version 9999 of its tables, this one knows "},
	} {
		s, err := Open(t.Context(), Config{URL: path(tt.name)})
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", tt.name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q, want %q in it", tt.name, err, tt.want)
		}
	}
}

// TestOpenLockedFile has another program hold the file.
func TestOpenLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	pool, err := openPool(path, 1, "_txlock", "exclusive")
	must(t, err)
	defer pool.Close()
	tx, err := pool.Begin()
	must(t, err)
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if s, err := Open(ctx, Config{URL: path}); err == nil || !strings.Contains(err.Error(), "another program has it locked") {
		t.Errorf("store %v, error %v", s, err)
	}
}

func TestOpenPostgresErrors(t *testing.T) {
	address := storetest.Postgres(t)
	admin := open(t, Config{URL: address})
	run(t, admin, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
	t.Cleanup(func() { run(t, admin, "DROP ROLE guarded") })
	change := func(fn func(*url.URL)) string {
		u, err := url.Parse(address)
		must(t, err)
		fn(u)
		return u.String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	closed.Close()
	newer := storetest.Postgres(t)
	run(t, open(t, Config{URL: newer}), "INSERT INTO schema_migrations (version_id, is_applied) VALUES (9999, true)")
	for _, tt := range []struct{ name, url, want string }{
		{"wrong password", change(func(u *url.URL) { u.User = url.UserPassword("guarded", canary) }), `does not let user "guarded" in`},
		{"no database", change(func(u *url.URL) { u.Path = "/none" }), "create it with createdb -h "},
		{"may make no tables", change(func(u *url.URL) { u.User = url.UserPassword("guarded", "right"); u.Path = "/postgres" }), "ALTER DATABASE postgres OWNER TO guarded"},
		{"refused", "postgres://u@" + closed.Addr().String() + "/db?sslmode=disable", "nothing listens there"},
		{"refused with TLS and without", "postgres://u@" + closed.Addr().String() + "/db", "nothing listens there"},
		{"silent", "postgres://u@" + silent.Addr().String() + "/db?sslmode=disable&connect_timeout=1", "no answer"},
		{"no socket", "postgres://u@/db?host=" + t.TempDir(), "nothing listens there"},
		{"newer", newer, "newer wavegate (version 9999"},
	} {
		s, err := Open(t.Context(), Config{URL: tt.url})
		if err == nil {
			s.Close()
			t.Errorf("%s: was opened", tt.name)
		} else if text := err.Error(); !strings.Contains(text, tt.want) || strings.Contains(text, canary) || strings.Contains(text, "\n") {
			t.Errorf("%s: error %q, want one line with %q in it, and no password", tt.name, text, tt.want)
		}
	}
}

// TestOpenAtOnce has many stores make the tables of one new database.
func TestOpenAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		stores := make([]*Store, 6)
		together(len(stores), func(i int) {
			s, err := Open(t.Context(), Config{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
		for _, s := range stores {
			if s != nil {
				signIn(t, s, newRecord("ann", start))
				must(t, s.Close())
			}
		}
	})
}

// TestFileModes: nobody else on the machine reads the file or what SQLite puts
// beside it.
func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := open(t, Config{Dir: dir})
	signIn(t, s, newRecord("ann", start))
	for name, want := range map[string]os.FileMode{
		".": os.ModeDir | 0o700, "..": os.ModeDir | 0o700, "wavegate.db": 0o600, "wavegate.db-wal": 0o600, "wavegate.db-shm": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode() != want {
			t.Errorf("%s: mode %v, want %v", name, info.Mode(), want)
		}
	}
	wantSame(t, "String", s.String(), "SQLite "+filepath.Join(dir, "wavegate.db"))
}

func TestOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?_pragma=x%41#ü;.db")
	signIn(t, open(t, Config{URL: "sqlite:" + path}), newRecord("ann", start))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestOpenFileWarns of a file that everybody may read.
func TestOpenFileWarns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Chmod(path, 0o644))
	var log bytes.Buffer
	open(t, Config{URL: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "chmod 600") {
		t.Errorf("the log is %q", &log)
	}
}

func TestSettings(t *testing.T) {
	s := open(t, Config{URL: storetest.SQLite(t)})
	for pool, want := range map[*sql.DB]map[string]string{
		s.writes: {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "query_only": "0"},
		s.reads:  {"journal_mode": "wal", "synchronous": "2", "query_only": "1"},
	} {
		for pragma, value := range want {
			var got string
			must(t, pool.QueryRow("PRAGMA "+pragma).Scan(&got))
			if got != value {
				t.Errorf("%s is %s, want %s", pragma, got, value)
			}
		}
	}
	if _, err := s.reads.Exec("DELETE FROM users"); err == nil {
		t.Error("a connection for reading may write")
	}
}

// TestStringHasNoPassword looks at the name for logs.
func TestStringHasNoPassword(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://u:" + canary + "@db.example.com/wavegate":                     "db.example.com/wavegate",
		"postgres://u:" + canary + "@db.example.com:6432/wavegate":                "db.example.com:6432/wavegate",
		"postgres:///wavegate?host=/run/postgresql&user=u&password=" + canary:     "/run/postgresql/wavegate",
		"postgresql://u:" + canary + "@[2001:db8::1]:6432/wavegate?sslmode=allow": "[2001:db8::1]:6432/wavegate",
	} {
		cfg, err := parsePostgres(address)
		must(t, err)
		wantSame(t, "name", postgresName(cfg), want)
	}
}

func TestPing(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		must(t, s.Ping(t.Context()))
		if s.dialect.numbered {
			s.writes.SetMaxOpenConns(1) // the setting is of one connection
			run(t, s, "SELECT set_config('default_transaction_read_only', 'on', false)")
			if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "takes no changes") {
				t.Errorf("of a read-only database: %v", err)
			}
		}
		must(t, s.Close())
		wantErr(t, "closed", s.Ping(t.Context()), session.ErrUnavailable)
	})
}

func TestFileIsThatOfSQLiteAlone(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Dir: "data"}, "data/wavegate.db"},
		{Config{Dir: "data", URL: "sqlite:x.db"}, "x.db"},
		{Config{URL: "sqlite:///var/x.db"}, "/var/x.db"},
		{Config{URL: "postgres://me@db/x", Dir: "data"}, ""},
		{Config{URL: "mysql://db/x", Dir: "data"}, ""},
	} {
		if got := tt.cfg.File(); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.cfg, got, tt.want)
		}
	}
}
