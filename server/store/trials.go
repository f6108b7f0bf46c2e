package store

import (
	"context"
	"time"

	"wavegate/keychain/apikey"
)

// SweepTrials removes trial keys that expired before a time, at most limit: nobody
// owns them, so nobody would. What the audit log says of them stays.
func (s *Store) SweepTrials(ctx context.Context, before time.Time, limit int) (int, error) {
	n := 0
	err := s.write(ctx, "sweep trial keys", func(ctx context.Context, c conn) (err error) {
		const old = "(SELECT id FROM api_keys WHERE owner = ? AND environment = ? AND expires_at > 0 AND expires_at <= ? ORDER BY created_at, id LIMIT ?)"
		args := []any{"trial", string(apikey.Trial), millis(before), limit}
		if _, err = c.exec(ctx, "DELETE FROM key_networks WHERE key_id IN "+old, args...); err != nil {
			return err
		}
		n, err = c.exec(ctx, "DELETE FROM api_keys WHERE id IN "+old, args...)
		return err
	})
	return n, err
}
