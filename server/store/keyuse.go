package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"wavegate/keychain/apikey"
)

// TouchKeys implements apikey.Store.
func (s *Store) TouchKeys(ctx context.Context, touches []apikey.Touch) error {
	last := latestUses(touches)
	if len(last) == 0 {
		return nil
	}
	return s.write(ctx, "note the use of API keys", func(ctx context.Context, c conn) error {
		if err := c.dialect.touchKeys(ctx, c, last); err != nil {
			return err
		}
		for _, t := range last {
			if err := c.addNetworks(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// latestUses keeps the last use of each key and all of its networks, in one order
// for all processes, as latest does.
func latestUses(touches []apikey.Touch) []apikey.Touch {
	last := make(map[string]apikey.Touch, len(touches))
	for _, t := range touches {
		if !storable(t.ID) { // of no key
			continue
		}
		was, known := last[t.ID]
		if known {
			t.Networks = slices.Concat(was.Networks, t.Networks)
			if was.UsedAt.After(t.UsedAt) {
				t.UsedAt = was.UsedAt
			}
		}
		last[t.ID] = t
	}
	return slices.SortedFunc(maps.Values(last), func(a, b apikey.Touch) int { return cmp.Compare(a.ID, b.ID) })
}

// addNetworks remembers the networks that are new, while there is room. The key's
// row is locked, so that two processes do not fill the same room.
func (c conn) addNetworks(ctx context.Context, t apikey.Touch) error {
	if len(t.Networks) == 0 {
		return nil
	}
	var id string
	err := c.row(ctx, "SELECT id FROM api_keys WHERE id = ?"+c.forUpdate, t.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	known, err := list(ctx, c, func(row scanner) (network string, err error) {
		err = row.Scan(&network)
		return network, err
	}, "SELECT network FROM key_networks WHERE key_id = ?", t.ID)
	if err != nil {
		return err
	}
	fresh := freshNetworks(known, t.Networks)
	return insert(ctx, c, "key_networks (key_id, network, at)", "(?, ?, ?)", " ON CONFLICT DO NOTHING", fresh,
		func(network string) []any { return []any{t.ID, network, millis(t.UsedAt)} })
}

// freshNetworks returns those that are not known, each once, as many as there is
// room for.
func freshNetworks(known []string, networks []netip.Prefix) []string {
	room := apikey.MaxNetworks - len(known)
	var fresh []string
	for _, p := range networks {
		if len(fresh) >= room {
			break
		}
		text := p.Masked().String()
		if p.IsValid() && !slices.Contains(known, text) && !slices.Contains(fresh, text) {
			fresh = append(fresh, text)
		}
	}
	return fresh
}

// ExpiringKeys returns keys that are not revoked, expire before a time, and for
// which TellExpiry was not called with that stage (1: soon, 2: it has), at most
// limit, those that end first before the others.
func (s *Store) ExpiringKeys(ctx context.Context, before time.Time, stage, limit int) ([]apikey.Record, error) {
	if stage < 1 || limit <= 0 {
		return nil, nil
	}
	var all []apikey.Record
	err := s.read(ctx, "list API keys that expire", func(ctx context.Context, c conn) error {
		all = nil
		for told := range stage { // one after the other, since the index has them apart
			some, err := list(ctx, c, scanKey, "SELECT "+keyColumns+` FROM api_keys
				WHERE revoked_at = 0 AND expires_at > 0 AND expires_at < ? AND expiry_told = ? ORDER BY expires_at LIMIT ?`,
				ceilMillis(before), told, limit)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b apikey.Record) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	return all[:min(len(all), limit)], nil
}

// TellExpiry notes that a stage was told, with its journal. It reports false when
// another process was faster, or the key was revoked or expires no more, and then
// writes nothing.
func (s *Store) TellExpiry(ctx context.Context, id string, stage int, j Journal) (told bool, err error) {
	if !storable(id) {
		return false, nil
	}
	err = s.write(ctx, "tell that an API key expires", func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, "UPDATE api_keys SET expiry_told = ? WHERE id = ? AND expiry_told < ? AND revoked_at = 0 AND expires_at > 0", stage, id, stage)
		if told = n == 1; err != nil || !told {
			return err
		}
		return c.journal(ctx, j)
	})
	return told && err == nil, err
}
