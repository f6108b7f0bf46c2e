package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"wavegate/oidc/provider"
)

// Push implements provider.Store.
func (s *Store) Push(ctx context.Context, r provider.Pushed, now time.Time, perSource, perClient int) error {
	const doing = "keep a pushed request"
	if !storable(r.ClientID, r.Params, r.Source) {
		return fault(doing, errOAuthText)
	}
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		err := c.fewerOpen(ctx, "oauth_pushed", r.ClientID, r.Source, now, perSource, perClient)
		if err != nil {
			return err
		}
		_, err = c.exec(ctx, "INSERT INTO oauth_pushed (hash, client_id, params, source, expires_at) VALUES (?, ?, ?, ?, ?)",
			r.Hash[:], r.ClientID, r.Params, r.Source, millis(r.ExpiresAt))
		return err
	})
}

// fewerOpen is provider.ErrTooMany unless a source and a client have fewer rows in
// a table than they may that have not expired. Those of one client, and of one
// source, come one after the other; the client is always locked first, so that no
// two transactions wait for each other.
func (c conn) fewerOpen(ctx context.Context, table, clientID, source string, now time.Time, perSource, perClient int) error {
	for _, bound := range []struct {
		column, value string
		most          int
	}{{"client_id", clientID, perClient}, {"source", source, perSource}} {
		if err := c.lock(ctx, table+" "+bound.column+" "+bound.value); err != nil {
			return err
		}
		if err := c.fewer(ctx, bound.most, table+" WHERE "+bound.column+" = ? AND expires_at > ?", bound.value, millis(now)); err != nil {
			return err
		}
	}
	return nil
}

// Pushed implements provider.Store.
func (s *Store) Pushed(ctx context.Context, h provider.Hash, now time.Time) (provider.Pushed, error) {
	r := provider.Pushed{Hash: h}
	err := s.read(ctx, "look up a pushed request", func(ctx context.Context, c conn) error {
		var expires int64
		err := c.row(ctx, "SELECT client_id, params, source, expires_at FROM oauth_pushed WHERE hash = ? AND expires_at > ?", h[:], millis(now)).
			Scan(&r.ClientID, &r.Params, &r.Source, &expires)
		r.ExpiresAt = timeOf(expires)
		if errors.Is(err, sql.ErrNoRows) {
			return provider.ErrNotFound
		}
		return err
	})
	if err != nil {
		return provider.Pushed{}, err
	}
	return r, nil
}

// Authorize implements provider.Store. A grant without an end ends with its code
// or its device code, until that is redeemed. A pushed request that expired while
// the person made up their mind is still open: it was looked at before.
func (s *Store) Authorize(ctx context.Context, a provider.Authorization, now time.Time) error {
	if !storable(a.Grant.ClientID, a.Grant.UserID) {
		return provider.ErrEnded
	}
	return s.write(ctx, "write an authorization", func(ctx context.Context, c conn) error {
		if err := c.mayAuthorize(ctx, a.Grant.ClientID, a.Grant.UserID); err != nil {
			return err
		}
		ends, err := c.answer(ctx, a, now)
		if err != nil {
			return err
		}
		g := a.Grant
		if g.ExpiresAt.IsZero() {
			g.ExpiresAt = ends
		}
		if err := c.addGrant(ctx, g); err != nil {
			return err
		}
		if a.Code.Hash != (provider.Hash{}) {
			code := a.Code
			code.GrantID, code.ClientID = g.ID, g.ClientID
			if err := c.addCode(ctx, code); err != nil {
				return err
			}
		}
		if a.Consent != nil {
			if err := c.addConsent(ctx, g.UserID, g.ClientID, *a.Consent, now); err != nil {
				return err
			}
		}
		return c.journalOf(ctx)
	})
}

// mayAuthorize is provider.ErrEnded unless client and person are there and not
// disabled. The client then stays until the transaction ends.
func (c conn) mayAuthorize(ctx context.Context, clientID, userID string) error {
	for _, query := range []struct{ sql, id string }{
		{"SELECT disabled_at FROM users WHERE id = ?", userID},
		{"SELECT disabled_at FROM oauth_clients WHERE id = ?" + c.holdKey, clientID},
	} {
		var disabled int64
		err := c.row(ctx, query.sql, query.id).Scan(&disabled)
		if errors.Is(err, sql.ErrNoRows) || err == nil && disabled != 0 {
			return provider.ErrEnded
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answer uses up the pushed request, or moves the device on, that a person agreed
// to, and returns when what they agreed to ends by itself. Error:
// provider.ErrUsed.
func (c conn) answer(ctx context.Context, a provider.Authorization, now time.Time) (ends time.Time, err error) {
	ends = a.Code.ExpiresAt
	if a.Pushed != (provider.Hash{}) {
		n, err := c.exec(ctx, "DELETE FROM oauth_pushed WHERE hash = ? AND client_id = ?", a.Pushed[:], a.Grant.ClientID)
		if err != nil {
			return ends, err
		}
		if n == 0 {
			return ends, provider.ErrUsed
		}
	}
	if a.Device == (provider.Hash{}) {
		return ends, nil
	}
	var expires int64
	err = c.row(ctx, `UPDATE oauth_devices SET state = ?, grant_id = ? WHERE hash = ? AND client_id = ? AND state = ? AND expires_at > ?
		RETURNING expires_at`, provider.DeviceApproved, a.Grant.ID, a.Device[:], a.Grant.ClientID, provider.DevicePending, millis(now)).Scan(&expires)
	if errors.Is(err, sql.ErrNoRows) {
		return ends, provider.ErrUsed
	}
	return timeOf(expires), err
}
