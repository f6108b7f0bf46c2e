package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"wavegate/server/session"
)

// User implements session.Store.
func (s *Store) User(ctx context.Context, id string) (session.User, error) {
	var u session.User
	if !storable(id) {
		return u, session.ErrNoUser
	}
	err := s.read(ctx, "look up a user", func(ctx context.Context, c conn) (err error) {
		u, err = scanUser(c.row(ctx, "SELECT "+userColumns+" FROM users WHERE id = ?", id))
		if errors.Is(err, sql.ErrNoRows) {
			return session.ErrNoUser
		}
		return err
	})
	return u, err
}

// Users implements session.Store. Users are never removed, so after is either
// there or was never a user.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]session.User, error) {
	if limit <= 0 || !storable(after) {
		return nil, nil
	}
	where, args := "", []any{limit}
	if after != "" {
		where = " WHERE (created_at, id) < (SELECT created_at, id FROM users WHERE id = ?)"
		args = []any{after, limit}
	}
	var all []session.User
	err := s.read(ctx, "list users", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanUser, "SELECT "+userColumns+" FROM users"+where+" ORDER BY created_at DESC, id DESC LIMIT ?", args...)
		return err
	})
	return all, err
}

// SetDisabled implements session.Store. It is one transaction, however many
// sessions the user has: nobody who is disabled keeps one.
func (s *Store) SetDisabled(ctx context.Context, id string, at time.Time) error {
	if !storable(id) {
		return session.ErrNoUser
	}
	return s.write(ctx, "disable or enable a user", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "UPDATE users SET disabled_at = ? WHERE id = ?", millis(at), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return session.ErrNoUser
		}
		for full := !at.IsZero(); full; {
			ended, err := remove(ctx, c, "SELECT s.hash, s.id, s.created_at FROM sessions s WHERE s.user_id = ? LIMIT ?"+c.forUpdate, id, batch)
			if err != nil {
				return err
			}
			full = len(ended) == batch
		}
		// Of an enabled one too: what was refused for the user's sake is there again.
		if err := c.changed(ctx, session.Change{Kind: session.ChangedUser, Key: id}); err != nil {
			return err
		}
		return c.journalOf(ctx)
	})
}
