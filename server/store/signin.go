package store

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"wavegate/server/session"
)

// errNames is about an ID token whose names are not text.
var errNames = errors.New("the names of the person or the session hold bytes that are no text")

// SignIn implements session.Store. The user's row is locked from the first
// statement that touches it, here and in SetDisabled, so that of a sign-in and a
// disabling at the same time either the one is refused or the other ends it.
func (s *Store) SignIn(ctx context.Context, r session.Record, attempt session.Hash, attemptEnds time.Time) (session.User, error) {
	var user session.User
	if !storable(r.ID, r.ClientID, r.Provider, r.Issuer, r.Subject, r.SID, r.Stamp) {
		return user, fault("sign in", errNames)
	}
	err := s.write(ctx, "sign in", func(ctx context.Context, c conn) error {
		if err := useUp(ctx, c, attempt, attemptEnds); err != nil {
			return err
		}
		var err error
		if user, err = recordUser(ctx, c, r); err != nil {
			return err
		}
		if !user.DisabledAt.IsZero() {
			return session.ErrDisabled
		}
		r.UserID = user.ID
		return addSession(ctx, c, r)
	})
	if err != nil {
		return session.User{}, err
	}
	return user, nil
}

// useUp notes that a login attempt came back. Of two at once the second waits
// for the first to commit.
func useUp(ctx context.Context, c conn, attempt session.Hash, ends time.Time) error {
	if attempt == (session.Hash{}) {
		return nil
	}
	n, err := c.exec(ctx, "INSERT INTO login_attempts (hash, ends) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
		attempt[:], millis(ends))
	if err == nil && n == 0 {
		return session.ErrAttemptUsed
	}
	return err
}

// recordUser adds the person, or brings what is known of them up to date.
func recordUser(ctx context.Context, c conn, r session.Record) (session.User, error) {
	claims, err := claimValues(r.Claims)
	if err != nil {
		return session.User{}, err
	}
	id := "usr_" + strings.ToLower(rand.Text())
	at := millis(r.CreatedAt)
	args := append([]any{id, r.Provider, r.Issuer, r.Subject}, claims...)
	args = append(args, searchOf(r.Subject, r.Claims), at, at)
	return scanUser(c.row(ctx, `
		INSERT INTO users AS u (id, provider, issuer, subject, username, email, group_list, search, created_at, seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (issuer, subject) DO UPDATE SET
			provider = excluded.provider, username = excluded.username, email = excluded.email, group_list = excluded.group_list,
			search = excluded.search,
			seen_at = CASE WHEN u.seen_at > excluded.seen_at THEN u.seen_at ELSE excluded.seen_at END
		RETURNING `+userColumns, args...))
}

func addSession(ctx context.Context, c conn, r session.Record) error {
	claims, err := claimValues(r.Claims)
	if err != nil {
		return err
	}
	args := append([]any{r.ID, r.Hash[:], r.ClientID, r.UserID, r.Provider, r.Issuer, r.Subject, r.SID, r.Stamp}, claims...)
	args = append(args, orNull(r.Sealed), r.Version, millis(r.RenewAt), millis(r.CreatedAt), millis(r.SeenAt),
		millis(r.ExpiresAt), mended(r.IP), mended(r.UserAgent), millis(r.ProvedAt))
	_, err = c.exec(ctx, `
		INSERT INTO sessions (id, hash, client_id, user_id, provider, issuer, subject, sid, stamp,
			username, email, group_list, sealed, version, renew_at, created_at, seen_at, expires_at, ip, user_agent, proved_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
	return err
}
