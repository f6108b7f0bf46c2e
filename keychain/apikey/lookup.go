package apikey

import "context"

// Lookup returns the key behind a secret, be it active, deprecated, expired or
// revoked: the caller looks at Status. A key that is remembered costs one HMAC,
// one look into a map, and no allocation; every other one a look at the store,
// which a bounded number of callers have at the same time. Errors: ErrNotFound;
// ErrUnavailable.
func (m *Manager) Lookup(ctx context.Context, secret string) (*Key, error) {
	if secret == "" || len(secret) > MaxKey {
		return nil, ErrNotFound
	}
	hash := m.cfg.Hasher.Current(secret)
	if k := m.believed(&hash); k != nil {
		return k, nil
	}
	return m.find(ctx, secret, hash)
}

// believed returns the key with the hash if it is remembered and what is
// remembered of it will do, or nil.
func (m *Manager) believed(hash *[32]byte) *Key {
	k := m.memory.get(hash)
	if k == nil || k.epoch.Load() != m.epoch.Load() {
		return nil
	}
	if m.now()-max(m.alive.Load(), k.confirmed.Load()) > m.cfg.StaleAfter.Milliseconds() {
		return nil
	}
	return k
}

// find asks the store about a key, when it is the caller's turn.
func (m *Manager) find(ctx context.Context, secret string, hash [32]byte) (*Key, error) {
	turn, stranger := m.known, m.memory.get(&hash) == nil
	_, ours := Parse(secret)
	if stranger {
		turn = m.strangers
		if !ours && m.imported.never() || m.negatives.Has(hash, m.now()) {
			return nil, ErrNotFound
		}
	}
	if err := turn.Enter(ctx); err != nil {
		return nil, unavailable(err)
	}
	defer turn.Leave()
	if k := m.believed(&hash); k != nil { // somebody was faster
		return k, nil
	}
	if m.negatives.Has(hash, m.now()) {
		return nil, ErrNotFound
	}
	if stranger && !ours {
		if may, err := m.mayBeImported(ctx); !may {
			return nil, err
		}
	}
	return m.load(ctx, hash, m.cfg.Hasher.All(secret))
}

// mayBeImported reports whether a key that has not our shape may be in the store.
// If not, the error says why.
func (m *Manager) mayBeImported(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	has, err := m.imported.ask(func() (bool, error) { return m.store.HasImported(ctx) })
	switch {
	case err != nil:
		return false, unavailable(err)
	case !has:
		return false, ErrNotFound
	}
	return true, nil
}
