package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"wavegate/oidc/provider"
)

// Consent implements provider.Store.
func (s *Store) Consent(ctx context.Context, userID, clientID string) (provider.Consent, error) {
	var found provider.Consent
	if !storable(userID, clientID) {
		return found, provider.ErrNotFound
	}
	err := s.read(ctx, "look up a consent", func(ctx context.Context, c conn) (err error) {
		found, err = c.consent(ctx, userID, clientID)
		return err
	})
	return found, err
}

func (c conn) consent(ctx context.Context, userID, clientID string) (provider.Consent, error) {
	found := provider.Consent{UserID: userID, ClientID: clientID}
	var scopes, resources string
	var given int64
	err := c.row(ctx, "SELECT scopes, resources, given_at FROM oauth_consents WHERE user_id = ? AND client_id = ?", userID, clientID).
		Scan(&scopes, &resources, &given)
	if errors.Is(err, sql.ErrNoRows) {
		return provider.Consent{}, provider.ErrNotFound
	}
	if err != nil {
		return provider.Consent{}, err
	}
	found.GivenAt = timeOf(given)
	if found.Scopes, err = decodeList[string](scopes); err != nil {
		return provider.Consent{}, err
	}
	found.Resources, err = decodeList[string](resources)
	return found, err
}

// addConsent adds what a person allows to what they allowed before.
func (c conn) addConsent(ctx context.Context, userID, clientID string, add provider.Consent, now time.Time) error {
	if err := c.lockPerson(ctx, userID, clientID); err != nil {
		return err
	}
	was, err := c.consent(ctx, userID, clientID)
	if err != nil && !errors.Is(err, provider.ErrNotFound) {
		return err
	}
	scopes, err := encodeTexts(union(was.Scopes, add.Scopes))
	if err != nil {
		return err
	}
	resources, err := encodeTexts(union(was.Resources, add.Resources))
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO oauth_consents (user_id, client_id, scopes, resources, given_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = excluded.scopes, resources = excluded.resources, given_at = excluded.given_at`,
		userID, clientID, scopes, resources, cmp.Or(millis(add.GivenAt), millis(now)))
	return err
}

// union is a, and what of b is not in it.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, one := range b {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// A Connection is an app that may act for a person: it has a grant that lives, or
// was allowed for the next time.
type Connection struct {
	ClientID   string
	Name, URI  string
	Scopes     []string // of all of it together
	Since      time.Time
	Used       time.Time // when tokens were given last, zero is never
	Remembered bool
	Grants     int // that live and gave tokens
}

// Connections lists a person's, sorted by name, at most limit.
func (s *Store) Connections(ctx context.Context, userID string, now time.Time, limit int) ([]Connection, error) {
	if limit <= 0 || !storable(userID) {
		return nil, nil
	}
	var parts []Connection
	err := s.read(ctx, "list connected apps", func(ctx context.Context, c conn) (err error) {
		parts, err = list(ctx, c, scanConnection, `SELECT c.id, c.name, c.uri, n.scopes, n.since, n.used, n.grants FROM (
				SELECT client_id, scopes, given_at AS since, 0 AS used, 0 AS grants FROM oauth_consents WHERE user_id = ?
				UNION ALL
				SELECT client_id, scopes, created_at, used_at, 1 FROM `+c.grantsOfPerson()+` WHERE user_id = ? AND revoked_at = 0 AND expires_at > ? AND used_at > 0
			) n JOIN oauth_clients c ON c.id = n.client_id`, userID, userID, millis(now))
		return err
	})
	if err != nil {
		return nil, err
	}
	all := connected(parts)
	return all[:min(limit, len(all))], nil
}

// scanConnection reads one consent or one grant.
func scanConnection(row scanner) (Connection, error) {
	var c Connection
	var scopes string
	var since, used int64
	err := row.Scan(&c.ClientID, &c.Name, &c.URI, &scopes, &since, &used, &c.Grants)
	if err != nil {
		return Connection{}, err
	}
	c.Since, c.Used, c.Remembered = timeOf(since), timeOf(used), c.Grants == 0
	c.Scopes, err = decodeList[string](scopes)
	return c, err
}

// connected makes one of all that belongs to one client, and sorts it by name.
func connected(parts []Connection) []Connection {
	of := map[string]Connection{}
	for _, part := range parts {
		c, known := of[part.ClientID]
		if known {
			part.Scopes = union(c.Scopes, part.Scopes)
			part.Grants += c.Grants
			part.Remembered = part.Remembered || c.Remembered
			if c.Since.Before(part.Since) {
				part.Since = c.Since
			}
			if c.Used.After(part.Used) {
				part.Used = c.Used
			}
		}
		of[part.ClientID] = part
	}
	return slices.SortedFunc(maps.Values(of), func(a, b Connection) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ClientID, b.ClientID))
	})
}

// Disconnect forgets a person's consent to a client and ends its grants. Errors:
// provider.ErrNotFound where there was neither.
func (s *Store) Disconnect(ctx context.Context, userID, clientID string, now time.Time, j Journal) error {
	if !storable(userID, clientID) {
		return provider.ErrNotFound
	}
	return s.write(ctx, "disconnect an app", func(ctx context.Context, c conn) error {
		if err := c.lockPerson(ctx, userID, clientID); err != nil {
			return err
		}
		n, err := c.exec(ctx, "DELETE FROM oauth_consents WHERE user_id = ? AND client_id = ?", userID, clientID)
		if err != nil {
			return err
		}
		live, err := list(ctx, c, scanID, "SELECT id FROM "+c.grantsOfPerson()+" WHERE user_id = ? AND client_id = ? AND revoked_at = 0 AND expires_at > ?",
			userID, clientID, millis(now))
		if err != nil {
			return err
		}
		ended, err := c.endGrants(ctx, now, live...)
		if err != nil {
			return err
		}
		if n+ended == 0 {
			return provider.ErrNotFound
		}
		return c.journal(ctx, j)
	})
}
