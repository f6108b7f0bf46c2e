package store

import (
	"context"
	"slices"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// signingColumns are in the order in which scanSigningKey reads them.
const signingColumns = "id, algorithm, sealed, created_at, use_at, retire_at"

func scanSigningKey(row scanner) (provider.SigningKey, error) {
	var k provider.SigningKey
	var created, use, retire int64
	err := row.Scan(&k.ID, &k.Algorithm, &k.Sealed, &created, &use, &retire)
	k.CreatedAt, k.UseAt, k.RetireAt = timeOf(created), timeOf(use), timeOf(retire)
	return k, err
}

// SigningKeys implements provider.Store. A key without RetireAt stays.
func (s *Store) SigningKeys(ctx context.Context, now time.Time) ([]provider.SigningKey, error) {
	var all []provider.SigningKey
	err := s.read(ctx, "read the signing keys", func(ctx context.Context, c conn) (err error) {
		all, err = c.signingKeys(ctx, now)
		return err
	})
	return all, err
}

func (c conn) signingKeys(ctx context.Context, now time.Time) ([]provider.SigningKey, error) {
	return list(ctx, c, scanSigningKey, "SELECT "+signingColumns+" FROM oauth_signing_keys WHERE retire_at = 0 OR retire_at > ? ORDER BY created_at, id", millis(now))
}

// AddSigningKeys implements provider.Store. The keys that are kept are those of
// SigningKeys when the last of the new ones was made.
func (s *Store) AddSigningKeys(ctx context.Context, known []string, added, changed []provider.SigningKey) error {
	var now time.Time
	for _, k := range added {
		if !storable(k.ID, k.Algorithm) {
			return fault("add signing keys", errOAuthText)
		}
		if k.CreatedAt.After(now) {
			now = k.CreatedAt
		}
	}
	return s.write(ctx, "add signing keys", func(ctx context.Context, c conn) error {
		if err := c.lock(ctx, "OAuth signing keys"); err != nil {
			return err
		}
		if err := c.onlyKnown(ctx, known, now); err != nil {
			return err
		}
		err := insert(ctx, c, "oauth_signing_keys ("+signingColumns+")", "(?, ?, ?, ?, ?, ?)", "", added, func(k provider.SigningKey) []any {
			return []any{k.ID, k.Algorithm, k.Sealed, millis(k.CreatedAt), millis(k.UseAt), millis(k.RetireAt)}
		})
		if err != nil {
			return err
		}
		for _, k := range changed {
			if _, err := c.exec(ctx, "UPDATE oauth_signing_keys SET use_at = ?, retire_at = ? WHERE id = ?", millis(k.UseAt), millis(k.RetireAt), k.ID); err != nil {
				return err
			}
		}
		if err := c.changed(ctx, session.Change{Kind: provider.ChangedKeys}); err != nil {
			return err
		}
		return c.journalOf(ctx)
	})
}

// onlyKnown is provider.ErrConflict unless the keys that are kept are the known
// ones.
func (c conn) onlyKnown(ctx context.Context, known []string, now time.Time) error {
	kept, err := c.signingKeys(ctx, now)
	if err != nil {
		return err
	}
	have := make([]string, len(kept))
	for i, k := range kept {
		have[i] = k.ID
	}
	slices.Sort(have)
	if !slices.Equal(have, slices.Sorted(slices.Values(known))) {
		return provider.ErrConflict
	}
	return nil
}
