package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
)

const (
	// busyTime is how long SQLite waits for another process that writes. It is
	// less than callTime, so that the error says what held it up.
	busyTime = 4 * time.Second

	// Connections that read at once: more would wait for the same two cores.
	maxReaders = 4
)

// sqliteDialect needs no locks of rows: BEGIN IMMEDIATE lets one transaction in
// at a time, in this process and in others.
var sqliteDialect = dialect{
	clock:      "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
	indexedBy:  " INDEXED BY ", // it has no statistics to choose by
	sortedName: "substr(search, 1, instr(search, char(10)) - 1)",
	writable:   func(context.Context, conn) error { return nil }, // the transaction has begun, so it may write
	touch:      touchEach,
	touchKeys:  touchKeysEach,
}

// openSQLite opens the file, which it makes with mode 0600; SQLite gives the
// files beside it the mode of the first.
func (s *Store) openSQLite(ctx context.Context, path string) error {
	s.name = "SQLite " + path
	s.dialect = &sqliteDialect
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := s.makeFile(path); err != nil {
		return err
	}
	if s.writes, err = openPool(path, 1, "_txlock", "immediate", "_journal_mode", "WAL", "_pragma", "cache_size(-2000)"); err != nil {
		return explainFile(path, err)
	}
	err = untilFree(ctx, func() error { return s.writes.PingContext(ctx) })
	if err == nil {
		err = migrate(ctx, s.writes, "sqlite")
	}
	if err != nil {
		return explainFile(path, err)
	}
	if s.reads, err = openPool(path, maxReaders, "_query_only", "1", "_pragma", "cache_size(-1000)"); err != nil {
		return explainFile(path, err)
	}
	return nil
}

// makeFile makes the folder and the file where they are not there. An existing
// file is not opened: closing it would release the locks that SQLite holds on it
// for this process.
func (s *Store) makeFile(path string) error {
	const mend = "make the folder writable for the user that runs wavegate, or name another place with -data-dir or --store"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store: %w: %s", err, mend)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case err == nil:
		return f.Close()
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("store: %w: %s", err, mend)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("store: %w: %s", err, mend)
	case !info.Mode().IsRegular():
		return fmt.Errorf("store: %s is no file: name another with --store sqlite:PATH", path)
	case info.Mode().Perm()&0o007 != 0:
		s.log.Warn("everybody on this machine can open the store, which holds names, e-mail addresses and IP addresses: run chmod 600 on it",
			"file", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	return nil
}

// openPool makes a pool of connections to the file; params are pairs of the
// driver's parameters. synchronous=FULL, because what was acknowledged must
// survive a power cut.
func openPool(path string, size int, params ...string) (*sql.DB, error) {
	q := url.Values{
		"_busy_timeout": {fmt.Sprint(busyTime.Milliseconds())},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_dqs":          {"0"}, // "name" is never a string
		"_defensive":    {"1"},
		"_error_rc":     {"1"},
		"_pragma":       {"journal_size_limit(67108864)", "trusted_schema(0)"},
	}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	// The path of a URI, so that ? and % in it are no parameters.
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(min(size, 2)) // each holds a cache
	return db, nil
}

// untilFree repeats fn while another process holds the file. The switch to WAL
// does not wait by itself.
func untilFree(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	for {
		err := fn()
		if sqliteCode(err) != sqlite3.SQLITE_BUSY || !wait(ctx, 20*time.Millisecond) {
			return err
		}
	}
}

// sqliteCode is the primary result code of an error of SQLite, 0 for any other.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// explainFile says what to do about an error of opening.
func explainFile(path string, err error) error {
	var mend string
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		mend = "it is no SQLite database: move it away, or name another file with --store sqlite:PATH"
	case sqlite3.SQLITE_CORRUPT:
		mend = "it is damaged: stop wavegate and put a backup in its place"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		mend = "another program has it locked: end that program, or name another file with --store sqlite:PATH"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
		mend = "make it and its folder writable for the user that runs wavegate, or name another file with --store sqlite:PATH"
	case sqlite3.SQLITE_FULL:
		mend = "the disk is full: make room, or name a file on another disk with --store sqlite:PATH"
	case sqlite3.SQLITE_IOERR:
		mend = "the disk does not take part: look at its health; a network drive is no place for it"
	default:
		return fmt.Errorf("store %s: %w", path, err)
	}
	return fmt.Errorf("store %s: %s (%w)", path, mend, err)
}

// touchEach runs one prepared statement for each session: there is no way to
// the server to save.
func touchEach(ctx context.Context, c conn, touches []session.Touch) error {
	return forEach(ctx, c, "UPDATE sessions SET seen_at = ?1 WHERE hash = ?2 AND seen_at < ?1", touches, func(t session.Touch) []any {
		return []any{millis(t.SeenAt), t.Hash[:]}
	})
}

// touchKeysEach is touchEach for API keys.
func touchKeysEach(ctx context.Context, c conn, touches []apikey.Touch) error {
	return forEach(ctx, c, "UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2 AND last_used_at < ?1", touches, func(t apikey.Touch) []any {
		return []any{millis(t.UsedAt), t.ID}
	})
}

// forEach runs one prepared statement with the arguments of each of all.
func forEach[T any](ctx context.Context, c conn, query string, all []T, args func(T) []any) error {
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, one := range all {
		if _, err := stmt.ExecContext(ctx, args(one)...); err != nil {
			return err
		}
	}
	return nil
}
