package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"wavegate/server/session"
)

// Session implements session.Store.
func (s *Store) Session(ctx context.Context, h session.Hash) (session.Record, error) {
	var r session.Record
	err := s.read(ctx, "look up a session", func(ctx context.Context, c conn) (err error) {
		r, err = present(ctx, c, h)
		return err
	})
	return r, err
}

// present reads a session whose user may sign in.
func present(ctx context.Context, c conn, h session.Hash) (session.Record, error) {
	r, err := scanSession(c.row(ctx, "SELECT "+sessionColumns+
		" FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = ? AND u.disabled_at = 0", h[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return session.Record{}, session.ErrNoSession
	}
	return r, err
}

// choice makes the WHERE clause of a filter, and reports whether it chooses
// anything at all: something must be named, and a Subject or SID means nothing
// without its Issuer.
func choice(f session.Filter) (where string, args []any, ok bool) {
	named := f.Subject != "" || f.SID != ""
	if named && f.Issuer == "" || !storable(f.ID, f.UserID, f.Issuer, f.Subject, f.SID, f.NotID) {
		return "", nil, false
	}
	terms := []string{"TRUE"}
	for _, term := range []struct{ sql, value string }{
		{"s.id = ?", f.ID},
		{"s.user_id = ?", f.UserID},
		{"s.issuer = ?", f.Issuer},
		{"s.subject = ?", f.Subject},
		{"s.sid = ?", f.SID},
		{"s.id <> ?", f.NotID},
	} {
		if term.value != "" {
			terms = append(terms, term.sql)
			args = append(args, term.value)
		}
	}
	return strings.Join(terms, " AND "), args, f.All || f.ID != "" || f.UserID != "" || named
}

// Sessions implements session.Store. The session that after names may have
// ended a few minutes ago; one that nobody remembers is behind the end.
func (s *Store) Sessions(ctx context.Context, f session.Filter, after string, limit int) ([]session.Record, error) {
	where, args, ok := choice(f)
	if !ok || limit <= 0 || !storable(after) {
		return nil, nil
	}
	var all []session.Record
	err := s.read(ctx, "list sessions", func(ctx context.Context, c conn) error {
		where, args := where, args
		if after != "" {
			created, err := stood(ctx, c, after)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			where += " AND (s.created_at, s.id) < (?, ?)"
			args = slices.Concat(args, []any{created, after})
		}
		var err error
		all, err = list(ctx, c, scanSession, "SELECT "+sessionColumns+" FROM sessions s JOIN users u ON u.id = s.user_id WHERE "+where+
			" ORDER BY s.created_at DESC, s.id DESC LIMIT ?", slices.Concat(args, []any{limit})...)
		return err
	})
	return all, err
}

// stood returns when a session that is, or was until a short while ago, began.
func stood(ctx context.Context, c conn, id string) (created int64, err error) {
	err = c.row(ctx, "SELECT created_at FROM sessions WHERE id = ? UNION ALL SELECT created_at FROM ended_sessions WHERE id = ? LIMIT 1",
		id, id).Scan(&created)
	return created, err
}

// Touch implements session.Store.
func (s *Store) Touch(ctx context.Context, touches []session.Touch) error {
	last := latest(touches)
	if len(last) == 0 {
		return nil
	}
	return s.write(ctx, "note the use of sessions", func(ctx context.Context, c conn) error {
		return c.dialect.touch(ctx, c, last)
	})
}

// latest keeps the last use of each session, in one order for all processes, so
// that two batches do not wait for each other crosswise.
func latest(touches []session.Touch) []session.Touch {
	last := make(map[session.Hash]session.Touch, len(touches))
	for _, t := range touches {
		if t.SeenAt.After(last[t.Hash].SeenAt) {
			last[t.Hash] = t
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b session.Touch) int {
		return bytes.Compare(a.Hash[:], b.Hash[:])
	})
}
