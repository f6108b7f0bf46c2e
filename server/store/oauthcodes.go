package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"wavegate/oidc/provider"
)

// codeColumns are in the order in which codeRow.dest reads them.
const codeColumns = "o.hash, o.grant_id, o.client_id, o.redirect_uri, o.redirect_given, o.challenge, o.expires_at, o.consumed_at"

// A codeRow is where a row of oauth_codes is read into.
type codeRow struct {
	provider.Code
	hash              []byte
	expires, consumed int64
}

func (r *codeRow) dest() []any {
	return []any{&r.hash, &r.GrantID, &r.ClientID, &r.RedirectURI, &r.RedirectGiven, &r.Challenge, &r.expires, &r.consumed}
}

func (r *codeRow) code() (code provider.Code, err error) {
	code = r.Code
	code.Hash, err = parseToken(r.hash)
	code.ExpiresAt, code.ConsumedAt = timeOf(r.expires), timeOf(r.consumed)
	return code, err
}

func (c conn) addCode(ctx context.Context, code provider.Code) error {
	if !storable(code.RedirectURI, code.Challenge) {
		return errOAuthText
	}
	_, err := c.exec(ctx, "INSERT INTO oauth_codes (hash, grant_id, client_id, redirect_uri, redirect_given, challenge, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		code.Hash[:], code.GrantID, code.ClientID, code.RedirectURI, code.RedirectGiven, code.Challenge, millis(code.ExpiresAt))
	return err
}

// Code implements provider.Store.
func (s *Store) Code(ctx context.Context, h provider.Hash) (code provider.Code, g provider.Grant, err error) {
	err = s.read(ctx, "look up an authorization code", func(ctx context.Context, c conn) (err error) {
		code, g, err = c.code(ctx, h)
		return err
	})
	if err != nil {
		return provider.Code{}, provider.Grant{}, err
	}
	return code, g, nil
}

func (c conn) code(ctx context.Context, h provider.Hash) (code provider.Code, g provider.Grant, err error) {
	var row codeRow
	var of grantRow
	err = c.row(ctx, "SELECT "+codeColumns+", "+grantColumns+" FROM oauth_codes o JOIN oauth_grants g ON g.id = o.grant_id WHERE o.hash = ?", h[:]).
		Scan(slices.Concat(row.dest(), of.dest())...)
	if errors.Is(err, sql.ErrNoRows) {
		return code, g, provider.ErrNotFound
	}
	if err != nil {
		return code, g, err
	}
	if code, err = row.code(); err != nil {
		return code, g, err
	}
	g, err = of.grant()
	return code, g, err
}

// RedeemCode implements provider.Store. The code is used up by one statement, of
// which one of many at once finds it unused; the transaction is committed with
// every refusal, so that a code is worth one try. The refusal of a transaction
// that is repeated is the last one's.
func (s *Store) RedeemCode(ctx context.Context, h provider.Hash, now time.Time, most int, decide func(provider.Code, provider.Grant) (first provider.Refresh, grantEnds time.Time, err error)) (provider.Grant, error) {
	var g provider.Grant
	var refusal error
	err := s.write(ctx, "redeem an authorization code", func(ctx context.Context, c conn) (err error) {
		code, err := c.useCode(ctx, h, now)
		if errors.Is(err, sql.ErrNoRows) {
			refusal = provider.ErrReplayed
			g, err = c.replayCode(ctx, h, now)
			return err
		}
		if err != nil {
			return err
		}
		g, refusal, err = c.redeemCode(ctx, code, now, most, decide)
		return err
	})
	return given(g, refusal, err)
}

// given is what a redemption returns: what the store failed at comes before what
// was refused, which then was not written down. With ErrReplayed comes the grant
// that was ended.
func given(g provider.Grant, refusal, err error) (provider.Grant, error) {
	if err = cmp.Or(err, refusal); err != nil && !errors.Is(err, provider.ErrReplayed) {
		return provider.Grant{}, err
	}
	return g, err
}

// useCode uses a code up. Error: sql.ErrNoRows where there is none, or it was used
// before.
func (c conn) useCode(ctx context.Context, h provider.Hash, now time.Time) (provider.Code, error) {
	var row codeRow
	err := c.row(ctx, `UPDATE oauth_codes SET consumed_at = ? WHERE hash = ? AND consumed_at = 0
		RETURNING hash, grant_id, client_id, redirect_uri, redirect_given, challenge, expires_at, consumed_at`, millis(now), h[:]).Scan(row.dest()...)
	if err != nil {
		return provider.Code{}, err
	}
	return row.code()
}

// replayCode ends what a code gave when it was used before, and returns it as it
// was. Error: provider.ErrNotFound.
func (c conn) replayCode(ctx context.Context, h provider.Hash, now time.Time) (provider.Grant, error) {
	_, g, err := c.code(ctx, h)
	if err != nil {
		return provider.Grant{}, err
	}
	_, err = c.endGrants(ctx, now, g.ID)
	return g, err
}

// redeemCode gives what a code is good for. A refusal is no error: what was done
// stays. Nothing will ever come of the grant of a code that is burnt, so it ends.
func (c conn) redeemCode(ctx context.Context, code provider.Code, now time.Time, most int, decide func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error)) (g provider.Grant, refusal, err error) {
	g, err = c.grantOf(ctx, code.GrantID, now)
	if errors.Is(err, provider.ErrEnded) {
		return provider.Grant{}, provider.ErrEnded, nil
	}
	if err != nil {
		return provider.Grant{}, nil, err
	}
	first, ends, refusal := decide(code, g)
	if refusal != nil {
		_, err = c.endGrants(ctx, now, g.ID)
		return provider.Grant{}, refusal, err
	}
	g, err = c.giveFirst(ctx, g, now, most, first, ends)
	return g, nil, err
}

// grantOf reads a grant that lives, before something is given for the first time,
// and holds it and its person. Error: provider.ErrEnded.
func (c conn) grantOf(ctx context.Context, id string, now time.Time) (provider.Grant, error) {
	var userID, clientID string
	err := c.row(ctx, "SELECT user_id, client_id FROM oauth_grants WHERE id = ?", id).Scan(&userID, &clientID)
	if errors.Is(err, sql.ErrNoRows) {
		return provider.Grant{}, provider.ErrEnded
	}
	if err != nil {
		return provider.Grant{}, err
	}
	if err := c.lockPerson(ctx, userID, clientID); err != nil {
		return provider.Grant{}, err
	}
	return c.lockGrant(ctx, id, now)
}
