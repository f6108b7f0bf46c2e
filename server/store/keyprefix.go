package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"wavegate/keychain/apikey"
)

// KeyByPrefix returns the key that begins like that and is neither revoked nor
// expired, of several the newest. Error: apikey.ErrNotFound.
func (s *Store) KeyByPrefix(ctx context.Context, prefix string, now time.Time) (apikey.Record, error) {
	if !storable(prefix) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	var found apikey.Record
	err := s.read(ctx, "look up an API key", func(ctx context.Context, c conn) (err error) {
		found, err = scanKey(c.row(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE prefix = ? AND revoked_at = 0 AND (expires_at = 0 OR expires_at > ?)"+
			" ORDER BY created_at DESC, id DESC LIMIT 1", prefix, millis(now)))
		if errors.Is(err, sql.ErrNoRows) {
			return apikey.ErrNotFound
		}
		return err
	})
	return found, err
}
