package store

import (
	"context"
	"slices"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/webhook"
)

// What needs somebody's attention. Each call is one statement whose work is bounded,
// however much there is.

// looked bounds how many keys with a limit NearLimit looks at: the newest.
const looked = 1000

// stands are the conditions of a key that opens something at a time, the parameter.
// Trial keys are left out: they end by themselves, and nobody misses them.
const stands = " AND revoked_at = 0 AND environment <> 'trial' AND (expires_at = 0 OR expires_at > ?)"

// EndingKeys returns the keys that a filter chooses, that open something now, and that
// end before the time soon, or before the time later where they were rotated: those
// that end first before the others.
func (s *Store) EndingKeys(ctx context.Context, f KeyFilter, now, soon, later time.Time, limit int) ([]apikey.Record, error) {
	where, args, ok := f.choice(now)
	if !ok || limit <= 0 {
		return nil, nil
	}
	var all []apikey.Record
	err := s.read(ctx, "list API keys that end", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanKey, "SELECT "+keyColumns+" FROM api_keys WHERE "+where+
			stands+" AND expires_at > 0 AND expires_at < ? AND (expires_at < ? OR deprecated_at <> 0) ORDER BY expires_at, id LIMIT ?",
			slices.Concat(args, []any{millis(now), ceilMillis(later), ceilMillis(soon), limit})...)
		return err
	})
	return all, err
}

// A SpentKey is a key and what was drawn of its operations: in its life, in the day,
// and in the month.
type SpentKey struct {
	apikey.Record
	Total, Day, Month int64
}

// spentOf is what was drawn of a key's account in a period, its parameter. The ledger
// is given the accounts of keys with "key:" before them.
const spentOf = "COALESCE((SELECT spent FROM spending WHERE account = 'key:' || api_keys.account AND period = ?), 0)"

// NearLimit returns keys that a filter chooses, that open something now, and that
// have spent four fifths or more of a limit of operations, the newest first. It looks
// at the looked newest ones that have a limit. day and month are the names of the
// periods in the ledger.
func (s *Store) NearLimit(ctx context.Context, f KeyFilter, now time.Time, day, month string, limit int) ([]SpentKey, error) {
	where, args, ok := f.choice(now)
	if !ok || limit <= 0 {
		return nil, nil
	}
	query := "SELECT " + keyColumns + ", total, day, month FROM (SELECT " + keyColumns + ", " + spentOf + " AS total, " + spentOf + " AS day, " + spentOf +
		" AS month FROM api_keys WHERE " + where + stands + " AND (ops_limit > 0 OR day_budget > 0 OR month_budget > 0)" +
		" ORDER BY created_at DESC, id DESC LIMIT ?) newest WHERE ops_limit > 0 AND total >= ops_limit - ops_limit / 5" +
		" OR day_budget > 0 AND day >= day_budget - day_budget / 5 OR month_budget > 0 AND month >= month_budget - month_budget / 5" +
		" ORDER BY created_at DESC, id DESC LIMIT ?"
	args = slices.Concat([]any{"ops", day, month}, args, []any{millis(now), looked, limit})
	var all []SpentKey
	err := s.read(ctx, "list API keys near a limit", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, func(row scanner) (k SpentKey, err error) {
			k.Record, err = scanKeyAnd(row, &k.Total, &k.Day, &k.Month)
			return k, err
		}, query, args...)
		return err
	})
	return all, err
}

// deadWithin is how long before it is given up a delivery may have been made: it is
// tried for a day, and no process may have run meanwhile.
const deadWithin = 48 * time.Hour

// FailingEndpoints returns the webhooks of an owner ("" with all: everybody's) that
// are in use and of which a delivery was given up since a time, the newest first.
func (s *Store) FailingEndpoints(ctx context.Context, owner string, all bool, since time.Time, limit int) ([]webhook.Endpoint, error) {
	if limit <= 0 || !storable(owner) {
		return nil, nil
	}
	where, args := "TRUE", []any(nil)
	if owner != "" || !all {
		where, args = "w.owner = ?", []any{owner}
	}
	args = append(args, millis(since.Add(-deadWithin)), millis(since), limit)
	var found []webhook.Endpoint
	err := s.read(ctx, "list webhooks that fail", func(ctx context.Context, c conn) (err error) {
		found, err = list(ctx, c, scanEndpoint, "SELECT "+endpointColumns+" FROM webhooks w WHERE "+where+` AND w.disabled_at = 0 AND EXISTS
			(SELECT 1 FROM deliveries d WHERE d.endpoint_id = w.id AND d.state = 'dead' AND d.created_at >= ? AND d.last_at >= ?)
			ORDER BY w.created_at DESC, w.id DESC LIMIT ?`, args...)
		return err
	})
	return found, err
}
