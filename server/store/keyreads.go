package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"wavegate/keychain/apikey"
)

// maxSearch is how long a text can be that some key has in it, in bytes.
const maxSearch = 4 * apikey.MaxDescription

// A KeyFilter chooses API keys, and says how they are listed. Empty fields choose
// nothing out; the newest come first where nothing is said.
type KeyFilter struct {
	Owner       string
	All         bool // needed where Owner is "": everybody's
	Environment apikey.Environment
	Status      apikey.Status
	Role        string
	Search      string // in name, description, prefix, and ID; upper and lower case are the same
	Sort        KeySort
	Ascending   bool // the earliest, or A, first; else the latest, or Z
}

// statusTerms are the conditions of apikey.Record.Status; each ? is the time.
var statusTerms = map[apikey.Status]string{
	"":                "TRUE",
	apikey.Active:     "revoked_at = 0 AND deprecated_at = 0 AND (expires_at = 0 OR expires_at > ?)",
	apikey.Deprecated: "revoked_at = 0 AND deprecated_at <> 0 AND (expires_at = 0 OR expires_at > ?)",
	apikey.Expired:    "revoked_at = 0 AND expires_at <> 0 AND expires_at <= ?",
	apikey.Revoked:    "revoked_at <> 0",
}

// choice makes the WHERE clause of a filter, and reports whether it can choose
// anything at all.
func (f KeyFilter) choice(now time.Time) (where string, args []any, ok bool) {
	status, known := statusTerms[f.Status]
	if !known || f.Owner == "" && !f.All || len(f.Search) > maxSearch ||
		!storable(f.Owner, string(f.Environment), f.Role, f.Search) {
		return "", nil, false
	}
	where = status
	if strings.Contains(status, "?") {
		args = append(args, millis(now))
	}
	for _, term := range []struct{ sql, value string }{
		{"owner = ?", f.Owner},
		{"environment = ?", string(f.Environment)},
		{"role = ?", f.Role},
	} {
		if term.value != "" {
			where += " AND " + term.sql
			args = append(args, term.value)
		}
	}
	if f.Search != "" {
		where += " AND (search LIKE ? ESCAPE '!' OR LOWER(prefix) LIKE ? ESCAPE '!' OR LOWER(id) LIKE ? ESCAPE '!')"
		pattern := "%" + likeEscaper.Replace(strings.ToLower(f.Search)) + "%"
		args = append(args, pattern, pattern, pattern)
	}
	return where, args, true
}

// likeEscaper takes their meaning from the signs of LIKE.
var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Key returns a key by ID, with its networks. Error: apikey.ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (apikey.Record, error) {
	if !storable(id) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	var r apikey.Record
	err := s.read(ctx, "look up an API key", func(ctx context.Context, c conn) (err error) {
		r, err = c.key(ctx, id)
		return err
	})
	return r, err
}

func (c conn) key(ctx context.Context, id string) (apikey.Record, error) {
	r, err := scanKeyNetworks(c.row(ctx, "SELECT "+keyColumns+", "+keyNetworks+" FROM api_keys WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	return r, err
}

// Keys lists keys in the order of the filter, from behind the one whose Cursor is
// after. An after that is no cursor, or of no key, is behind the end.
func (s *Store) Keys(ctx context.Context, f KeyFilter, now time.Time, after string, limit int) ([]apikey.Record, error) {
	where, args, ok := f.choice(now)
	place, known := f.place(after)
	if !ok || !known || limit <= 0 {
		return nil, nil
	}
	var all []apikey.Record
	err := s.read(ctx, "list API keys", func(ctx context.Context, c conn) error {
		all = nil
		for _, run := range f.runs(c.dialect, place) {
			some, err := list(ctx, c, scanKey, "SELECT "+keyColumns+" FROM api_keys WHERE "+where+" AND "+run.where+
				" ORDER BY "+run.order+" LIMIT ?", slices.Concat(args, run.args, []any{limit - len(all)})...)
			if err != nil {
				return err
			}
			if all = append(all, some...); len(all) == limit {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// ByHash implements apikey.Store. Of several keys the one of the earliest hash is
// returned.
func (s *Store) ByHash(ctx context.Context, hashes [][32]byte) (apikey.Record, error) {
	if len(hashes) == 0 {
		return apikey.Record{}, apikey.ErrNotFound
	}
	args := make([]any, len(hashes))
	for i := range hashes {
		args[i] = hashes[i][:]
	}
	var found []apikey.Record
	err := s.read(ctx, "look up an API key", func(ctx context.Context, c conn) (err error) {
		found, err = list(ctx, c, scanKeyNetworks, "SELECT "+keyColumns+", "+keyNetworks+
			" FROM api_keys WHERE hash IN (?"+strings.Repeat(", ?", len(hashes)-1)+
			") AND (user_id = '' OR EXISTS (SELECT 1 FROM users WHERE users.id = api_keys.user_id AND users.disabled_at = 0))", args...)
		return err
	})
	if err != nil {
		return apikey.Record{}, err
	}
	if len(found) == 0 {
		return apikey.Record{}, apikey.ErrNotFound
	}
	return slices.MinFunc(found, func(a, b apikey.Record) int {
		return slices.Index(hashes, a.Hash) - slices.Index(hashes, b.Hash)
	}), nil
}

// HasImported implements apikey.Store. The value stands in the statement, because
// the index holds no others.
func (s *Store) HasImported(ctx context.Context) (has bool, err error) {
	err = s.read(ctx, "look for an API key", func(ctx context.Context, c conn) error {
		return c.row(ctx, "SELECT EXISTS (SELECT 1 FROM api_keys WHERE hash_by = '"+apikey.ImportedSHA256+"')").Scan(&has)
	})
	return has, err
}
