package provider

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"wavegate/keychain/lookup"
)

// Bounds of the memory of clients.
const (
	maxClients     = 10_000
	maxClientsText = 32 << 20 // bytes that their records hold, roughly
	clientBelieved = 30 * time.Second
	clientLookups  = 32 // at the same time
	maxClientID    = 64 // what is longer is no client's
	clientOverhead = 512
)

// An app is a client that is remembered. Nothing of it changes.
type app struct {
	client *Client
	keys   []jose.JSONWebKey // of its JWKS
	weight int               // bytes, roughly
	readAt time.Time
}

// clients is the memory of the clients in use. It is bounded: there are two
// generations, and half of the bounds for each. What strangers name at random is
// kept apart (unknown) and puts no client out.
type clients struct {
	gate    lookup.Gate // before the store
	unknown *lookup.Negatives[string]

	mu         sync.RWMutex // guards the rest
	young, old map[string]*app
	weight     int    // of young
	epoch      uint64 // raised by every change: what was read in an earlier one is not kept
}

func newClients() *clients {
	return &clients{
		gate: lookup.NewGate(clientLookups), unknown: lookup.NewNegatives[string](),
		young: make(map[string]*app), old: make(map[string]*app),
	}
}

// Client returns a client that is not disabled, for whoever wants to know about it.
// It is shared and not to be changed. Errors: ErrNotFound, or the store's.
func (p *Provider) Client(ctx context.Context, id string) (*Client, error) { return p.client(ctx, id) }

// client returns a client that is not disabled: from the memory, or from the
// store. It is shared and not to be changed. Errors: ErrNotFound, or the store's.
func (p *Provider) client(ctx context.Context, id string) (*Client, error) {
	a, err := p.app(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case a.client.Disabled():
		return nil, ErrNotFound
	}
	return a.client, nil
}

// app is client with what belongs to it, disabled or not.
func (p *Provider) app(ctx context.Context, id string) (*app, error) {
	if a := p.apps.get(id, p.now()); a != nil {
		return a, nil
	}
	return p.load(ctx, id)
}

// load asks the store for a client and remembers the answer.
func (p *Provider) load(ctx context.Context, id string) (*app, error) {
	c := p.apps
	if !mayBeClientID(id) || c.unknown.Has(id, p.now().UnixMilli()) {
		return nil, ErrNotFound
	}
	if err := c.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer c.gate.Leave()
	now := p.now()
	if a := c.get(id, now); a != nil { // somebody before us at the gate brought it
		return a, nil
	}
	epoch, era := c.current(), c.unknown.Era()
	record, err := p.store.Client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		c.unknown.Add(id, era, now.UnixMilli())
	}
	if err != nil {
		return nil, err
	}
	a := newApp(&record, now)
	c.put(a, epoch)
	return a, nil
}

// mayBeClientID reports whether the store may be asked for the ID: it refuses what
// is no text, and nothing would follow from that.
func mayBeClientID(id string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return id != "" && len(id) <= maxClientID && strings.IndexFunc(id, odd) < 0
}

// newApp returns what is remembered of a client. Keys that cannot be read are none:
// nobody authenticates with them.
func newApp(c *Client, now time.Time) *app {
	a := &app{client: c, readAt: now, weight: clientOverhead + len(c.Name) + 2*len(c.JWKS)}
	for _, list := range [][]string{c.RedirectURIs, c.PostLogoutRedirectURIs, c.Scopes, c.GrantTypes} {
		for _, s := range list {
			a.weight += len(s) + 16
		}
	}
	if len(c.JWKS) > 0 {
		a.keys, _ = readJWKS(c.JWKS)
	}
	return a
}

// get returns the client if it is remembered and still believed, else nil.
func (c *clients) get(id string, now time.Time) *app {
	c.mu.RLock()
	a, young := c.young[id]
	if !young {
		a = c.old[id]
	}
	epoch := c.epoch
	c.mu.RUnlock()
	if a == nil {
		return nil
	}
	if age := now.Sub(a.readAt); age >= clientBelieved || age < 0 {
		return nil
	}
	if !young {
		c.put(a, epoch)
	}
	return a
}

// put remembers a client that was read in an epoch, unless something changed since.
func (c *clients) put(a *app, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		return
	}
	if before := c.young[a.client.ID]; before != nil {
		c.weight -= before.weight
	} else if len(c.young) >= maxClients/2 || c.weight+a.weight > maxClientsText/2 {
		c.old, c.young, c.weight = c.young, make(map[string]*app), 0
	}
	c.young[a.client.ID] = a
	c.weight += a.weight
}

// current returns the epoch, to be asked before the store is.
func (c *clients) current() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.epoch
}

// changed forgets a client.
func (c *clients) changed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	if a := c.young[id]; a != nil {
		c.weight -= a.weight
		delete(c.young, id)
	}
	delete(c.old, id)
	c.unknown.Clear()
}

// forget forgets all of them.
func (c *clients) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.young, c.old, c.weight = make(map[string]*app), make(map[string]*app), 0
	c.unknown.Clear()
}
