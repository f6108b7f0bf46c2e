package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

const (
	// keepUsed is how long a code that was used is known, and a grant that has ended
	// with its refresh tokens, so that a second use is seen for what it is.
	keepUsed = 24 * time.Hour

	// keepOpen is how long a pushed request and a device are known after they
	// expired: a person may still be at the page, and a device may still ask.
	keepOpen = time.Hour
)

// A broom removes at most so many rows of one kind.
type broom struct {
	what  string
	sweep func(ctx context.Context, c conn, most int) (int, error)
}

// SweepOAuth removes at most limit rows of what has ended at now: codes, refresh
// tokens, grants, pushed requests, devices, assertions, revocations, signing keys,
// what removed clients left, and clients that registered themselves and have no
// grant, unused since before. A zero unused removes no client. Each transaction
// removes a small batch, of each kind in turn, so that many of one kind keep
// nothing else waiting; several processes that sweep at once pass over each
// other's rows.
func (s *Store) SweepOAuth(ctx context.Context, now, unused time.Time, limit int) (int, error) {
	total := 0
	brooms := oauthBrooms(now, unused)
	for len(brooms) > 0 && total < limit {
		var left []broom // those that were not done with one batch
		for _, b := range brooms {
			want := min(rowsAtOnce, limit-total)
			if want <= 0 {
				break
			}
			n := 0
			err := s.write(ctx, "sweep "+b.what, func(ctx context.Context, c conn) (err error) {
				n, err = b.sweep(ctx, c, want)
				return err
			})
			if err != nil {
				return total, err
			}
			if total += n; n == want {
				left = append(left, b)
			}
		}
		if brooms = left; len(brooms) > 0 {
			wait(ctx, breath)
		}
	}
	return total, nil
}

func oauthBrooms(now, unused time.Time) []broom {
	at := func(d time.Duration) int64 { return millis(now.Add(-d)) }
	brooms := []broom{
		{"authorization codes", rows("oauth_codes", "hash", "consumed_at = 0 AND expires_at <= ? ORDER BY expires_at", at(0))},
		{"used authorization codes", rows("oauth_codes", "hash", "consumed_at > 0 AND consumed_at <= ? ORDER BY consumed_at", at(keepUsed))},
		{"refresh tokens", rows("oauth_refresh_tokens", "hash", "expires_at <= ? ORDER BY expires_at", at(keepUsed))},
		{"pushed requests", rows("oauth_pushed", "hash", "expires_at <= ? ORDER BY expires_at", at(keepOpen))},
		{"devices", rows("oauth_devices", "hash", "expires_at <= ? ORDER BY expires_at", at(keepOpen))},
		{"assertions", rows("oauth_assertions", "client_id, jti", "expires_at <= ? ORDER BY expires_at", at(0))},
		{"revocations of access tokens", rows("oauth_revoked_tokens", "jti", "expires_at <= ? ORDER BY expires_at", at(0))},
		{"signing keys", rows("oauth_signing_keys", "id", "retire_at > 0 AND retire_at <= ? ORDER BY retire_at", at(0))},
		{"grants that expired", grants(now, "revoked_at = 0 AND expires_at <= ? ORDER BY expires_at", at(keepUsed))},
		{"grants that were ended", grants(now, "revoked_at > 0 AND revoked_at <= ? ORDER BY revoked_at", at(keepUsed))},
	}
	if !unused.IsZero() {
		brooms = append(brooms, broom{"unused clients", func(ctx context.Context, c conn, most int) (int, error) {
			return c.sweepUnused(ctx, now, unused, most)
		}})
	}
	return append(brooms, broom{"what removed clients left", func(ctx context.Context, c conn, most int) (int, error) {
		return c.sweepRemoved(ctx, now, most)
	}})
}

// rows removes rows of a table, by its key, that nothing hangs on.
func rows(table, key, where string, args ...any) func(context.Context, conn, int) (int, error) {
	return func(ctx context.Context, c conn, most int) (int, error) {
		return c.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT ?%[4]s)",
			table, key, where, c.skipLocked), slices.Concat(args, []any{most})...)
	}
}

// grants removes grants with their refresh tokens.
func grants(now time.Time, where string, args ...any) func(context.Context, conn, int) (int, error) {
	return func(ctx context.Context, c conn, most int) (int, error) {
		return c.removeGrants(ctx, now, most, where, args...)
	}
}

// removeGrants removes at most so many rows: refresh tokens first, and of grants
// those that have none left. It notes that the clients were in use until now.
func (c conn) removeGrants(ctx context.Context, now time.Time, most int, where string, args ...any) (int, error) {
	ids, err := list(ctx, c, scanID, "SELECT id FROM oauth_grants WHERE "+where+" LIMIT ?"+c.skipLocked, slices.Concat(args, []any{most})...)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	n, err := c.exec(ctx, "DELETE FROM oauth_refresh_tokens WHERE hash IN (SELECT hash FROM oauth_refresh_tokens WHERE grant_id IN "+in(ids)+" LIMIT ?)",
		slices.Concat(ids, []any{most})...)
	if err != nil || n == most {
		return n, err
	}
	ids = ids[:min(len(ids), most-n)]
	clients, err := list(ctx, c, scanID, "DELETE FROM oauth_grants WHERE id IN "+in(ids)+" RETURNING client_id", ids...)
	if err != nil {
		return n, err
	}
	n += len(clients)
	return n, c.used(ctx, now, clients)
}

// in is a list of parameters; there is at least one.
func in(all []any) string { return "(?" + strings.Repeat(", ?", len(all)-1) + ")" }

// used notes that clients that registered themselves were in use. Their IDs come
// in one order for all processes, so that no two wait for each other crosswise.
func (c conn) used(ctx context.Context, now time.Time, clients []any) error {
	ids := make([]string, len(clients))
	for i, id := range clients {
		ids[i], _ = id.(string)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if _, err := c.exec(ctx, "UPDATE oauth_clients SET used_at = ? WHERE id = ? AND dynamic AND used_at < ?", millis(now), id, millis(now)); err != nil {
			return err
		}
	}
	return nil
}

// sweepRemoved removes what clients that are gone have left: consents and grants.
// The rest ends by itself within a day.
func (c conn) sweepRemoved(ctx context.Context, now time.Time, most int) (int, error) {
	total := 0
	for total < most {
		var id string
		err := c.row(ctx, "SELECT client_id FROM oauth_removals LIMIT 1"+c.skipLocked).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, done, err := c.removeLeft(ctx, id, now, most-total)
		if total += n; err != nil || !done {
			return total, err
		}
	}
	return total, nil
}

// removeLeft removes at most so many rows of a client that is gone, and reports
// whether nothing is left. Somebody else may be at one of its grants: then it is
// not done.
func (c conn) removeLeft(ctx context.Context, id string, now time.Time, most int) (n int, done bool, err error) {
	n, err = c.exec(ctx, "DELETE FROM oauth_consents WHERE (user_id, client_id) IN (SELECT user_id, client_id FROM oauth_consents WHERE client_id = ? LIMIT ?)", id, most)
	if err != nil || n == most {
		return n, false, err
	}
	gone, err := c.removeGrants(ctx, now, most-n, "client_id = ?", id)
	if n += gone; err != nil || n == most {
		return n, false, err
	}
	last, err := c.exec(ctx, "DELETE FROM oauth_removals WHERE client_id = ? AND NOT EXISTS (SELECT 1 FROM oauth_grants g WHERE g.client_id = oauth_removals.client_id)", id)
	return n + last, last == 1, err
}

// sweepUnused removes clients that registered themselves, were not in use since a
// time, and have no grant. One that has a grant is in use.
func (c conn) sweepUnused(ctx context.Context, now, unused time.Time, most int) (int, error) {
	idle, err := list(ctx, c, scanID, "SELECT id FROM oauth_clients WHERE dynamic AND used_at <= ? ORDER BY used_at LIMIT ?"+c.skipLocked, millis(unused), most)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, id := range idle {
		// A statement of its own: it sees what was written before the client was locked.
		var busy bool
		if err := c.row(ctx, "SELECT EXISTS (SELECT 1 FROM oauth_grants WHERE client_id = ?)", id).Scan(&busy); err != nil {
			return 0, err
		}
		if busy {
			err = c.used(ctx, now, []any{id})
		} else {
			removed++
			err = c.removeUnused(ctx, fmt.Sprint(id))
		}
		if err != nil {
			return 0, err
		}
	}
	return removed, nil
}

// removeUnused removes a client and tells of it.
func (c conn) removeUnused(ctx context.Context, id string) error {
	if err := c.removeClient(ctx, id); err != nil {
		return err
	}
	return c.changed(ctx, session.Change{Kind: provider.ChangedClient, Key: id})
}
