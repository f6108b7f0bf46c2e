package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"wavegate/server/session"
)

const (
	// batch is how many sessions one transaction ends: some tens of milliseconds
	// in which nobody else writes to SQLite.
	batch = 200

	// breath is between one batch and the next, so that other processes, which
	// SQLite does not queue, get their turn.
	breath = 10 * time.Millisecond

	// keep is how long the change table remembers, and lists know where a session
	// stood that has ended.
	keep = 10 * time.Minute

	// keepRequests is how long a request that has an Idempotency-Key is known again.
	keepRequests = 24 * time.Hour

	// tidied is how many rows that have served their time a sweep removes of each
	// table.
	tidied = 10_000
)

// An ended is a session that was removed.
type ended struct {
	hash    []byte
	id      string
	created int64
}

func scanEnded(row scanner) (ended, error) {
	var e ended
	err := row.Scan(&e.hash, &e.id, &e.created)
	return e, err
}

// remove removes the sessions that a query of their hash, id and created_at
// chooses, and notes where they stood.
func remove(ctx context.Context, c conn, query string, args ...any) ([]ended, error) {
	all, err := list(ctx, c, scanEnded, query, args...)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(all, rowsAtOnce) {
		hashes := make([]any, len(some))
		for i, e := range some {
			hashes[i] = e.hash
		}
		if _, err := c.exec(ctx, "DELETE FROM sessions WHERE hash IN (?"+strings.Repeat(", ?", len(some)-1)+")", hashes...); err != nil {
			return nil, err
		}
	}
	err = insert(ctx, c, "ended_sessions (id, created_at, at)", "(?, ?, "+c.clock+")", " ON CONFLICT DO NOTHING", all,
		func(e ended) []any { return []any{e.id, e.created} })
	return all, err
}

// End implements session.Store. Each transaction ends a batch, so that ending
// everybody's sessions does not stop the sign-ins; an error leaves what was ended
// ended, and the count says how many those were.
func (s *Store) End(ctx context.Context, f session.Filter) (int, error) {
	where, args, ok := choice(f)
	if !ok {
		return 0, nil
	}
	args = append(args, batch)
	total := 0
	for {
		n := 0
		err := s.write(ctx, "end sessions", func(ctx context.Context, c conn) error {
			all, err := remove(ctx, c, "SELECT s.hash, s.id, s.created_at FROM sessions s WHERE "+where+" LIMIT ?"+c.forUpdate, args...)
			if err != nil {
				return err
			}
			n = len(all)
			changes := make([]session.Change, n)
			for i, e := range all {
				changes[i] = session.Change{Kind: session.ChangedSession, Key: hex.EncodeToString(e.hash)}
			}
			if err := c.changed(ctx, changes...); err != nil || n == 0 || total > 0 {
				return err
			}
			return c.journalOf(ctx) // with the first batch
		})
		if err != nil {
			return total, err
		}
		if total += n; n < batch {
			return total, nil
		}
		wait(ctx, breath)
	}
}

// Sweep implements session.Store. Each transaction removes a batch; several
// processes that sweep at once pass over each other's rows. A zero idle ends
// nothing by idleness.
func (s *Store) Sweep(ctx context.Context, now, idle time.Time, limit int) (int, error) {
	total, err := s.sweepBy(ctx, "expires_at", now, limit)
	if err == nil && !idle.IsZero() {
		var n int
		n, err = s.sweepBy(ctx, "seen_at", idle, limit-total)
		total += n
	}
	if err != nil {
		return total, err
	}
	return total, s.tidy(ctx, now)
}

// sweepBy removes at most limit sessions whose column is not after a time.
func (s *Store) sweepBy(ctx context.Context, column string, until time.Time, limit int) (int, error) {
	total := 0
	for total < limit {
		n, want := 0, min(batch, limit-total)
		err := s.write(ctx, "sweep sessions", func(ctx context.Context, c conn) error {
			all, err := remove(ctx, c, fmt.Sprintf("SELECT hash, id, created_at FROM sessions WHERE %[1]s <= ? ORDER BY %[1]s LIMIT ?%[2]s",
				column, c.skipLocked), millis(until), want)
			n = len(all)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < want {
			break
		}
		wait(ctx, breath)
	}
	return total, nil
}

// tidy removes what has served its time: attempts and periods that ended,
// requests that are not repeated any more, and what the change table and lists
// need no longer remember. What was noted by the database's clock goes by it.
func (s *Store) tidy(ctx context.Context, now time.Time) error {
	before := func(d time.Duration) string { return fmt.Sprintf("%s - %d", s.dialect.clock, d.Milliseconds()) }
	for _, table := range []struct{ name, key, column, until string }{
		{"login_attempts", "hash", "ends", fmt.Sprint(millis(now))},
		{"ended_sessions", "id", "at", before(keep)},
		{"changes", "id", "at", before(keep)},
		{"key_requests", "owner, request", "at", before(keepRequests)},
		{"spending", "account, period", "ends_at", fmt.Sprint(millis(now))},
	} {
		err := s.write(ctx, "tidy "+table.name, func(ctx context.Context, c conn) error {
			_, err := c.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s <= %[4]s ORDER BY %[3]s LIMIT %[5]d)",
				table.name, table.key, table.column, table.until, tidied))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
