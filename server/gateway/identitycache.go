package gateway

import (
	"sync"
	"time"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// maxIdentities bounds each of an identityCache's two generations.
const maxIdentities = 2048

// identityCache keeps the finished identity headers of a caller on a route,
// the signed assertion among them, for as long as an assertion may be reused.
// A signature costs about as much as the rest of a request.
//
// Entries go by the pointer of the principal, which does not change once it was
// handed out (a changed caller is another principal), and by what of a route
// goes into them.
type identityCache struct {
	signer *Signer                          // nil: no assertions
	handle func(session, app string) string // Config.SessionHandle; may be nil

	mu    sync.RWMutex // guards the rest
	young map[identityKey]identityEntry
	old   map[identityKey]identityEntry // the generation before
	since time.Time                     // when young was begun
}

type identityKey struct {
	who      *identity.Principal
	audience string // the route's name
	app      string // ID of the access key whose app the route is; "" for none
	families policy.Families
}

type identityEntry struct {
	fields []field
	made   time.Time
}

// fields returns the identity headers of who for a route.
func (c *identityCache) fields(who *identity.Principal, route *policy.Route) ([]field, error) {
	if who == nil || route.Identity == 0 {
		return nil, nil
	}
	key, now := identityKey{who, route.Name, route.AppKey, route.Identity}, time.Now()
	if fields, ok := c.get(key, now); ok {
		return fields, nil
	}
	fields := identityFields(who, c.sessionHandle(who, route), route.Identity)
	if c.signer != nil && route.Identity&policy.Wave != 0 {
		token, err := c.signer.Sign(who, route.Name)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{"Wave-Assertion", []string{token}})
	}
	c.put(key, identityEntry{fields, now})
	return fields, nil
}

// sessionHandle returns the name of who's session for the upstream of a route,
// or "".
func (c *identityCache) sessionHandle(who *identity.Principal, route *policy.Route) string {
	if c.handle == nil || who.SessionID == "" || route.Identity&policy.Wave == 0 {
		return ""
	}
	app := route.AppKey
	if app == "" {
		app = "route:" + route.Name
	}
	return c.handle(who.SessionID, app)
}

// get returns the fields that are still fresh.
func (c *identityCache) get(key identityKey, now time.Time) ([]field, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.young[key]
	if !ok {
		e, ok = c.old[key]
	}
	return e.fields, ok && now.Sub(e.made) < assertionReuse
}

// put keeps an entry. A generation that is full or old makes room for the
// next, so that neither memory nor principals are held for long.
func (c *identityCache) put(key identityKey, e identityEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= maxIdentities || e.made.Sub(c.since) >= assertionReuse {
		c.old, c.young = c.young, map[identityKey]identityEntry{}
		c.since = e.made
	}
	c.young[key] = e
}
