package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// liveGrant is the condition of a grant g that lives at ?: nothing comes of one
// whose client is gone.
const liveGrant = "g.revoked_at = 0 AND g.expires_at > ? AND EXISTS (SELECT 1 FROM oauth_clients c WHERE c.id = g.client_id)"

// grantsOfPerson is the table for what is asked of one person's grants, with the
// index that serves where the database must be told.
func (c conn) grantsOfPerson() string {
	if c.indexedBy == "" {
		return "oauth_grants"
	}
	return "oauth_grants" + c.indexedBy + "oauth_grants_of_person"
}

// addGrant adds a grant. Its code, or its device, is what it was made for.
func (c conn) addGrant(ctx context.Context, g provider.Grant) error {
	values, err := grantValues(g)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO oauth_grants (id, client_id, user_id, subject, scopes, resources, nonce, sid, auth_time, created_at,
		expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...)
	return err
}

// lockGrant reads a grant that lives, and holds it until the transaction ends.
// Error: provider.ErrEnded.
func (c conn) lockGrant(ctx context.Context, id string, now time.Time) (provider.Grant, error) {
	g, err := scanGrant(c.row(ctx, "SELECT "+grantColumns+" FROM oauth_grants g WHERE g.id = ? AND "+liveGrant+c.forUpdate, id, millis(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return provider.Grant{}, provider.ErrEnded
	}
	return g, err
}

// useGrant notes that tokens are given, and moves the end of a grant that lives.
// Error: provider.ErrEnded.
func (c conn) useGrant(ctx context.Context, id string, now, ends time.Time) (provider.Grant, error) {
	g, err := scanGrant(c.row(ctx, "UPDATE oauth_grants AS g SET expires_at = ?, used_at = ? WHERE g.id = ? AND "+liveGrant+
		" RETURNING "+strings.ReplaceAll(grantColumns, "g.", ""), millis(ends), millis(now), id, millis(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return provider.Grant{}, provider.ErrEnded
	}
	return g, err
}

// endGrants ends grants, tells of those that had not been ended before, and
// returns how many those were. Their texts are what the store itself gave.
func (c conn) endGrants(ctx context.Context, now time.Time, ids ...any) (int, error) {
	total := 0
	for some := range slices.Chunk(ids, rowsAtOnce) {
		ended, err := list(ctx, c, scanText, "UPDATE oauth_grants SET revoked_at = ? WHERE revoked_at = 0 AND id IN (?"+
			strings.Repeat(", ?", len(some)-1)+") RETURNING id", slices.Concat([]any{millis(now)}, some)...)
		if err != nil {
			return 0, err
		}
		changes := make([]session.Change, len(ended))
		for i, id := range ended {
			changes[i] = session.Change{Kind: provider.ChangedGrant, Key: id}
		}
		if err := c.changed(ctx, changes...); err != nil {
			return 0, err
		}
		total += len(ended)
	}
	return total, nil
}

func scanText(row scanner) (text string, err error) { return text, row.Scan(&text) }

// giveFirst writes what a grant gives for the first time: its end and, unless its
// Hash is zero, a refresh token. Of the person's grants to the client the oldest
// beyond most are ended, but not this one. Whoever calls it for the same person
// and client comes one after the other, by lockPerson.
func (c conn) giveFirst(ctx context.Context, g provider.Grant, now time.Time, most int, first provider.Refresh, ends time.Time) (provider.Grant, error) {
	g, err := c.useGrant(ctx, g.ID, now, ends)
	if err != nil {
		return provider.Grant{}, err
	}
	if first.Hash != (provider.Hash{}) {
		first.GrantID = g.ID
		if err := c.addRefresh(ctx, first); err != nil {
			return provider.Grant{}, err
		}
	}
	old, err := list(ctx, c, scanID, "SELECT id FROM "+c.grantsOfPerson()+` WHERE user_id = ? AND client_id = ? AND revoked_at = 0 AND expires_at > ? AND id <> ?
		ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?`, g.UserID, g.ClientID, millis(now), g.ID, tidied, max(most, 1)-1)
	if err != nil {
		return provider.Grant{}, err
	}
	_, err = c.endGrants(ctx, now, old...)
	return g, err
}

// lockPerson lets in one transaction at a time that ends grants of a person to a
// client. It comes before any of them is locked, so that no two transactions wait
// for each other.
func (c conn) lockPerson(ctx context.Context, userID, clientID string) error {
	return c.lock(ctx, "OAuth grants of "+userID+" to "+clientID)
}

// RevokeGrant implements provider.Store.
func (s *Store) RevokeGrant(ctx context.Context, id string, now time.Time) error {
	if !storable(id) {
		return nil
	}
	return s.write(ctx, "end an OAuth grant", func(ctx context.Context, c conn) error {
		n, err := c.endGrants(ctx, now, id)
		if err != nil || n == 0 {
			return err
		}
		return c.journalOf(ctx)
	})
}
