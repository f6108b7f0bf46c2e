package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"wavegate/oidc/provider"
)

// deviceColumns are in the order in which scanDevice reads them.
const deviceColumns = "hash, user_code, client_id, scopes, resources, source, state, grant_id, created_at, expires_at, polled_at, poll_interval"

func scanDevice(row scanner) (provider.Device, error) {
	var d provider.Device
	var hash []byte
	var scopes, resources string
	var created, expires, polled, interval int64
	err := row.Scan(&hash, &d.UserCode, &d.ClientID, &scopes, &resources, &d.Source, &d.State, &d.GrantID, &created, &expires, &polled, &interval)
	if err != nil {
		return provider.Device{}, err
	}
	if d.Hash, err = parseToken(hash); err != nil {
		return provider.Device{}, err
	}
	if d.Scopes, err = decodeList[string](scopes); err != nil {
		return provider.Device{}, err
	}
	d.Resources, err = decodeList[string](resources)
	d.CreatedAt, d.ExpiresAt, d.PolledAt = timeOf(created), timeOf(expires), timeOf(polled)
	d.Interval = time.Duration(interval) * time.Millisecond
	return d, err
}

// deviceValues are the values of deviceColumns.
func deviceValues(d provider.Device) ([]any, error) {
	if !storable(d.UserCode, d.ClientID, d.Source, d.State, d.GrantID) {
		return nil, errOAuthText
	}
	scopes, err := encodeTexts(d.Scopes)
	if err != nil {
		return nil, err
	}
	resources, err := encodeTexts(d.Resources)
	if err != nil {
		return nil, err
	}
	return []any{
		d.Hash[:], d.UserCode, d.ClientID, scopes, resources, d.Source, cmp.Or(d.State, provider.DevicePending), d.GrantID,
		millis(d.CreatedAt), millis(d.ExpiresAt), millis(d.PolledAt), d.Interval.Milliseconds(),
	}, nil
}

// AddDevice implements provider.Store. A user code that has expired may be given
// again.
func (s *Store) AddDevice(ctx context.Context, d provider.Device, now time.Time, perSource, perClient int) error {
	const doing = "keep a device authorization"
	values, err := deviceValues(d)
	if err != nil {
		return fault(doing, err)
	}
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		if err := c.fewerOpen(ctx, "oauth_devices", d.ClientID, d.Source, now, perSource, perClient); err != nil {
			return err
		}
		if _, err := c.exec(ctx, "DELETE FROM oauth_devices WHERE user_code = ? AND expires_at <= ?", d.UserCode, millis(now)); err != nil {
			return err
		}
		n, err := c.exec(ctx, "INSERT INTO oauth_devices ("+deviceColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_code) DO NOTHING", values...)
		if err == nil && n == 0 {
			return provider.ErrConflict
		}
		return err
	})
}

// DeviceByUserCode implements provider.Store.
func (s *Store) DeviceByUserCode(ctx context.Context, code string, now time.Time) (provider.Device, error) {
	var d provider.Device
	if !storable(code) {
		return d, provider.ErrNotFound
	}
	err := s.read(ctx, "look up a user code", func(ctx context.Context, c conn) (err error) {
		d, err = scanDevice(c.row(ctx, "SELECT "+deviceColumns+" FROM oauth_devices WHERE user_code = ? AND state = ? AND expires_at > ?",
			code, provider.DevicePending, millis(now)))
		if errors.Is(err, sql.ErrNoRows) {
			return provider.ErrNotFound
		}
		return err
	})
	return d, err
}

// DenyDevice implements provider.Store.
func (s *Store) DenyDevice(ctx context.Context, h provider.Hash, now time.Time) error {
	return s.write(ctx, "refuse a device", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "UPDATE oauth_devices SET state = ? WHERE hash = ? AND state = ? AND expires_at > ?",
			provider.DeviceDenied, h[:], provider.DevicePending, millis(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return provider.ErrUsed
		}
		return c.journalOf(ctx)
	})
}

// PollDevice implements provider.Store. The grant is there once the device was
// approved. A device is known for a while after it expired.
func (s *Store) PollDevice(ctx context.Context, h provider.Hash, clientID string, now time.Time, slower time.Duration) (provider.Device, provider.Grant, error) {
	var d provider.Device
	var g provider.Grant
	if !storable(clientID) {
		return d, g, provider.ErrNotFound
	}
	err := s.write(ctx, "note a device's poll", func(ctx context.Context, c conn) (err error) {
		d, err = scanDevice(c.row(ctx, "SELECT "+deviceColumns+" FROM oauth_devices WHERE hash = ? AND client_id = ?"+c.forUpdate, h[:], clientID))
		if errors.Is(err, sql.ErrNoRows) {
			return provider.ErrNotFound
		}
		if err != nil {
			return err
		}
		interval := d.Interval
		if !d.PolledAt.IsZero() && now.Before(d.PolledAt.Add(d.Interval)) {
			interval += slower
		}
		if _, err := c.exec(ctx, "UPDATE oauth_devices SET polled_at = ?, poll_interval = ? WHERE hash = ?", millis(now), interval.Milliseconds(), h[:]); err != nil {
			return err
		}
		if d.GrantID == "" {
			return nil
		}
		g, err = scanGrant(c.row(ctx, "SELECT "+grantColumns+" FROM oauth_grants g WHERE g.id = ?", d.GrantID))
		if errors.Is(err, sql.ErrNoRows) { // it went with its client
			return provider.ErrNotFound
		}
		return err
	})
	if err != nil {
		return provider.Device{}, provider.Grant{}, err
	}
	return d, g, nil
}

// RedeemDevice implements provider.Store. A device code is used up by one
// statement, also where its grant has ended.
func (s *Store) RedeemDevice(ctx context.Context, h provider.Hash, now time.Time, most int, first provider.Refresh, grantEnds time.Time) (provider.Grant, error) {
	var g provider.Grant
	var refusal error
	err := s.write(ctx, "redeem a device code", func(ctx context.Context, c conn) error {
		refusal = nil // also where the transaction is repeated
		id, err := c.useDevice(ctx, h)
		if err != nil {
			return err
		}
		g, err = c.grantOf(ctx, id, now)
		if errors.Is(err, provider.ErrEnded) {
			refusal = err
			return nil
		}
		if err != nil {
			return err
		}
		g, err = c.giveFirst(ctx, g, now, most, first, grantEnds)
		return err
	})
	return given(g, refusal, err)
}

// useDevice uses an approved device code up and returns its grant. Errors:
// provider.ErrNotFound, ErrUsed.
func (c conn) useDevice(ctx context.Context, h provider.Hash) (grantID string, err error) {
	err = c.row(ctx, "UPDATE oauth_devices SET state = ? WHERE hash = ? AND state = ? RETURNING grant_id",
		provider.DeviceUsed, h[:], provider.DeviceApproved).Scan(&grantID)
	if !errors.Is(err, sql.ErrNoRows) {
		return grantID, err
	}
	var state string
	err = c.row(ctx, "SELECT state FROM oauth_devices WHERE hash = ?", h[:]).Scan(&state)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && state != provider.DeviceUsed:
		return "", provider.ErrNotFound
	case err != nil:
		return "", err
	}
	return "", provider.ErrUsed
}
