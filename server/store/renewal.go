package store

import (
	"context"
	"encoding/hex"
	"time"

	"wavegate/server/session"
)

// ClaimRenewal implements session.Store.
func (s *Store) ClaimRenewal(ctx context.Context, h session.Hash, version int64, now, until time.Time) (r session.Record, won bool, err error) {
	err = s.write(ctx, "claim a renewal", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "UPDATE sessions SET claimed_until = ? WHERE hash = ? AND version = ? AND claimed_until <= ?",
			millis(until), h[:], version, millis(now))
		if err != nil {
			return err
		}
		won = n == 1
		r, err = present(ctx, c, h)
		return err
	})
	if err != nil {
		return session.Record{}, false, err
	}
	return r, won, nil
}

// Renew implements session.Store. The user's row comes before the session's, as
// everywhere in this package, so that no two transactions wait for each other.
func (s *Store) Renew(ctx context.Context, r session.Record) error {
	claims, err := claimValues(r.Claims)
	if err != nil {
		return fault("renew a session", err)
	}
	return s.write(ctx, "renew a session", func(ctx context.Context, c conn) error {
		_, err := c.exec(ctx, "UPDATE users SET username = ?, email = ?, group_list = ?, search = ? WHERE id = (SELECT user_id FROM sessions WHERE hash = ?)",
			append(claims[:len(claims):len(claims)], searchOf(r.Subject, r.Claims), r.Hash[:])...)
		if err != nil {
			return err
		}
		n, err := c.exec(ctx, `UPDATE sessions SET username = ?, email = ?, group_list = ?, sealed = ?, renew_at = ?,
			version = version + 1, claimed_until = 0 WHERE hash = ? AND version = ?`,
			append(claims[:len(claims):len(claims)], orNull(r.Sealed), millis(r.RenewAt), r.Hash[:], r.Version)...)
		switch {
		case err != nil:
			return err
		case n == 1:
			return c.changed(ctx, session.Change{Kind: session.ChangedSession, Key: hex.EncodeToString(r.Hash[:])})
		}
		if _, err := present(ctx, c, r.Hash); err != nil {
			return err
		}
		return session.ErrConflict
	})
}
