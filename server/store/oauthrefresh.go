package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"wavegate/oidc/provider"
)

// A refreshRow is where a row of oauth_refresh_tokens is read into.
type refreshRow struct {
	grantID                    string
	hash, next                 []byte
	created, expires, consumed int64
}

const refreshColumns = "r.hash, r.grant_id, r.created_at, r.expires_at, r.consumed_at, r.next"

func (r *refreshRow) dest() []any {
	return []any{&r.hash, &r.grantID, &r.created, &r.expires, &r.consumed, &r.next}
}

func (r *refreshRow) refresh() (provider.Refresh, error) {
	token := provider.Refresh{
		GrantID: r.grantID, CreatedAt: timeOf(r.created), ExpiresAt: timeOf(r.expires), ConsumedAt: timeOf(r.consumed),
	}
	var err error
	if token.Hash, err = parseToken(r.hash); err != nil {
		return provider.Refresh{}, err
	}
	token.Next, err = parseToken(r.next)
	return token, err
}

// addRefresh adds a refresh token that was not used.
func (c conn) addRefresh(ctx context.Context, r provider.Refresh) error {
	_, err := c.exec(ctx, "INSERT INTO oauth_refresh_tokens (hash, grant_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
		r.Hash[:], r.GrantID, millis(r.CreatedAt), millis(r.ExpiresAt))
	return err
}

// Refresh implements provider.Store.
func (s *Store) Refresh(ctx context.Context, h provider.Hash) (r provider.Refresh, g provider.Grant, err error) {
	err = s.read(ctx, "look up a refresh token", func(ctx context.Context, c conn) (err error) {
		r, g, err = c.refresh(ctx, h)
		return err
	})
	if err != nil {
		return provider.Refresh{}, provider.Grant{}, err
	}
	return r, g, nil
}

func (c conn) refresh(ctx context.Context, h provider.Hash) (r provider.Refresh, g provider.Grant, err error) {
	var row refreshRow
	var of grantRow
	err = c.row(ctx, "SELECT "+refreshColumns+", "+grantColumns+" FROM oauth_refresh_tokens r JOIN oauth_grants g ON g.id = r.grant_id WHERE r.hash = ?", h[:]).
		Scan(slices.Concat(row.dest(), of.dest())...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, g, provider.ErrNotFound
	}
	if err != nil {
		return r, g, err
	}
	if r, err = row.refresh(); err != nil {
		return r, g, err
	}
	g, err = of.grant()
	return r, g, err
}

// Rotate implements provider.Store. Of many at once one finds the token unused, by
// one statement; the others see what it was replaced by. With ErrReplayed comes the
// grant that was ended.
func (s *Store) Rotate(ctx context.Context, h provider.Hash, now time.Time, grace time.Duration, candidates []provider.Hash, next provider.Refresh, grantEnds time.Time) (provider.Refresh, provider.Grant, error) {
	var r provider.Refresh
	var g provider.Grant
	replayed := false
	err := s.write(ctx, "rotate a refresh token", func(ctx context.Context, c conn) (err error) {
		replayed = false // also where the transaction is repeated
		var grantID string
		err = c.row(ctx, "UPDATE oauth_refresh_tokens SET consumed_at = ?, next = ? WHERE hash = ? AND consumed_at = 0 AND expires_at > ? RETURNING grant_id",
			millis(now), next.Hash[:], h[:], millis(now)).Scan(&grantID)
		if errors.Is(err, sql.ErrNoRows) {
			r, g, err = c.again(ctx, h, now, grace, candidates)
			if replayed = errors.Is(err, provider.ErrReplayed); replayed {
				_, err = c.endGrants(ctx, now, g.ID) // which stays, so there is no error
			}
			return err
		}
		if err != nil {
			return err
		}
		if g, err = c.useGrant(ctx, grantID, now, grantEnds); err != nil {
			return err
		}
		r = next
		r.GrantID, r.ConsumedAt, r.Next = grantID, time.Time{}, provider.Hash{}
		return c.addRefresh(ctx, r)
	})
	if err == nil && replayed {
		return provider.Refresh{}, g, provider.ErrReplayed
	}
	if err != nil {
		return provider.Refresh{}, provider.Grant{}, err
	}
	return r, g, nil
}

// again answers a refresh token that cannot be used any more: once more with what
// replaced it, or with the error provider.ErrReplayed, and then its grant. Other
// errors: ErrNotFound, ErrEnded.
func (c conn) again(ctx context.Context, h provider.Hash, now time.Time, grace time.Duration, candidates []provider.Hash) (provider.Refresh, provider.Grant, error) {
	used, g, err := c.refresh(ctx, h)
	if err != nil {
		return provider.Refresh{}, g, err
	}
	if used.ConsumedAt.IsZero() { // it has expired
		return provider.Refresh{}, g, provider.ErrEnded
	}
	if now.Sub(used.ConsumedAt) >= grace || !slices.Contains(candidates, used.Next) {
		return provider.Refresh{}, g, provider.ErrReplayed
	}
	next, _, err := c.refresh(ctx, used.Next)
	if errors.Is(err, provider.ErrNotFound) || err == nil && !next.ConsumedAt.IsZero() {
		return provider.Refresh{}, g, provider.ErrReplayed
	}
	if err != nil {
		return provider.Refresh{}, g, err
	}
	g, err = c.lockGrant(ctx, g.ID, now)
	return next, g, err
}
