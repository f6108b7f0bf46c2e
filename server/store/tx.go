package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"wavegate/keychain/apikey"
	"wavegate/oidc/provider"
	"wavegate/server/audit"
	"wavegate/server/session"
	"wavegate/server/webhook"
)

const (
	retries    = 6                     // of a transaction that the database asks to repeat
	firstPause = 10 * time.Millisecond // before the first of them, doubled each time, less a random part
	rowsAtOnce = 100                   // of one INSERT or one IN list
)

// A dialect is what differs between the databases. Statements are written with ?
// for their parameters.
type dialect struct {
	clock      string // the time of the database, in milliseconds since 1970
	forUpdate  string // after a SELECT: locks its rows until the transaction ends
	skipLocked string // the same, passing over rows that are locked
	holdKey    string // after a SELECT: until the transaction ends its rows may be changed, but not removed
	lockName   string // holds apart the transactions that name the same thing; "" where all are apart
	indexedBy  string // before the name of an index, after that of its table: it must be used; "" where the database chooses well
	sortedName string // the name of an API key as lists are sorted by it, as api_keys_by_name has it
	numbered   bool   // parameters are $1, $2, …
	notify     string // tells followers in other processes to look; "" where they find out by themselves

	writable func(context.Context, conn) error                  // whether changes are taken
	touch    func(context.Context, conn, []session.Touch) error // moves seen_at forward

	touchKeys func(context.Context, conn, []apikey.Touch) error // moves last_used_at forward
}

// A querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// A conn runs statements in the words of its database.
type conn struct {
	querier
	*dialect
	chain *audit.Chain // nil: nothing can be written to the audit log
}

func (s *Store) conn(q querier) conn {
	if s.watch != nil {
		q = s.watch(q)
	}
	return conn{q, s.dialect, s.chain}
}

// exec returns how many rows were changed.
func (c conn) exec(ctx context.Context, query string, args ...any) (int, error) {
	result, err := c.ExecContext(ctx, c.bind(query), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (c conn) row(ctx context.Context, query string, args ...any) *sql.Row {
	return c.QueryRowContext(ctx, c.bind(query), args...)
}

// bind numbers the parameters where the database wants that. No statement of
// this package holds a ? of another meaning.
func (d *dialect) bind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// A scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// list runs a query and reads each of its rows.
func list[T any](ctx context.Context, c conn, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := c.QueryContext(ctx, c.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// insert adds rows, many with one statement: into is "table (columns)", row the
// parameters of one row, and rest what follows the rows.
func insert[T any](ctx context.Context, c conn, into, row, rest string, all []T, args func(T) []any) error {
	for len(all) > 0 {
		n := min(len(all), rowsAtOnce)
		var values []any
		for _, one := range all[:n] {
			values = append(values, args(one)...)
		}
		query := "INSERT INTO " + into + " VALUES " + row + strings.Repeat(", "+row, n-1) + rest
		if _, err := c.exec(ctx, query, values...); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// read runs fn outside a transaction. Its error is a named one of the packages
// whose records these are, or wraps session.ErrUnavailable.
func (s *Store) read(ctx context.Context, doing string, fn func(context.Context, conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return fault(doing, repeat(ctx, func() error {
		return fn(ctx, s.conn(s.reads))
	}))
}

// write runs fn in one transaction, all of it again where the database says so.
// The errors are those of read.
func (s *Store) write(ctx context.Context, doing string, fn func(context.Context, conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return fault(doing, repeat(ctx, func() error {
		tx, err := s.writes.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing is left to undo after a Commit
		if err := fn(ctx, s.conn(tx)); err != nil {
			return err
		}
		return tx.Commit()
	}))
}

// repeat runs fn until it has another error than one that asks for a repetition,
// a bounded number of times.
func repeat(ctx context.Context, fn func() error) error {
	for n := 0; ; n++ {
		err := fn()
		if n == retries || !wantsRepeat(err) {
			return err
		}
		if !wait(ctx, rand.N(firstPause<<n)) {
			return err
		}
	}
}

// wantsRepeat reports whether err is a conflict of transactions, in which
// nothing was done: serialization_failure or deadlock_detected.
func wantsRepeat(err error) bool {
	state := sqlState(err)
	return state == "40001" || state == "40P01"
}

// sqlState is the code of an error of PostgreSQL, "" for any other.
func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// wait reports whether the time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fault makes every error about the database ErrUnavailable, and says what was
// being done. Drivers' errors hold statements' texts at most, never their values.
func fault(doing string, err error) error {
	named := []error{
		nil, session.ErrNoSession, session.ErrNoUser, session.ErrDisabled, session.ErrAttemptUsed, session.ErrConflict,
		apikey.ErrNotFound, apikey.ErrConflict, apikey.ErrReplayed, apikey.ErrReused,
		webhook.ErrNotFound, webhook.ErrConflict, webhook.ErrTooMany,
		provider.ErrNotFound, provider.ErrUsed, provider.ErrReplayed, provider.ErrEnded, provider.ErrTooMany, provider.ErrConflict,
	}
	if slices.Contains(named, err) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, session.ErrUnavailable, err)
}
