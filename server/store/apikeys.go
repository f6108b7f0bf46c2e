package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
)

var _ apikey.Store = (*Store)(nil)

// ChangedAPIKey is the kind of change that names an API key by its ID. A disabled
// user's keys are told by session.ChangedUser.
const ChangedAPIKey = "api_key"

// toldImports is how many imported keys the change table names. The others were
// never asked for, or are asked for again soon.
const toldImports = 1000

// An Idempotency is a request that may be sent twice and is to be done once.
type Idempotency struct {
	Owner   string   // whose request
	Key     string   // the Idempotency-Key header; "" is none
	Content [32]byte // hash of the request's content
}

// About is the request told apart by something more than its content, such as the
// key that it came with.
func (i Idempotency) About(what string) Idempotency {
	i.Content = sha256.Sum256(append(i.Content[:], what...))
	return i
}

// AddKey adds a key, of which Version becomes 1 and Networks are left out. Errors:
// apikey.ErrReplayed with the record of the first request, apikey.ErrReused.
func (s *Store) AddKey(ctx context.Context, r apikey.Record, idem Idempotency, j Journal) (apikey.Record, error) {
	return s.addOnce(ctx, "add an API key", r, idem, j, func(context.Context, conn) error { return nil })
}

// RotateKey writes the old record as ChangeKey does (deprecated, with its earlier
// end and ReplacedBy) and adds the new one, in one transaction: of racing
// rotations one wins, the others get ErrConflict. It returns the new record.
func (s *Store) RotateKey(ctx context.Context, old, next apikey.Record, idem Idempotency, j Journal) (apikey.Record, error) {
	return s.addOnce(ctx, "rotate an API key", next, idem, j, func(ctx context.Context, c conn) error {
		_, err := c.changeKey(ctx, old)
		return err
	})
}

// addOnce adds a key unless the request was made before; first is done before it.
func (s *Store) addOnce(ctx context.Context, doing string, r apikey.Record, idem Idempotency, j Journal, first func(context.Context, conn) error) (apikey.Record, error) {
	var added apikey.Record
	err := s.write(ctx, doing, func(ctx context.Context, c conn) (err error) {
		if added, err = c.once(ctx, idem, r.ID); err != nil {
			return err
		}
		if err = first(ctx, c); err != nil {
			return err
		}
		if added, err = c.addKey(ctx, r); err != nil {
			return err
		}
		return c.journal(ctx, j)
	})
	if err != nil && !errors.Is(err, apikey.ErrReplayed) {
		return apikey.Record{}, err
	}
	return added, err
}

// once notes a request that makes a key. Of two at once the second waits for the
// first to commit. The error of a repetition is apikey.ErrReplayed, with the key
// that the first one made.
func (c conn) once(ctx context.Context, idem Idempotency, keyID string) (apikey.Record, error) {
	if idem.Key == "" {
		return apikey.Record{}, nil
	}
	if !storable(idem.Owner, idem.Key) {
		return apikey.Record{}, errKeyText
	}
	n, err := c.exec(ctx, "INSERT INTO key_requests (owner, request, content, key_id, at) VALUES (?, ?, ?, ?, "+c.clock+") ON CONFLICT (owner, request) DO NOTHING",
		idem.Owner, idem.Key, idem.Content[:], keyID)
	if err != nil || n == 1 {
		return apikey.Record{}, err
	}
	var content []byte
	err = c.row(ctx, "SELECT content, key_id FROM key_requests WHERE owner = ? AND request = ?", idem.Owner, idem.Key).Scan(&content, &keyID)
	if err != nil {
		return apikey.Record{}, err
	}
	if !bytes.Equal(content, idem.Content[:]) {
		return apikey.Record{}, apikey.ErrReused
	}
	r, err := c.key(ctx, keyID)
	if err != nil {
		return apikey.Record{}, err
	}
	return r, apikey.ErrReplayed
}

func (c conn) addKey(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	values, err := keyValues(r)
	if err != nil {
		return apikey.Record{}, err
	}
	added, err := scanKey(c.row(ctx, "INSERT INTO api_keys ("+keyColumns+", search) VALUES "+keyRow+" RETURNING "+keyColumns, values...))
	if err != nil {
		return apikey.Record{}, err
	}
	return added, c.changed(ctx, session.Change{Kind: ChangedAPIKey, Key: r.ID})
}

// ImportKeys adds keys that were made elsewhere, all or none. Those whose hash is
// there already are left as they are; it returns how many were added. It is one
// transaction, which callTime bounds: some 10,000 keys are well within it.
func (s *Store) ImportKeys(ctx context.Context, records []apikey.Record, j Journal) (int, error) {
	// One order for all processes, so that two imports do not wait for each other
	// crosswise.
	sorted := slices.SortedFunc(slices.Values(records), func(a, b apikey.Record) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	rows := make([][]any, len(sorted))
	for i, r := range sorted {
		var err error
		if rows[i], err = keyValues(r); err != nil {
			return 0, fault("import API keys", err)
		}
	}
	added := 0
	err := s.write(ctx, "import API keys", func(ctx context.Context, c conn) error {
		ids, err := c.importKeys(ctx, rows)
		if err != nil {
			return err
		}
		added = len(ids)
		changes := make([]session.Change, min(added, toldImports))
		for i := range changes {
			changes[i] = session.Change{Kind: ChangedAPIKey, Key: ids[i]}
		}
		if err := c.changed(ctx, changes...); err != nil {
			return err
		}
		return c.journal(ctx, j)
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// importKeys returns the IDs of those that were added.
func (c conn) importKeys(ctx context.Context, rows [][]any) (ids []string, err error) {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		added, err := list(ctx, c, func(row scanner) (id string, err error) {
			err = row.Scan(&id)
			return id, err
		}, "INSERT INTO api_keys ("+keyColumns+", search) VALUES "+keyRow+strings.Repeat(", "+keyRow, len(some)-1)+
			" ON CONFLICT (hash) DO NOTHING RETURNING id", slices.Concat(some...)...)
		if err != nil {
			return nil, err
		}
		ids = append(ids, added...)
	}
	return ids, nil
}

// ChangeKey writes a record over the one of the same ID and of the Version that
// it was read with. ID, Hash, HashBy, Prefix, Account, Owner, UserID, CreatedAt
// and LastUsedAt stay. A key that is to end at another time is told of again. It
// returns the record as it then is, without Networks. Errors: apikey.ErrNotFound,
// ErrConflict.
func (s *Store) ChangeKey(ctx context.Context, r apikey.Record, j Journal) (apikey.Record, error) {
	var changed apikey.Record
	err := s.write(ctx, "change an API key", func(ctx context.Context, c conn) (err error) {
		if changed, err = c.changeKey(ctx, r); err != nil {
			return err
		}
		return c.journal(ctx, j)
	})
	if err != nil {
		return apikey.Record{}, err
	}
	return changed, nil
}

func (c conn) changeKey(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if !storable(r.ID) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	values, err := changingValues(r)
	if err != nil {
		return apikey.Record{}, err
	}
	changed, err := scanKey(c.row(ctx, "UPDATE api_keys SET expiry_told = CASE WHEN expires_at = ? THEN expiry_told ELSE 0 END, "+changingSet+
		", version = version + 1 WHERE id = ? AND version = ? RETURNING "+keyColumns,
		slices.Concat([]any{millis(r.ExpiresAt)}, values, []any{r.ID, r.Version})...))
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := c.key(ctx, r.ID); err != nil {
			return apikey.Record{}, err
		}
		return apikey.Record{}, apikey.ErrConflict
	}
	if err != nil {
		return apikey.Record{}, err
	}
	return changed, c.changed(ctx, session.Change{Kind: ChangedAPIKey, Key: r.ID})
}
