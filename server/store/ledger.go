package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"wavegate/server/limit"
)

var _ limit.Ledger = (*Store)(nil)

// Draw implements limit.Ledger. The statement locks the row that it changes, so
// whoever comes second counts from what the first left. Nothing in it can
// overflow: spent is never over the limit that it was drawn under.
func (s *Store) Draw(ctx context.Context, account, period string, limit, want int64, ends time.Time) (got, left int64, err error) {
	switch {
	case limit <= 0:
		return 0, 0, nil
	case want <= 0:
		spent, err := s.Spent(ctx, account, period)
		return 0, max(limit-spent, 0), err
	}
	want = min(want, limit)
	var until any // NULL for never
	if !ends.IsZero() {
		until = millis(ends)
	}
	err = s.write(ctx, "spend", func(ctx context.Context, c conn) error {
		var spent int64
		err := c.row(ctx, `
			INSERT INTO spending (account, period, spent, drawn, ends_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (account, period) DO UPDATE SET
				spent = CASE WHEN ? - spending.spent < excluded.drawn THEN ? ELSE spending.spent + excluded.drawn END,
				drawn = CASE WHEN ? - spending.spent < excluded.drawn THEN ? - spending.spent ELSE excluded.drawn END,
				ends_at = excluded.ends_at
			WHERE spending.spent < ?
			RETURNING drawn, spent`,
			account, period, want, want, until, limit, limit, limit, limit, limit).Scan(&got, &spent)
		left = limit - spent
		if errors.Is(err, sql.ErrNoRows) {
			got, left, err = 0, 0, nil
		}
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return got, left, nil
}

// Return implements limit.Ledger. What was spent never falls below 0.
func (s *Store) Return(ctx context.Context, account, period string, amount int64) error {
	if amount <= 0 {
		return nil
	}
	return s.write(ctx, "give back what was not spent", func(ctx context.Context, c conn) error {
		_, err := c.exec(ctx, "UPDATE spending SET spent = CASE WHEN spent > ? THEN spent - ? ELSE 0 END WHERE account = ? AND period = ?",
			amount, amount, account, period)
		return err
	})
}

// Spent returns what was drawn of an account's period, for people to read.
func (s *Store) Spent(ctx context.Context, account, period string) (spent int64, err error) {
	err = s.read(ctx, "look up what was spent", func(ctx context.Context, c conn) error {
		err := c.row(ctx, "SELECT spent FROM spending WHERE account = ? AND period = ?", account, period).Scan(&spent)
		if errors.Is(err, sql.ErrNoRows) {
			spent, err = 0, nil
		}
		return err
	})
	return spent, err
}
