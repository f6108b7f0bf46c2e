package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
)

const (
	maxConns     = 10 // of one process; PostgreSQL takes 100 unless told otherwise
	idleConns    = 4
	connIdle     = 5 * time.Minute
	connLifetime = 30 * time.Minute // so that connections follow a database that moved

	// fence ends statements and transactions of a process that was stopped in the
	// middle of one. Follow relies on it: what was begun longer ago than settled
	// is committed or never will be.
	fence = "SET statement_timeout = 10000; SET idle_in_transaction_session_timeout = 10000"

	// channel is where NOTIFY tells followers to look.
	channel = "wavegate_changes"
)

// postgresDialect is copied by each Store, since notify differs.
var postgresDialect = dialect{
	clock:      "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)", // one value for a statement, so that indices serve
	forUpdate:  " FOR UPDATE",
	skipLocked: " FOR UPDATE SKIP LOCKED",
	holdKey:    " FOR KEY SHARE",
	lockName:   "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))",
	sortedName: `split_part(search, chr(10), 1) COLLATE "C"`,
	numbered:   true,
	writable:   refuseReadOnly,
	touch:      touchTogether,
	touchKeys:  touchKeysTogether,
}

// openPostgres connects and migrates. Migrations run on connections of their own
// without the fence, for they may take their time.
func (s *Store) openPostgres(ctx context.Context, place string, noNotify bool) error {
	cfg, err := parsePostgres(place)
	if err != nil {
		return err
	}
	s.name = "PostgreSQL " + postgresName(cfg)
	unfenced := stdlib.OpenDB(*cfg)
	defer unfenced.Close()
	contact, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	var version string
	if err := unfenced.QueryRowContext(contact, "SELECT version()").Scan(&version); err != nil {
		return explainPostgres(cfg, err)
	}
	if err := migrate(ctx, unfenced, "postgres"); err != nil {
		return explainPostgres(cfg, err)
	}

	d := postgresDialect
	if !noNotify && !strings.Contains(version, "CockroachDB") {
		d.notify = "SELECT pg_notify('" + channel + "', '')"
		s.hears = cfg
	}
	s.dialect = &d
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(raiseFence))
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(idleConns)
	db.SetConnMaxIdleTime(connIdle)
	db.SetConnMaxLifetime(connLifetime)
	s.reads, s.writes = db, db
	return nil
}

// parsePostgres reads the URL and libpq's environment. The parser's own errors
// may quote a password that stands in the wrong place, so they are not passed on.
func parsePostgres(place string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(place)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("--store: a file that the URL or the environment names cannot be read: %w", file)
	}
	if err != nil {
		return nil, errors.New("--store: a part of the URL, or of libpq's environment (PGSSLMODE and the like), cannot be used: " +
			"write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with special characters of the password as %XX")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = callTime
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "wavegate"
	}
	return cfg, nil
}

// postgresName is HOST/DATABASE.
func postgresName(cfg *pgx.ConnConfig) string {
	host := cfg.Host
	if cfg.Port != 5432 && !strings.HasPrefix(host, "/") {
		host = net.JoinHostPort(host, strconv.Itoa(int(cfg.Port)))
	}
	return path.Join(host, cfg.Database)
}

// raiseFence tolerates databases that know the protocol and not the settings.
func raiseFence(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, fence, pgx.QueryExecModeSimpleProtocol)
	if err == nil || sqlState(err) != "" {
		return nil
	}
	return errors.Join(err, c.Close(ctx))
}

// refuseReadOnly is an error on a standby, and on a primary that an operator
// made read-only.
func refuseReadOnly(ctx context.Context, c conn) error {
	var readOnly string
	if err := c.row(ctx, "SHOW transaction_read_only").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly == "on" {
		return errors.New("the database takes no changes: it is a standby, or was made read-only")
	}
	return nil
}

// touchTogether is one statement for all sessions.
func touchTogether(ctx context.Context, c conn, touches []session.Touch) error {
	hashes, seen := make([][]byte, len(touches)), make([]int64, len(touches))
	for i, t := range touches {
		hashes[i], seen[i] = t.Hash[:], millis(t.SeenAt)
	}
	_, err := c.exec(ctx, `UPDATE sessions AS s SET seen_at = t.seen
		FROM unnest(CAST(? AS BYTEA[]), CAST(? AS BIGINT[])) AS t (hash, seen)
		WHERE s.hash = t.hash AND s.seen_at < t.seen`, hashes, seen)
	return err
}

// touchKeysTogether is touchTogether for API keys.
func touchKeysTogether(ctx context.Context, c conn, touches []apikey.Touch) error {
	ids, used := make([]string, len(touches)), make([]int64, len(touches))
	for i, t := range touches {
		ids[i], used[i] = t.ID, millis(t.UsedAt)
	}
	_, err := c.exec(ctx, `UPDATE api_keys AS k SET last_used_at = t.used
		FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[])) AS t (id, used)
		WHERE k.id = t.id AND k.last_used_at < t.used`, ids, used)
	return err
}

// explainPostgres says what to do about an error of opening.
func explainPostgres(cfg *pgx.ConnConfig, err error) error {
	err = oneLine{err}
	name := "store: PostgreSQL " + postgresName(cfg)
	if mend := mendState(cfg, sqlState(err)); mend != "" {
		return fmt.Errorf("%s: %s (%w)", name, mend, err)
	}
	var mend string
	_, tlsRecord := errors.AsType[tls.RecordHeaderError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, lookup := errors.AsType[*net.DNSError](err)
	switch {
	case lookup:
		mend = "the host is not known: correct its name in --store"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		mend = "nothing listens there: start PostgreSQL, or correct host and port in --store"
	case certificate:
		mend = "its certificate is not trusted: name the authority's file with sslrootcert=FILE in the URL of --store"
	case tlsRecord, strings.Contains(err.Error(), "server refused TLS"):
		mend = "it speaks no TLS: turn TLS on there, or write sslmode=disable in the URL of --store where the way to it is safe"
	case pgconn.Timeout(err), errors.Is(err, context.DeadlineExceeded):
		mend = "no answer: correct host and port in --store, and look at firewalls on the way"
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %s (%w)", name, mend, err)
}

// oneLine is an error whose text has one line. The driver's has one for each
// address that it tried, and again for each without TLS.
type oneLine struct{ error }

// Error implements error.
func (e oneLine) Error() string {
	lines := strings.Split(e.error.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	rest := strings.Join(slices.Compact(lines[1:]), "; ")
	return strings.TrimSpace(lines[0] + " " + rest)
}

// Unwrap returns the error with all its lines.
func (e oneLine) Unwrap() error { return e.error }

// mendState says what to do about an error that the server itself returned.
func mendState(cfg *pgx.ConnConfig, state string) string {
	switch state {
	case "28P01", "28000":
		return fmt.Sprintf("it does not let user %q in: correct user and password in --store (or PGPASSWORD, or ~/.pgpass), or the server's pg_hba.conf", cfg.User)
	case "3D000":
		return fmt.Sprintf("there is no such database: create it with createdb -h %s -p %d -U %s %s", cfg.Host, cfg.Port, cfg.User, cfg.Database)
	case "42501":
		return fmt.Sprintf("user %q may not make tables there: run ALTER DATABASE %s OWNER TO %[1]s, or GRANT CREATE ON SCHEMA public TO %[1]s", cfg.User, cfg.Database)
	case "53300":
		return "it has no connection left: raise max_connections there, or end other clients"
	case "57P03":
		return "it is starting or stopping: try again"
	case "25006":
		return "it takes no changes: name the primary in --store, not a standby"
	}
	return ""
}
