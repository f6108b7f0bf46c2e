package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// tries is how often a migration is begun: another process that does the same at
// once makes it fail, and has then done it.
const tries = 5

// migrate brings the tables up to date; dialect is a folder of migrations.
// PostgreSQL holds processes that start together apart by an advisory lock;
// elsewhere they may run into each other, which is why it is tried again.
func migrate(ctx context.Context, db *sql.DB, dialect string) error {
	for n := 1; ; n++ {
		err := tryMigrate(ctx, db, dialect)
		if err == nil || n == tries || ctx.Err() != nil || errors.Is(err, errNewer) {
			return err
		}
		switch sqlState(err) {
		case "42501", "25006": // insufficient_privilege, read_only_sql_transaction
			return err
		}
		wait(ctx, time.Duration(n)*50*time.Millisecond)
	}
}

// errNewer is about tables of which this version knows nothing.
var errNewer = errors.New("it was made by a newer wavegate")

func tryMigrate(ctx context.Context, db *sql.DB, dialect string) error {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return fmt.Errorf("prepare its tables: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of its tables: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w (version %d of its tables, this one knows %d): run that one, or go back to a backup from before", errNewer, have, want)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring its tables up to date: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB, dialect string) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+dialect)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
		goose.WithTableName("schema_migrations"),
	}
	if dialect != "postgres" {
		return goose.NewProvider(goose.DialectSQLite3, db, files, options...)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, append(options, goose.WithSessionLocker(&advisory{SessionLocker: locker}))...)
}

// An advisory is goose's lock, passed over where the database has none.
type advisory struct {
	lock.SessionLocker
	absent bool // set by SessionLock, asked by the SessionUnlock that follows
}

// SessionLock implements lock.SessionLocker.
func (a *advisory) SessionLock(ctx context.Context, c *sql.Conn) error {
	err := a.SessionLocker.SessionLock(ctx, c)
	switch sqlState(err) {
	case "42883", "0A000": // undefined_function, feature_not_supported
		a.absent = true
		return nil
	}
	return err
}

// SessionUnlock implements lock.SessionLocker.
func (a *advisory) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	if a.absent {
		return nil
	}
	return a.SessionLocker.SessionUnlock(ctx, c)
}
