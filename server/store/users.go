package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
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

// Users is FindUsers for everybody.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]session.User, error) {
	return s.FindUsers(ctx, "", after, limit)
}

// FindUsers implements session.Store. Users are never removed, so after is either
// there or was never a user.
func (s *Store) FindUsers(ctx context.Context, search, after string, limit int) ([]session.User, error) {
	if limit <= 0 || !storable(after, search) {
		return nil, nil
	}
	where, args := usersWith(search)
	if after != "" {
		where += " AND (created_at, id) < (SELECT created_at, id FROM users WHERE id = ?)"
		args = append(args, after)
	}
	var all []session.User
	err := s.read(ctx, "list users", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanUser, "SELECT "+userColumns+" FROM users WHERE "+where+
			" ORDER BY created_at DESC, id DESC LIMIT ?", append(args, limit)...)
		return err
	})
	return all, err
}

// usersWith makes the condition of a search. Subjects are shown with the name of
// their provider before them, "local|ann", so that is found too.
func usersWith(search string) (where string, args []any) {
	if search == "" {
		return "TRUE", nil
	}
	pattern := func(text string) string { return "%" + likeEscaper.Replace(strings.ToLower(text)) + "%" }
	where, args = "search LIKE ? ESCAPE '!'", []any{pattern(search)}
	if provider, subject, ok := strings.Cut(search, "|"); ok {
		where = "(" + where + " OR provider = ? AND search LIKE ? ESCAPE '!')"
		args = append(args, provider, pattern(subject))
	}
	return where, args
}

// SetRoles implements session.Store.
func (s *Store) SetRoles(ctx context.Context, id string, version int64, roles []string) error {
	if !storable(id) {
		return session.ErrNoUser
	}
	text, err := json.Marshal(append([]string{}, roles...))
	if err != nil {
		return fault("set the roles of a user", err)
	}
	return s.write(ctx, "set the roles of a user", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "UPDATE users SET role_list = ?, roles_version = roles_version + 1 WHERE id = ? AND roles_version = ?",
			string(text), id, version)
		if err != nil {
			return err
		}
		if n == 0 {
			return c.whyNoUser(ctx, id)
		}
		if err := c.changed(ctx, session.Change{Kind: session.ChangedUser, Key: id}); err != nil {
			return err
		}
		return c.journalOf(ctx)
	})
}

// whyNoUser says why a user of a version was not found.
func (c conn) whyNoUser(ctx context.Context, id string) error {
	_, err := scanUser(c.row(ctx, "SELECT "+userColumns+" FROM users WHERE id = ?", id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return session.ErrNoUser
	case err != nil:
		return err
	}
	return session.ErrConflict
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
