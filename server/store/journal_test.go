package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
	"wavegate/server/session"
)

// A failing querier runs another statement in the place of one of those that it
// is given: one that the database refuses, as it refuses one whose disk is full.
type failing struct {
	querier
	at   int  // which statement, from 1
	seen *int // statements
}

func (f *failing) replace(query string) (string, bool) {
	if *f.seen++; *f.seen == f.at {
		return "SELECT no_such_column FROM audit_state", true
	}
	return query, false
}

func (f *failing) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if query, failed := f.replace(query); failed {
		return f.querier.ExecContext(ctx, query)
	}
	return f.querier.ExecContext(ctx, query, args...)
}

func (f *failing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if query, failed := f.replace(query); failed {
		return f.querier.QueryContext(ctx, query)
	}
	return f.querier.QueryContext(ctx, query, args...)
}

func (f *failing) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if query, failed := f.replace(query); failed {
		return f.querier.QueryRowContext(ctx, query)
	}
	return f.querier.QueryRowContext(ctx, query, args...)
}

func (f *failing) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	query, _ = f.replace(query)
	return f.querier.PrepareContext(ctx, query)
}

// content is every row of the tables that a change of keys writes to.
func content(t testing.TB, s *Store) string {
	t.Helper()
	return contentOf(t, s, "api_keys", "key_networks", "key_requests", "spending", "audit_log", "audit_state", "changes")
}

// contentOf is every row of some tables.
func contentOf(t testing.TB, s *Store, tables ...string) string {
	t.Helper()
	var b strings.Builder
	for _, table := range tables {
		rows, err := s.reads.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1, 2")
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values, dest := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			must(t, rows.Scan(dest...))
			fmt.Fprintln(&b, table, values)
		}
		must(t, rows.Err())
		must(t, rows.Close())
	}
	return b.String()
}

// TestStoreThatFailsInTheMiddleLeavesNothingHalfDone has each statement of each
// changing call fail in turn.
func TestStoreThatFailsInTheMiddleLeavesNothingHalfDone(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		note(t, s, 0, 5)
		old, spare := addKey(t, s, newKey("sub:ann", start)), addKey(t, s, newKey("sub:ann", start))
		_, _, err := s.Draw(t.Context(), old.ID, "ops", 10, 5, start)
		must(t, err)
		ctx, idem := t.Context(), Idempotency{Owner: "sub:ann", Key: "k"}
		for _, tt := range []struct {
			name       string
			statements int // at least
			do         func() error
		}{
			{"AddKey", 6, func() error {
				_, err := s.AddKey(ctx, newKey("sub:ann", start), idem, noted("key.create", "x"))
				return err
			}},
			{"ImportKeys", 6, func() error {
				var all []apikey.Record
				for range 2 * rowsAtOnce {
					all = append(all, newKey("sub:ann", start))
				}
				_, err := s.ImportKeys(ctx, all, noted("key.import", ""))
				return err
			}},
			{"ChangeKey", 5, func() error {
				spare.RevokedAt = start
				_, err := s.ChangeKey(ctx, spare, noted("key.revoke", spare.ID))
				return err
			}},
			{"RotateKey", 8, func() error {
				next := newKey("sub:ann", start)
				_, err := s.RotateKey(ctx, deprecated(old, next.ID), next, Idempotency{Owner: "sub:ann", Key: "r"}, noted("key.rotate", old.ID))
				return err
			}},
			{"TellExpiry", 4, func() error {
				_, err := s.TellExpiry(ctx, old.ID, 1, noted("key.expiring", old.ID))
				return err
			}},
			{"TouchKeys", 4, func() error {
				return s.TouchKeys(ctx, []apikey.Touch{{ID: old.ID, UsedAt: start.Add(time.Hour), Networks: networks("192.0.2.0/24")}})
			}},
			{"Draw", 1, func() error {
				_, _, err := s.Draw(ctx, old.ID, "ops", 10, 3, start)
				return err
			}},
			{"Return", 1, func() error { return s.Return(ctx, old.ID, "ops", 3) }},
			{"Note", 3, func() error { return s.Note(ctx, noted("credential.refused", "")) }},
			{"SweepAudit", 4, func() error {
				_, err := s.SweepAudit(ctx, start.Add(3*time.Second), 10)
				return err
			}},
		} {
			before := content(t, s)
			for n := 1; ; n++ {
				seen := 0
				s.watch = func(q querier) querier { return &failing{q, n, &seen} }
				err := tt.do()
				s.watch = nil
				if seen < n { // all of them succeeded
					must(t, err)
					if seen < tt.statements || content(t, s) == before {
						t.Errorf("%s: %d statements, want %d, and something done", tt.name, seen, tt.statements)
					}
					break
				}
				wantErr(t, fmt.Sprintf("%s, statement %d", tt.name, n), err, session.ErrUnavailable)
				if after := content(t, s); after != before {
					t.Fatalf("%s, statement %d of it failed: half was done:\n%s\nbefore:\n%s", tt.name, n, after, before)
				}
			}
			if _, err := s.VerifyAudit(ctx); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}

// TestErrorsOfKeysAreNamed: callers compare them, so nothing is wrapped around
// them.
func TestErrorsOfKeysAreNamed(t *testing.T) {
	for _, err := range []error{apikey.ErrNotFound, apikey.ErrConflict, apikey.ErrReplayed, apikey.ErrReused} {
		wantSame(t, "named", fault("test", err) == err, true)
	}
	for _, err := range []error{apikey.ErrUnavailable, audit.ErrChanged, errNoChain, sql.ErrNoRows} {
		wantErr(t, "others", fault("test", err), session.ErrUnavailable)
	}
}

// TestNoSecretInErrorsOfKeys: what is stored never comes back in an error.
func TestNoSecretInErrorsOfKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := newKey("sub:"+canary, start)
		r.Name, r.Prefix, r.Metadata = canary, canary, []byte(`{"a": "`+canary+`"}`)
		addKey(t, s, r)
		_, err := s.AddKey(t.Context(), r, Idempotency{}, noted(canary, canary)) // the same key again
		wantErr(t, "add", err, session.ErrUnavailable)
		if text := err.Error(); strings.Contains(text, canary) || strings.Contains(text, r.ID) || !strings.Contains(text, "add an API key") {
			t.Errorf("error %q", text)
		}
	})
}
