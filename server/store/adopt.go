package store

import (
	"context"

	"wavegate/server/session"
)

// AdoptKeys gives the keys of an owner whose user was not known when they were made
// to that user, so that what is done to the user reaches them too. It returns their
// IDs.
func (s *Store) AdoptKeys(ctx context.Context, owner, userID string) (ids []string, err error) {
	if !storable(owner, userID) || owner == "" || userID == "" {
		return nil, nil
	}
	err = s.write(ctx, "adopt API keys", func(ctx context.Context, c conn) (err error) {
		ids, err = list(ctx, c, func(row scanner) (id string, err error) { return id, row.Scan(&id) },
			"UPDATE api_keys SET user_id = ?, version = version + 1 WHERE owner = ? AND user_id = '' RETURNING id", userID, owner)
		if err != nil {
			return err
		}
		changes := make([]session.Change, len(ids))
		for i, id := range ids {
			changes[i] = session.Change{Kind: ChangedAPIKey, Key: id}
		}
		return c.changed(ctx, changes...)
	})
	return ids, err
}
