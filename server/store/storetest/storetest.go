// Package storetest gives tests a real database each: a SQLite file, or a
// database of a PostgreSQL server that it starts for the test binary and ends
// with it. It knows addresses only; opening the store is the test's own work.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// SQLite returns the URL of a file that is not there yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "wavegate.db")
}

// Each runs a test on both databases.
func Each(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, Postgres(t)) })
}

// Postgres returns the URL of a new, empty database, which is dropped when the
// test ends. The server is started for the first test that asks and ends with
// the last one that uses it, or with Main. Without PostgreSQL the test is
// skipped; in CI it fails.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := shared.take()
	if errors.Is(err, errNoPostgres) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.give(); err != nil {
			t.Error(err)
		}
	})
	name := server.nextName()
	if err := server.run("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.run("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return server.url(name)
}

// Main is for TestMain of packages with many tests: it keeps the server running
// from one test to the next, and ends it. TestMain returns after it.
func Main(m *testing.M) {
	shared.hold()
	m.Run()
	if err := shared.give(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// shared is the one server of the test binary.
var shared sharing

// A sharing counts who uses the server, and ends it after the last.
type sharing struct {
	mu     sync.Mutex // guards all
	users  int
	server *server // nil when it does not run
}

func (s *sharing) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

func (s *sharing) take() (*server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		server, err := start()
		if err != nil {
			return nil, err
		}
		s.server = server
	}
	s.users++
	return s.server, nil
}

func (s *sharing) give() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 || s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	return server.stop()
}

// run runs a statement in the server's own database.
func (s *server) run(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return fmt.Errorf("storetest: %w", err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, statement); err != nil {
		return fmt.Errorf("storetest: %s: %w", statement, err)
	}
	return nil
}
