package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

var _ provider.Store = (*Store)(nil)

// Client implements provider.Store.
func (s *Store) Client(ctx context.Context, id string) (provider.Client, error) {
	var found provider.Client
	if !storable(id) {
		return found, provider.ErrNotFound
	}
	err := s.read(ctx, "look up an OAuth client", func(ctx context.Context, c conn) (err error) {
		found, err = c.client(ctx, id)
		return err
	})
	return found, err
}

func (c conn) client(ctx context.Context, id string) (provider.Client, error) {
	found, err := scanClient(c.row(ctx, "SELECT "+clientColumns+" FROM oauth_clients WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return provider.Client{}, provider.ErrNotFound
	}
	return found, err
}

// AddClient adds a client, of which Version becomes 1, if its owner has fewer than
// most. Errors: provider.ErrTooMany.
func (s *Store) AddClient(ctx context.Context, client provider.Client, most int, j Journal) (provider.Client, error) {
	const doing = "add an OAuth client"
	values, err := clientValues(client)
	if err != nil {
		return provider.Client{}, fault(doing, err)
	}
	var added provider.Client
	err = s.write(ctx, doing, func(ctx context.Context, c conn) (err error) {
		if err = c.lock(ctx, "OAuth clients of "+client.Owner); err != nil {
			return err
		}
		if err = c.fewer(ctx, most, "oauth_clients WHERE owner = ?", client.Owner); err != nil {
			return err
		}
		added, err = scanClient(c.row(ctx, "INSERT INTO oauth_clients ("+clientColumns+", search, used_at) VALUES "+clientRow+
			" RETURNING "+clientColumns, values...))
		if err != nil {
			return err
		}
		return c.changedClient(ctx, client.ID, j)
	})
	if err != nil {
		return provider.Client{}, err
	}
	return added, nil
}

// fewer is provider.ErrTooMany unless a table and condition have fewer rows than
// most. It looks at no more than that many.
func (c conn) fewer(ctx context.Context, most int, from string, args ...any) error {
	n := 0
	err := c.row(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+from+" LIMIT ?) n", slices.Concat(args, []any{max(most, 0)})...).Scan(&n)
	if err == nil && n >= most {
		return provider.ErrTooMany
	}
	return err
}

// changedClient tells of a client, and is the last that a transaction does.
func (c conn) changedClient(ctx context.Context, id string, j Journal) error {
	if err := c.changed(ctx, session.Change{Kind: provider.ChangedClient, Key: id}); err != nil {
		return err
	}
	return c.journal(ctx, j)
}

// ChangeClient writes a client over the one of the same ID and of the Version that
// it was read with. ID, Type, Owner, UserID, Dynamic and CreatedAt stay. Errors:
// provider.ErrNotFound, ErrConflict.
func (s *Store) ChangeClient(ctx context.Context, client provider.Client, j Journal) (provider.Client, error) {
	const doing = "change an OAuth client"
	if !storable(client.ID) {
		return provider.Client{}, provider.ErrNotFound
	}
	values, err := changingClientValues(client)
	if err != nil {
		return provider.Client{}, fault(doing, err)
	}
	var changed provider.Client
	err = s.write(ctx, doing, func(ctx context.Context, c conn) (err error) {
		changed, err = scanClient(c.row(ctx, "UPDATE oauth_clients SET "+clientSet+", version = version + 1 WHERE id = ? AND version = ? RETURNING "+clientColumns,
			slices.Concat(values, []any{client.ID, client.Version})...))
		if errors.Is(err, sql.ErrNoRows) {
			if _, err := c.client(ctx, client.ID); err != nil {
				return err
			}
			return provider.ErrConflict
		}
		if err != nil {
			return err
		}
		return c.changedClient(ctx, client.ID, j)
	})
	if err != nil {
		return provider.Client{}, err
	}
	return changed, nil
}

// DeleteClient removes a client with all that it was given. Errors:
// provider.ErrNotFound. Its grants and tokens are dead at once, because they stand
// only as long as the client is there; SweepOAuth removes their rows, of which a
// client may have very many.
func (s *Store) DeleteClient(ctx context.Context, id string, j Journal) error {
	if !storable(id) {
		return provider.ErrNotFound
	}
	return s.write(ctx, "remove an OAuth client", func(ctx context.Context, c conn) error {
		if err := c.removeClient(ctx, id); err != nil {
			return err
		}
		return c.changedClient(ctx, id, j)
	})
}

// removeClient removes a client, and notes that something of it is left.
func (c conn) removeClient(ctx context.Context, id string) error {
	n, err := c.exec(ctx, "DELETE FROM oauth_clients WHERE id = ?", id)
	if err != nil {
		return err
	}
	if n == 0 {
		return provider.ErrNotFound
	}
	_, err = c.exec(ctx, "INSERT INTO oauth_removals (client_id, at) VALUES (?, "+c.clock+") ON CONFLICT DO NOTHING", id)
	return err
}

// A ClientFilter chooses OAuth clients. The zero value chooses all.
type ClientFilter struct {
	Owner  string
	Search string // part of a name, in any case
}

// choice makes the WHERE clause of a filter, and reports whether it can choose
// anything at all.
func (f ClientFilter) choice() (where string, args []any, ok bool) {
	if len(f.Search) > maxSearch || !storable(f.Owner, f.Search) {
		return "", nil, false
	}
	where = "TRUE"
	if f.Owner != "" {
		where += " AND owner = ?"
		args = append(args, f.Owner)
	}
	if f.Search != "" {
		where += " AND search LIKE ? ESCAPE '!'"
		args = append(args, "%"+likeEscaper.Replace(strings.ToLower(f.Search))+"%")
	}
	return where, args, true
}

// Clients lists clients, newest first, at most limit, after the one with the ID
// after ("" from the start). An after that is no client is behind the end.
func (s *Store) Clients(ctx context.Context, f ClientFilter, after string, limit int) ([]provider.Client, error) {
	where, args, ok := f.choice()
	if !ok || limit <= 0 || !storable(after) {
		return nil, nil
	}
	if after != "" {
		where += " AND (created_at, id) < (SELECT created_at, id FROM oauth_clients WHERE id = ?)"
		args = append(args, after)
	}
	var all []provider.Client
	err := s.read(ctx, "list OAuth clients", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanClient, "SELECT "+clientColumns+" FROM oauth_clients WHERE "+where+
			" ORDER BY created_at DESC, id DESC LIMIT ?", slices.Concat(args, []any{limit})...)
		return err
	})
	return all, err
}
