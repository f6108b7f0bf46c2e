package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wavegate/server/webhook"
)

var _ webhook.Store = (*Store)(nil)

// endpointColumns are in the order in which scanEndpoint reads them.
const endpointColumns = "w.id, w.owner, w.everybodys, w.url, w.description, w.event_types, w.secret, w.old_secret, w.old_ends, " +
	"w.disabled_at, w.created_at, w.updated_at, w.version"

// An endpointRow is where a row of webhooks is read into.
type endpointRow struct {
	webhook.Endpoint
	types                               string
	oldEnds, disabled, created, updated int64
}

func (r *endpointRow) dest() []any {
	return []any{
		&r.ID, &r.Owner, &r.All, &r.URL, &r.Description, &r.types, &r.Secret, &r.OldSecret, &r.oldEnds,
		&r.disabled, &r.created, &r.updated, &r.Version,
	}
}

func (r *endpointRow) endpoint() (webhook.Endpoint, error) {
	if err := json.Unmarshal([]byte(r.types), &r.Events); err != nil {
		return webhook.Endpoint{}, fmt.Errorf("decode stored types of events: %w", err)
	}
	if len(r.Events) == 0 {
		r.Events = nil
	}
	r.OldEnds, r.DisabledAt, r.CreatedAt, r.UpdatedAt = timeOf(r.oldEnds), timeOf(r.disabled), timeOf(r.created), timeOf(r.updated)
	return r.Endpoint, nil
}

func scanEndpoint(row scanner) (webhook.Endpoint, error) {
	var r endpointRow
	if err := row.Scan(r.dest()...); err != nil {
		return webhook.Endpoint{}, err
	}
	return r.endpoint()
}

// endpointValues are the columns that ChangeEndpoint writes: everybodys, url,
// description, event_types, secret, old_secret, old_ends, disabled_at, updated_at.
func endpointValues(e webhook.Endpoint) ([]any, error) {
	types, err := json.Marshal(append([]string{}, e.Events...))
	if err != nil {
		return nil, fmt.Errorf("encode types of events: %w", err)
	}
	return []any{
		e.All, mended(e.URL), mended(e.Description), mended(string(types)), orNull(e.Secret), orNull(e.OldSecret),
		millis(e.OldEnds), millis(e.DisabledAt), millis(e.UpdatedAt),
	}, nil
}

// errNoText is about an ID or an owner that no database keeps as it is.
var errNoText = errors.New("an ID or an owner holds bytes that are no text")

// AddEndpoint adds a webhook, unless its owner has most already: then
// webhook.ErrTooMany.
func (s *Store) AddEndpoint(ctx context.Context, e webhook.Endpoint, most int, j Journal) error {
	const doing = "add a webhook"
	if !storable(e.ID, e.Owner) {
		return fault(doing, errNoText)
	}
	values, err := endpointValues(e)
	if err != nil {
		return fault(doing, err)
	}
	return s.write(ctx, doing, func(ctx context.Context, c conn) error {
		if err := c.lock(ctx, "webhooks of "+e.Owner); err != nil {
			return err
		}
		n := 0
		if err := c.row(ctx, "SELECT count(*) FROM webhooks WHERE owner = ?", e.Owner).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return webhook.ErrTooMany
		}
		args := slices.Concat([]any{e.ID, e.Owner}, values, []any{millis(e.CreatedAt), e.Version})
		_, err := c.exec(ctx, `INSERT INTO webhooks (id, owner, everybodys, url, description, event_types, secret, old_secret, old_ends,
			disabled_at, updated_at, created_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
		if err != nil {
			return err
		}
		return c.journal(ctx, j)
	})
}

// lock lets in one transaction at a time of those that name the same thing.
func (c conn) lock(ctx context.Context, name string) error {
	if c.lockName == "" {
		return nil
	}
	_, err := c.exec(ctx, c.lockName, name)
	return err
}

// Endpoint returns a webhook by ID. Error: webhook.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, id string) (webhook.Endpoint, error) {
	var e webhook.Endpoint
	if !storable(id) {
		return e, webhook.ErrNotFound
	}
	err := s.read(ctx, "look up a webhook", func(ctx context.Context, c conn) (err error) {
		e, err = endpointByID(ctx, c, id)
		return err
	})
	return e, err
}

func endpointByID(ctx context.Context, c conn, id string) (webhook.Endpoint, error) {
	e, err := scanEndpoint(c.row(ctx, "SELECT "+endpointColumns+" FROM webhooks w WHERE w.id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Endpoint{}, webhook.ErrNotFound
	}
	return e, err
}

// Endpoints lists an owner's webhooks ("" with all: everybody's), the newest
// first, from behind the one that after names. An after that is no webhook is
// behind the end.
func (s *Store) Endpoints(ctx context.Context, owner string, all bool, after string, limit int) ([]webhook.Endpoint, error) {
	if limit <= 0 || !storable(owner, after) {
		return nil, nil
	}
	where, args := "TRUE", []any(nil)
	if owner != "" || !all {
		where, args = "w.owner = ?", []any{owner}
	}
	if after != "" {
		where += " AND (w.created_at, w.id) < (SELECT created_at, id FROM webhooks WHERE id = ?)"
		args = append(args, after)
	}
	var found []webhook.Endpoint
	err := s.read(ctx, "list webhooks", func(ctx context.Context, c conn) (err error) {
		found, err = list(ctx, c, scanEndpoint, "SELECT "+endpointColumns+" FROM webhooks w WHERE "+where+
			" ORDER BY w.created_at DESC, w.id DESC LIMIT ?", append(args[:len(args):len(args)], limit)...)
		return err
	})
	return found, err
}

// ChangeEndpoint writes a webhook over the one of the same ID and Version; ID,
// Owner and CreatedAt stay. It returns the webhook as it then is. Errors:
// webhook.ErrNotFound, ErrConflict.
func (s *Store) ChangeEndpoint(ctx context.Context, e webhook.Endpoint, j Journal) (webhook.Endpoint, error) {
	const doing = "change a webhook"
	if !storable(e.ID) {
		return webhook.Endpoint{}, webhook.ErrNotFound
	}
	values, err := endpointValues(e)
	if err != nil {
		return webhook.Endpoint{}, fault(doing, err)
	}
	var is webhook.Endpoint
	err = s.write(ctx, doing, func(ctx context.Context, c conn) error {
		if err := c.journal(ctx, j); err != nil { // before the webhook is locked, see RemoveEndpoint
			return err
		}
		n, err := c.exec(ctx, `UPDATE webhooks SET everybodys = ?, url = ?, description = ?, event_types = ?, secret = ?, old_secret = ?,
			old_ends = ?, disabled_at = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`,
			slices.Concat(values, []any{e.ID, e.Version})...)
		if err != nil {
			return err
		}
		if is, err = endpointByID(ctx, c, e.ID); err == nil && n == 0 {
			return webhook.ErrConflict
		}
		return err
	})
	if err != nil {
		return webhook.Endpoint{}, err
	}
	return is, nil
}

// RemoveEndpoint removes a webhook and its deliveries. Error: ErrNotFound. Of
// many deliveries the most are removed before, in transactions of their own, so
// that nobody waits long; an error may leave the webhook without them.
//
// Whoever writes a journal holds the end of the audit log before the webhooks
// that its events go to. What locks a webhook keeps to that order, so that no two
// transactions wait for each other.
func (s *Store) RemoveEndpoint(ctx context.Context, id string, j Journal) error {
	if !storable(id) {
		return webhook.ErrNotFound
	}
	if err := s.removeDeliveries(ctx, id); err != nil {
		return err
	}
	return s.write(ctx, "remove a webhook", func(ctx context.Context, c conn) error {
		if err := c.journal(ctx, j); err != nil {
			return err
		}
		var found string
		err := c.row(ctx, "SELECT id FROM webhooks WHERE id = ?"+c.forUpdate, id).Scan(&found)
		if errors.Is(err, sql.ErrNoRows) {
			return webhook.ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, "DELETE FROM deliveries WHERE endpoint_id = ?", id); err != nil {
			return err
		}
		_, err = c.exec(ctx, "DELETE FROM webhooks WHERE id = ?", id)
		return err
	})
}

// removeDeliveries removes the deliveries of a webhook, but for the few that
// somebody is at.
func (s *Store) removeDeliveries(ctx context.Context, endpointID string) error {
	for {
		n := 0
		err := s.write(ctx, "remove deliveries", func(ctx context.Context, c conn) (err error) {
			n, err = c.exec(ctx, "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE endpoint_id = ? LIMIT ?"+c.skipLocked+")",
				endpointID, sweptAtOnce)
			return err
		})
		if err != nil || n < sweptAtOnce {
			return err
		}
		wait(ctx, breath)
	}
}
