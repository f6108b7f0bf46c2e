package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"slices"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// RevokeToken implements provider.Store. A token that was revoked before stays so.
func (s *Store) RevokeToken(ctx context.Context, jti string, expires time.Time) error {
	const doing = "revoke an access token"
	if !storable(jti) {
		return fault(doing, errOAuthText)
	}
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "INSERT INTO oauth_revoked_tokens (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING", jti, millis(expires))
		if err != nil || n == 0 {
			return err
		}
		if err := c.changed(ctx, session.Change{Kind: provider.ChangedToken, Key: jti}); err != nil {
			return err
		}
		return c.journalOf(ctx)
	})
}

// TokenState implements provider.Store. It is one query. A grant of another client
// than the token's is none.
func (s *Store) TokenState(ctx context.Context, jti, grantID, clientID string, now time.Time) (provider.TokenState, error) {
	if !storable(jti, grantID, clientID) {
		return provider.TokenState{Revoked: true}, nil
	}
	var state provider.TokenState
	err := s.read(ctx, "look up an access token", func(ctx context.Context, c conn) (err error) {
		state, err = scanState(c.row(ctx, `SELECT (SELECT count(*) FROM oauth_revoked_tokens WHERE jti = ?),
				(SELECT disabled_at FROM oauth_clients WHERE id = ?), u.disabled_at, `+nullGrantColumns+`
			FROM (SELECT 1 AS one) n LEFT JOIN oauth_grants g ON g.id = ? AND g.client_id = ? LEFT JOIN users u ON u.id = g.user_id`,
			jti, clientID, grantID, clientID), grantID != "", now)
		return err
	})
	return state, err
}

// nullGrantColumns are grantColumns of a grant that may be missing, and then is
// empty.
const nullGrantColumns = `COALESCE(g.id, ''), COALESCE(g.client_id, ''), COALESCE(g.user_id, ''), COALESCE(g.subject, ''), COALESCE(g.scopes, '[]'),
	COALESCE(g.resources, '[]'), COALESCE(g.nonce, ''), COALESCE(g.sid, ''), COALESCE(g.auth_time, 0), COALESCE(g.created_at, 0),
	COALESCE(g.expires_at, 0), COALESCE(g.revoked_at, 0)`

// scanState reads what became of a token; of is whether it is of a grant.
func scanState(row scanner, of bool, now time.Time) (provider.TokenState, error) {
	var revoked int
	var client, user sql.NullInt64 // when they were disabled; NULL where they are not there
	var r grantRow
	if err := row.Scan(slices.Concat([]any{&revoked, &client, &user}, r.dest())...); err != nil {
		return provider.TokenState{}, err
	}
	g, err := r.grant()
	if err != nil {
		return provider.TokenState{}, err
	}
	stands := func(disabled sql.NullInt64) bool { return disabled.Valid && disabled.Int64 == 0 }
	ended := revoked > 0 || !stands(client)
	if of {
		ended = ended || !stands(user) || !g.RevokedAt.IsZero() || millis(g.ExpiresAt) <= millis(now)
	}
	return provider.TokenState{Revoked: ended, UserID: g.UserID, Grant: g}, nil
}

// UseAssertion implements provider.Store. IDs may be of any length and of any
// bytes, so their hash is kept.
func (s *Store) UseAssertion(ctx context.Context, clientID, jti string, expires time.Time) error {
	const doing = "note a client's assertion"
	if !storable(clientID) {
		return fault(doing, errOAuthText)
	}
	hash := sha256.Sum256([]byte(jti))
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "INSERT INTO oauth_assertions (client_id, jti, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			clientID, hash[:], millis(expires))
		if err == nil && n == 0 {
			return provider.ErrUsed
		}
		return err
	})
}
