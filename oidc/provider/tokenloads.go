package provider

import (
	"context"
	"fmt"
	"sync"

	"wavegate/keychain/lookup"
)

// loads are the tokens that the store is being asked about: one look-up at a time
// for each, whoever asks.
//
// A token could be found standing here, be revoked there, and be remembered as if it
// stood. Therefore whoever hears of changes says so to the loads under way (see
// changing), and a load that brings one of those asks again before it is believed.
type loads struct {
	mu   sync.Mutex // guards open and the changes of each load
	open map[Hash]*load
}

// A load is one look-up.
type load struct {
	changes []choice      // what changed since it was asked; guarded by loads.mu
	done    chan struct{} // closed when the rest is set
	token   *AccessToken
	err     error
}

// A choice says which tokens are meant.
type choice func(about) bool

// about is what changes can be about.
type about struct{ jti, grantID, clientID, userID string }

// join returns the load of a token and whether it is a new one, which the caller
// has to bring to its end. What another load brought meanwhile needs none: then
// there is a token instead.
func (l *loads) join(hash *Hash, believed func(*Hash) *AccessToken) (t *AccessToken, ld *load, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ld = l.open[*hash]; ld != nil {
		return nil, ld, false
	}
	if t = believed(hash); t != nil {
		return t, nil, false
	}
	ld = &load{done: make(chan struct{})}
	l.open[*hash] = ld
	return nil, ld, true
}

// changing says that something about the chosen tokens changed in the store.
func (l *loads) changing(chosen choice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ld := range l.open {
		ld.changes = append(ld.changes, chosen)
	}
}

// accept calls conclude and takes the load off the list, unless something changed
// since the store was asked: then it has to be asked again.
func (l *loads) accept(ld *load, hash *Hash, a about, conclude func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chosen := range ld.changes {
		if chosen(a) {
			ld.changes = nil
			return false
		}
	}
	conclude()
	delete(l.open, *hash)
	return true
}

// finish tells those who wait, whatever happened.
func (l *loads) finish(ld *load, hash *Hash) {
	l.mu.Lock()
	if l.open[*hash] == ld {
		delete(l.open, *hash)
	}
	l.mu.Unlock()
	close(ld.done)
}

// ask asks the store about a token, once for all who want to know at the same
// moment; the caller leaves when ctx ends. A token that stands is remembered.
func (p *Provider) ask(ctx context.Context, t *AccessToken) (*AccessToken, error) {
	m := p.tokens
	if m.revoked.Has(t.hash, p.ms()) {
		return nil, ErrRevoked
	}
	known, ld, first := m.loads.join(&t.hash, func(h *Hash) *AccessToken {
		if t := m.get(h); t != nil && m.believes(t, p.ms()) {
			return t
		}
		return nil
	})
	if known != nil {
		return known, nil
	}
	if fetch := func() { p.fetch(ld, t) }; first && !m.tasks.Start(fetch) {
		fetch()
	}
	select {
	case <-ld.done:
		return ld.token, ld.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fetch brings a load to its end.
func (p *Provider) fetch(ld *load, t *AccessToken) {
	m := p.tokens
	defer m.loads.finish(ld, &t.hash)
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := lookup.Safely(p.log, "an access token was looked up", func() error {
		if err := m.gate.Enter(ctx); err != nil {
			return err
		}
		defer m.gate.Leave()
		for {
			done, err := p.askOnce(ctx, ld, t)
			if done || err != nil {
				return err
			}
		}
	})
	if err != nil {
		ld.token, ld.err = nil, fmt.Errorf("it cannot be known whether an access token stands: %w", err)
	}
	if ld.token != nil {
		m.shrink(ld.token)
	}
}

// askOnce asks the store. It is not done where something changed meanwhile.
func (p *Provider) askOnce(ctx context.Context, ld *load, t *AccessToken) (done bool, err error) {
	m := p.tokens
	epoch, era := m.epoch.Load(), m.revoked.Era()
	state, err := p.store.TokenState(ctx, t.ID, t.GrantID, t.ClientID, p.now())
	if err != nil {
		return false, err
	}
	a := about{t.ID, t.GrantID, t.ClientID, state.UserID}
	return m.loads.accept(ld, &t.hash, a, func() {
		if !state.Revoked {
			ld.token = m.put(t, state.UserID, epoch, p.ms())
			return
		}
		ld.err = ErrRevoked
		m.revoked.Add(t.hash, era, p.ms())
		if known := m.get(&t.hash); known != nil {
			m.finish(known)
		}
	}), nil
}
