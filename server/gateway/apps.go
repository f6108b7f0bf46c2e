package gateway

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// maxApps bounds how many apps can be registered at once.
const maxApps = 1024

// maxAppRoute bounds the route of an app, in bytes.
const maxAppRoute = 256

// Apps are the apps that announced themselves with an access key. An app's
// route belongs to the key that registered it and ends with that key, or when
// nothing listens at the app's address any more (unless KeepAppLive).
type Apps struct {
	gateway *Gateway

	mu    sync.Mutex               // serialises changes
	table atomic.Pointer[appTable] // replaced, never changed
}

// appTable finds apps by their routes' path prefixes.
type appTable struct{ byPath map[string]*app }

// app is one registered app.
type app struct {
	App
	route *policy.Route
	proxy *proxy
	stop  func() bool // stops watching the owner's key
}

// An App describes a registered app. It holds no secret.
type App struct {
	Route   string // path prefix
	Mode    string // "unicast", "multicast" or "broadcast", as the app said
	Address string // where its requests go
	Owner   string // ID of the access key that registered it
}

// Registration is how an app announces itself (register_app).
type Registration struct {
	Mode      string `json:"mode"`
	Route     string `json:"route"`
	Address   string `json:"address"`
	KeyID     string `json:"key_id"` // the pair with which the app knows that a request comes from here
	KeySecret string `json:"key_secret"`
}

// Register makes an app's route lead to its address. The same key may register
// a route again, with a new address or pair. Errors are *fault.Error: 400 with
// everything that is wrong, 403 where the key may not have the route, 503 when
// there are too many apps.
func (a *Apps) Register(who *identity.Principal, reg Registration) error {
	target, err := reg.check()
	if err != nil {
		return err
	}
	reg.Route, _ = policy.ParsePath(reg.Route) // check did it before
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.gateway.table.Load().policy
	if err := a.mayHave(p, who, reg.Route); err != nil {
		return err
	}
	old := a.table.Load().byPath
	if old[reg.Route] == nil && len(old) >= maxApps {
		return fault.New(http.StatusServiceUnavailable, "too_many_apps", "Too many apps are registered.")
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]*app{}
	}
	if before := next[reg.Route]; before != nil {
		before.stop()
	}
	next[reg.Route] = a.newApp(who, reg, target)
	a.table.Store(&appTable{next})
	return nil
}

// newApp makes the app, which leaves by itself when who's key ends.
func (a *Apps) newApp(who *identity.Principal, reg Registration, target *url.URL) *app {
	route := &policy.Route{
		Name:           reg.Route,
		Path:           reg.Route,
		Target:         target,
		Origin:         "app registered by " + who.KeyID,
		Identity:       policy.Wave,
		Tokens:         true, // as with waved; an access key of the operator's vouches for the app
		StripPrefix:    true,
		PassHost:       true,
		Timeout:        policy.DefaultTimeout,
		MaxRequestSize: policy.ServerDefault,
		App:            true,
		AppKey:         who.KeyID,
	}
	entry := &app{
		App:   App{Route: reg.Route, Mode: reg.Mode, Address: reg.Address, Owner: who.KeyID},
		route: route,
		proxy: a.gateway.newProxy(route, a.gateway.appOver),
		stop:  func() bool { return true },
	}
	pair := base64.StdEncoding.EncodeToString([]byte(reg.KeyID + ":" + reg.KeySecret))
	entry.proxy.authorization = []string{"Basic " + pair}
	if !a.gateway.cfg.KeepAppLive {
		entry.proxy.unreachable = func() { a.remove(entry) }
	}
	if who.Ended != nil {
		entry.stop = context.AfterFunc(who.Ended, func() { a.remove(entry) })
	}
	return entry
}

// mayHave says whether a caller may register a route under a policy.
func (a *Apps) mayHave(p *policy.Policy, who *identity.Principal, route string) error {
	if who == nil || who.Method != identity.MethodAccessKey || who.KeyID == "" {
		return fault.New(http.StatusForbidden, "access_key_required", "Apps are registered with an access key.")
	}
	if !p.MayRegister(who.KeyID, route) {
		return fault.New(http.StatusForbidden, "route_not_allowed", "This access key may not register the route "+route+".")
	}
	if isTaken(p, who.KeyID, route) {
		return fault.New(http.StatusBadRequest, "route_taken", "The route "+route+" belongs to a configured route.")
	}
	for _, other := range a.table.Load().byPath {
		if other.Owner != who.KeyID && (other.Route == route || other.Route != "/" && strings.HasPrefix(route, other.Route+"/")) {
			return fault.New(http.StatusForbidden, "route_taken", "The route "+route+" belongs to an app of another access key.")
		}
	}
	return nil
}

// isTaken reports whether a configured route keeps an app from a route: the app
// would take over requests that the operator gave to somebody else. A route
// below the configured one is free to the key for which the policy names it,
// and everything is where the configured route gives way.
func isTaken(p *policy.Policy, keyID, route string) bool {
	granted := p.Grants(keyID, route)
	return slices.ContainsFunc(p.Routes(), func(r *policy.Route) bool {
		below := r.Path == "/" || strings.HasPrefix(route, r.Path+"/")
		return !r.GivesWay && (r.Path == route || below && !granted)
	})
}

// Unregister ends an app's route. Only the key that registered it may. A route
// that nobody registered is no error, so that an app can leave after a restart
// of the server.
func (a *Apps) Unregister(who *identity.Principal, route string) error {
	if who == nil || who.Method != identity.MethodAccessKey {
		return fault.New(http.StatusForbidden, "access_key_required", "Apps are unregistered with an access key.")
	}
	path, err := policy.ParsePath(route)
	if err != nil {
		return fault.New(http.StatusBadRequest, "invalid_request", "route: "+err.Error()+".")
	}
	entry := a.table.Load().byPath[path]
	switch {
	case entry == nil:
		return nil
	case entry.Owner != who.KeyID:
		return fault.New(http.StatusForbidden, "route_taken", "The route "+path+" belongs to an app of another access key.")
	}
	a.remove(entry)
	return nil
}

// remove takes an app away, unless another has come in its place.
func (a *Apps) remove(entry *app) {
	a.filter(func(e *app) bool { return e != entry })
}

// recheck takes away the apps whose routes a new policy does not leave to them.
func (a *Apps) recheck(p *policy.Policy) {
	a.filter(func(e *app) bool { return p.MayRegister(e.Owner, e.Route) && !isTaken(p, e.Owner, e.Route) })
}

// close takes every app away and stops watching their keys.
func (a *Apps) close() { a.filter(func(*app) bool { return false }) }

// filter keeps the apps for which keep is true.
func (a *Apps) filter(keep func(*app) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := map[string]*app{}
	for path, entry := range a.table.Load().byPath {
		if keep(entry) {
			next[path] = entry
		} else {
			entry.stop()
		}
	}
	a.table.Store(&appTable{next})
}

// match returns the app with the longest prefix of a path, or nil.
func (a *Apps) match(path string) *app {
	apps := a.table.Load().byPath
	if len(apps) == 0 || path == "" || path[0] != '/' {
		return nil
	}
	if len(path) > maxAppRoute { // no route is longer, so look no further
		i := strings.LastIndexByte(path[:maxAppRoute+1], '/')
		path = path[:max(i, 1)]
	}
	for len(path) > 1 {
		if entry := apps[path]; entry != nil {
			return entry
		}
		path = path[:strings.LastIndexByte(path, '/')]
	}
	return apps["/"]
}

// List returns the registered apps, sorted by route.
func (a *Apps) List() []App {
	var out []App
	for _, entry := range a.table.Load().byPath {
		out = append(out, entry.App)
	}
	slices.SortFunc(out, func(x, y App) int { return cmp.Compare(x.Route, y.Route) })
	return out
}
