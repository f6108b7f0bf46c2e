package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
)

// An explained asks the database how it does each statement before it is run.
type explained struct {
	querier
	t     *testing.T
	d     *dialect
	plans map[string]string // by statement
}

func (e *explained) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	e.plan(ctx, query, args)
	return e.querier.ExecContext(ctx, query, args...)
}

func (e *explained) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	e.plan(ctx, query, args)
	return e.querier.QueryContext(ctx, query, args...)
}

func (e *explained) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	e.plan(ctx, query, args)
	return e.querier.QueryRowContext(ctx, query, args...)
}

func (e *explained) plan(ctx context.Context, query string, args []any) {
	if _, known := e.plans[query]; known || !strings.Contains(query, "FROM ") && !strings.HasPrefix(query, "UPDATE") {
		return
	}
	explain := "EXPLAIN QUERY PLAN "
	if e.d.numbered {
		explain = "EXPLAIN "
	}
	rows, err := e.querier.QueryContext(ctx, explain+query, args...)
	must(e.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(e.t, err)
	var lines []string
	for rows.Next() {
		values, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		must(e.t, rows.Scan(dest...))
		lines = append(lines, fmt.Sprint(values[len(values)-1]))
	}
	must(e.t, rows.Err())
	e.plans[query] = strings.Join(lines, "\n")
}

// TestStatementsUseIndices runs every call on a table of some size and looks for
// statements that read a whole table.
func TestStatementsUseIndices(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		all := fill(t, s, 3000, func(i int, r *session.Record) {
			at := start.Add(time.Duration(i) * time.Minute)
			r.Subject, r.SID = fmt.Sprint("s", i), fmt.Sprint("sid", i)
			r.CreatedAt, r.SeenAt, r.ExpiresAt = at, at, at.Add(time.Hour)
		})
		run(t, s, `INSERT INTO users (id, provider, issuer, subject, username, email, group_list, created_at, seen_at)
			SELECT 'u' || id, provider, issuer, id, '', '', '[]', created_at, 0 FROM sessions`)
		run(t, s, "UPDATE sessions SET user_id = 'u' || id")
		// Some 30 rows of each are old enough to be removed.
		at := fmt.Sprintf("%s - %d + (created_at - %d) / 30", s.dialect.clock, (keep + time.Minute).Milliseconds(), start.UnixMilli())
		run(t, s, "INSERT INTO changes (kind, key, at) SELECT 'test', id, "+at+" FROM sessions")
		run(t, s, "INSERT INTO ended_sessions (id, created_at, at) SELECT 'x' || id, created_at, "+at+" FROM sessions")
		run(t, s, "INSERT INTO login_attempts (hash, ends) SELECT hash, created_at FROM sessions")
		run(t, s, "INSERT INTO key_requests (owner, request, content, key_id, at) SELECT user_id, id, hash, id, "+at+" FROM sessions")
		run(t, s, "INSERT INTO spending (account, period, spent, drawn, ends_at) SELECT user_id, id, 0, 0, created_at FROM sessions")
		_, err := s.writes.Exec("ANALYZE")
		must(t, err)

		if s.dialect.numbered { // small tables are read whole, unless there is another way and it must be taken
			s.writes.SetMaxOpenConns(1)
			_, err := s.writes.Exec("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
			must(t, err)
		}
		plans := map[string]string{}
		s.watch = func(q querier) querier { return &explained{q, t, s.dialect, plans} }
		r := all[1500]
		r.UserID = "u" + r.ID
		for _, f := range []session.Filter{
			{All: true},
			{ID: r.ID},
			{UserID: r.UserID},
			{UserID: r.UserID, NotID: r.ID},
			{Issuer: r.Issuer, Subject: r.Subject},
			{Issuer: r.Issuer, SID: r.SID},
		} {
			for _, after := range []string{"", r.ID} {
				_, err := s.Sessions(t.Context(), f, after, 10)
				must(t, err)
			}
			if f.ID == "" && !f.All {
				_, err := s.End(t.Context(), f)
				must(t, err)
			}
		}
		signIn(t, s, newRecord("ann", start))
		_, _ = s.Session(t.Context(), all[7].Hash)
		must(t, s.Touch(t.Context(), []session.Touch{{Hash: r.Hash, SeenAt: start}}))
		_, _, _ = s.ClaimRenewal(t.Context(), all[7].Hash, 1, start, start)
		must(t, s.Renew(t.Context(), all[7]))
		_, err = s.User(t.Context(), r.UserID)
		must(t, err)
		_, err = s.Users(t.Context(), r.UserID, 10)
		must(t, err)
		must(t, s.SetDisabled(t.Context(), r.UserID, start))
		_, err = s.Sweep(t.Context(), start.Add(70*time.Minute), start.Add(9*time.Minute), 5)
		must(t, err)
		_, _, err = s.entryBefore(t.Context(), settled)
		must(t, err)
		_, _, err = s.entries(t.Context(), 5990)
		must(t, err)

		if len(plans) < 20 {
			t.Errorf("only %d statements were seen", len(plans))
		}
		for query, plan := range plans {
			if wholeTable(plan) {
				t.Errorf("%s\nreads a whole table:\n%s\n", query, plan)
			}
		}
	})
}

// wholeTable reports whether a plan reads a table, or an index, from end to end.
// A list of everything, newest first, begins at the end of an index and stops at
// the LIMIT; an index of the few rows that are meant may be read whole.
func wholeTable(plan string) bool {
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		table, scan := strings.CutPrefix(strings.TrimSpace(line), "SCAN ") // SQLite
		derived := strings.HasPrefix(table, "n") || strings.HasPrefix(table, "c LEFT-JOIN") || table == "CONSTANT ROW"
		if strings.Contains(line, "Index Scan") || strings.Contains(line, "Index Only Scan") {
			scan = i+1 == len(lines) || !strings.Contains(lines[i+1], "Index Cond")
		}
		if strings.Contains(line, "Seq Scan") || scan && !derived && !readWhole(line) {
			return true
		}
	}
	return false
}

// readWhole reports whether a line of a plan is of an index that may be read from
// end to end.
func readWhole(line string) bool {
	return strings.Contains(line, "_newest") || strings.Contains(line, "_by_name") || strings.Contains(line, "_limited") || strings.Contains(line, "_of_everybody") || strings.Contains(line, "webhooks_disabled")
}
