package provider

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

var _ Store = (*memStore)(nil)

// A memStore is a Store in memory, for tests. Beside the methods of Store it has
// those by which other parts of the server change what is kept: setClient,
// removeClient, setPerson, disconnect.
type memStore struct {
	// Set before the store is used, or with nothing under way.
	follow func([]Change)            // is told of changes, before the call that made them returns; nil for nobody
	fail   func(method string) error // an error of it stops a method before it did anything
	lose   func(method string) error // an error of it is returned after the method did everything

	mu         sync.Mutex // guards all below
	calls      map[string]int
	changes    []Change
	clients    map[string]Client
	gone       map[string]bool // user IDs of people who may have nothing any more
	consents   map[[2]string]Consent
	grants     map[string]Grant
	codes      map[Hash]Code
	refreshes  map[Hash]Refresh
	revoked    map[string]time.Time // jti to the expiry of the token
	pushed     map[Hash]Pushed
	devices    map[Hash]Device
	assertions map[[2]string]time.Time
	keys       []SigningKey
}

func newMemStore() *memStore {
	return &memStore{
		calls: map[string]int{}, clients: map[string]Client{}, gone: map[string]bool{},
		consents: map[[2]string]Consent{}, grants: map[string]Grant{}, codes: map[Hash]Code{},
		refreshes: map[Hash]Refresh{}, revoked: map[string]time.Time{}, pushed: map[Hash]Pushed{},
		devices: map[Hash]Device{}, assertions: map[[2]string]time.Time{},
	}
}

// do runs one transaction.
func (s *memStore) do(ctx context.Context, method string, work func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fail != nil {
		if err := s.fail(method); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.calls[method]++
	err := work()
	changes := s.changes
	s.changes = nil
	s.mu.Unlock()
	if s.follow != nil && len(changes) > 0 {
		s.follow(changes)
	}
	if s.lose != nil {
		if lost := s.lose(method); lost != nil {
			return lost
		}
	}
	return err
}

func (s *memStore) changed(kind, key string) { s.changes = append(s.changes, Change{kind, key}) }

// called returns how often methods were called; of all of them where none is named.
func (s *memStore) called(methods ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for m, c := range s.calls {
		if len(methods) == 0 || slices.Contains(methods, m) {
			n += c
		}
	}
	return n
}

// kept is a time as a database keeps it.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// setClient adds or changes a client.
func (s *memStore) setClient(c Client) Client {
	_ = s.do(context.Background(), "setClient", func() error {
		c.Version = s.clients[c.ID].Version + 1
		c.CreatedAt, c.DisabledAt = kept(c.CreatedAt), kept(c.DisabledAt)
		s.clients[c.ID] = c
		s.changed(ChangedClient, c.ID)
		return nil
	})
	return c
}

// removeClient removes a client with all that it was given.
func (s *memStore) removeClient(id string, now time.Time) {
	_ = s.do(context.Background(), "removeClient", func() error {
		delete(s.clients, id)
		s.changed(ChangedClient, id)
		s.endWhere(now, func(g Grant) bool { return g.ClientID == id })
		maps.DeleteFunc(s.consents, func(_ [2]string, c Consent) bool { return c.ClientID == id })
		return nil
	})
}

// setPerson disables a person, or enables them again. Everybody is enabled before.
func (s *memStore) setPerson(userID string, disabled bool) {
	_ = s.do(context.Background(), "setPerson", func() error {
		s.gone[userID] = disabled
		s.changed(ChangedUser, userID)
		return nil
	})
}

// disconnect withdraws a person's consent to a client.
func (s *memStore) disconnect(userID, clientID string, now time.Time) {
	_ = s.do(context.Background(), "disconnect", func() error {
		delete(s.consents, [2]string{userID, clientID})
		s.endWhere(now, func(g Grant) bool { return g.UserID == userID && g.ClientID == clientID })
		return nil
	})
}

// clientLives reports whether there is a client that is not disabled.
func (s *memStore) clientLives(id string) bool {
	c, ok := s.clients[id]
	return ok && !c.Disabled()
}

func (s *memStore) Client(ctx context.Context, id string) (c Client, err error) {
	err = s.do(ctx, "Client", func() error {
		var ok bool
		if c, ok = s.clients[id]; !ok {
			return ErrNotFound
		}
		c.Scopes, c.GrantTypes = slices.Clone(c.Scopes), slices.Clone(c.GrantTypes)
		c.RedirectURIs, c.Secrets = slices.Clone(c.RedirectURIs), slices.Clone(c.Secrets)
		return nil
	})
	return c, err
}

func (s *memStore) Push(ctx context.Context, r Pushed, now time.Time, perSource, perClient int) error {
	return s.do(ctx, "Push", func() error {
		var bySource, byClient int
		for _, o := range s.pushed {
			if !now.Before(o.ExpiresAt) {
				continue
			}
			if o.Source == r.Source {
				bySource++
			}
			if o.ClientID == r.ClientID {
				byClient++
			}
		}
		if bySource >= perSource || byClient >= perClient {
			return ErrTooMany
		}
		r.ExpiresAt = kept(r.ExpiresAt)
		s.pushed[r.Hash] = r
		return nil
	})
}

func (s *memStore) Pushed(ctx context.Context, h Hash, now time.Time) (r Pushed, err error) {
	err = s.do(ctx, "Pushed", func() error {
		var ok bool
		if r, ok = s.pushed[h]; !ok || !now.Before(r.ExpiresAt) {
			r = Pushed{}
			return ErrNotFound
		}
		return nil
	})
	return r, err
}

func (s *memStore) Authorize(ctx context.Context, a Authorization, now time.Time) error {
	return s.do(ctx, "Authorize", func() error {
		if !s.clientLives(a.Grant.ClientID) || s.gone[a.Grant.UserID] {
			return ErrEnded
		}
		if a.Pushed != (Hash{}) {
			if r, ok := s.pushed[a.Pushed]; !ok || !now.Before(r.ExpiresAt) {
				return ErrUsed
			}
		}
		if a.Device != (Hash{}) {
			d, ok := s.devices[a.Device]
			if !ok || d.State != DevicePending || !now.Before(d.ExpiresAt) {
				return ErrUsed
			}
			d.State, d.GrantID = DeviceApproved, a.Grant.ID
			s.devices[a.Device] = d
		}
		delete(s.pushed, a.Pushed)
		s.agree(a)
		return nil
	})
}

// agree writes grant, code and consent.
func (s *memStore) agree(a Authorization) {
	g := a.Grant
	g.AuthTime, g.CreatedAt, g.ExpiresAt = kept(g.AuthTime), kept(g.CreatedAt), kept(g.ExpiresAt)
	s.grants[g.ID] = g
	if a.Code.Hash != (Hash{}) {
		a.Code.ExpiresAt = kept(a.Code.ExpiresAt)
		s.codes[a.Code.Hash] = a.Code
	}
	if a.Consent == nil {
		return
	}
	k := [2]string{a.Consent.UserID, a.Consent.ClientID}
	c := *a.Consent
	c.GivenAt = kept(c.GivenAt)
	c.Scopes = union(s.consents[k].Scopes, c.Scopes)
	c.Resources = union(s.consents[k].Resources, c.Resources)
	s.consents[k] = c
}

// union returns what is in a or b, each once, sorted.
func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

func (s *memStore) Consent(ctx context.Context, userID, clientID string) (c Consent, err error) {
	err = s.do(ctx, "Consent", func() error {
		var ok bool
		if c, ok = s.consents[[2]string{userID, clientID}]; !ok {
			return ErrNotFound
		}
		return nil
	})
	return c, err
}

func (s *memStore) UseAssertion(ctx context.Context, clientID, jti string, expires time.Time) error {
	return s.do(ctx, "UseAssertion", func() error {
		k := [2]string{clientID, jti}
		if _, used := s.assertions[k]; used {
			return ErrUsed
		}
		s.assertions[k] = expires
		return nil
	})
}

func (s *memStore) SigningKeys(ctx context.Context, now time.Time) (keys []SigningKey, err error) {
	err = s.do(ctx, "SigningKeys", func() error {
		s.keys = slices.DeleteFunc(s.keys, func(k SigningKey) bool { return !k.RetireAt.IsZero() && !now.Before(k.RetireAt) })
		keys = slices.Clone(s.keys)
		slices.SortStableFunc(keys, func(a, b SigningKey) int { return a.CreatedAt.Compare(b.CreatedAt) })
		return nil
	})
	return keys, err
}

func (s *memStore) AddSigningKeys(ctx context.Context, known []string, added, changed []SigningKey) error {
	return s.do(ctx, "AddSigningKeys", func() error {
		var ids []string
		for _, k := range s.keys {
			ids = append(ids, k.ID)
		}
		if !slices.Equal(union(ids, nil), union(known, nil)) {
			return ErrConflict
		}
		for i, k := range s.keys {
			for _, c := range changed {
				if c.ID == k.ID {
					s.keys[i].CreatedAt, s.keys[i].UseAt, s.keys[i].RetireAt = kept(c.CreatedAt), kept(c.UseAt), kept(c.RetireAt)
				}
			}
		}
		for _, k := range added {
			k.CreatedAt, k.UseAt, k.RetireAt = kept(k.CreatedAt), kept(k.UseAt), kept(k.RetireAt)
			s.keys = append(s.keys, k)
		}
		s.changed(ChangedKeys, "")
		return nil
	})
}
