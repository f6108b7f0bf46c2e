package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"wavegate/server/audit"
	"wavegate/server/session"
)

var _ session.Store = (*Store)(nil)

const (
	// callTime bounds each call of the store, beside the caller's context, so
	// that a database that hangs does not hang requests.
	callTime = 5 * time.Second

	// openTime bounds the first contact with the database.
	openTime = 10 * time.Second

	defaultPoll = 500 * time.Millisecond
)

// A Store keeps sessions, users and login attempts. It is safe for use by any
// number of goroutines, and any number of Stores may share a database.
type Store struct {
	name    string
	dialect *dialect
	reads   *sql.DB         // for SQLite connections that cannot write
	writes  *sql.DB         // for SQLite a single connection; for PostgreSQL the same as reads
	hears   *pgx.ConnConfig // where NOTIFY is heard; nil for nowhere
	poll    time.Duration
	chain   *audit.Chain // nil: nothing can be written to the audit log
	log     *slog.Logger
	watch   func(querier) querier // sees every statement, in tests; nil otherwise
}

// Open opens the database and brings its tables up to date. Its errors say what
// to do, and hold no password.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{
		poll:  cmp.Or(cfg.Poll, defaultPoll),
		chain: cfg.Chain,
		log:   cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
	}
	which, place, err := cfg.place()
	if err != nil {
		return nil, err
	}
	if which == postgresURL {
		err = s.openPostgres(ctx, place, cfg.NoNotify)
	} else {
		err = s.openSQLite(ctx, place)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// String names the database for people and logs: no user and no password.
func (s *Store) String() string { return s.name }

// Kind names the database: "sqlite" or "postgresql".
func (s *Store) Kind() string {
	if s.dialect.numbered {
		return "postgresql"
	}
	return "sqlite"
}

// Close ends all connections. Whoever runs Follow ends that first.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.reads, s.writes} {
		if db != nil {
			errs = append(errs, db.Close()) // a second Close of one pool is nothing
		}
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers and takes changes. It writes
// nothing, so a full disk is not seen.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "reach the store", func(ctx context.Context, c conn) error {
		return c.dialect.writable(ctx, c)
	})
}
