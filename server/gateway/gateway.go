// Package gateway passes requests on to the apps: it normalises paths, resolves
// clients behind trusted proxies, cleans headers, adds who is asking, and
// proxies to upstreams, folders and apps that registered themselves. It also
// reads the questions of other proxies (forward-auth).
//
// It decides nothing about access: package policy does, package server asks
// it, and Serve is called once the answer is yes. It renders no errors: they
// are returned as *fault.Error.
package gateway

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// Config is what a Gateway needs to know. New copies it.
type Config struct {
	AllowedOrigins []string     // Origins that may open WebSockets beside the request's own host; "*" is any
	ForwardHeaders []string     // client headers passed on; "*" is all, a trailing "*" any ending; empty: the essential ones
	CookieNames    []string     // our cookies, never passed on; a trailing "*" is any ending
	Signer         *Signer      // signs Wave-Assertion; nil for none
	MaxRequestSize int64        // bytes of a body, for routes that say policy.ServerDefault; 0 is no limit
	KeepAppLive    bool         // keep an app's route when nothing listens at its address
	Log            *slog.Logger // answers that broke off, tokens that were left out; nil for none

	// SessionHandle returns what Wave-Session-ID says to an upstream about a
	// session: a name that is worth something to its receiver alone. App is the
	// ID of the access key whose app it is, or "route:" and the route's name for
	// configured routes (no key ID holds a colon). It is called about three times
	// a minute for a session on a route. With "", and where it is nil, no
	// Wave-Session-ID is sent.
	SessionHandle func(session, app string) string
}

// A Gateway passes requests on. Its methods may be called by any number of
// goroutines.
type Gateway struct {
	cfg        Config
	origins    []string
	forward    forwardFilter
	cookies    nameList
	errorLog   *log.Logger
	identities identityCache
	buffers    bufferPool
	sockets    sockets
	apps       *Apps
	appOver    transport // carries requests to registered apps

	table atomic.Pointer[table]

	mu         sync.Mutex // guards transports and serialises Load
	transports map[transportKey]transport
}

// A handler answers the requests of one route.
type handler interface {
	serve(w http.ResponseWriter, r *http.Request, id *identity.Request) error
}

// table is one loaded policy. It does not change.
type table struct {
	policy   *policy.Policy
	handlers map[*policy.Route]handler
	previous map[*policy.Route]handler // for requests that were matched before the last Load
}

// New returns a Gateway without routes; Load gives it some.
func New(cfg Config) *Gateway {
	g := &Gateway{
		cfg:        cfg,
		forward:    newForwardFilter(cfg.ForwardHeaders),
		cookies:    nameList{append([]string(nil), cfg.CookieNames...)},
		identities: identityCache{signer: cfg.Signer, handle: cfg.SessionHandle},
		appOver:    newTransport(transportKey{timeout: policy.DefaultTimeout}, nil),
		transports: map[transportKey]transport{},
	}
	for _, origin := range cfg.AllowedOrigins {
		g.origins = append(g.origins, strings.TrimSuffix(origin, "/"))
	}
	if g.cfg.Log == nil {
		g.cfg.Log = slog.New(slog.DiscardHandler)
	}
	g.errorLog = slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelWarn)
	g.apps = &Apps{gateway: g}
	g.apps.table.Store(&appTable{})
	g.table.Store(&table{policy: &policy.Policy{}})
	return g
}

// Load makes the routes of p the ones that are served. It opens the folders
// and certificates that they name; the error tells every problem, one a line,
// each with the route's origin, and then the old routes stay. Connections are kept where the
// upstream's settings did not change.
func (g *Gateway) Load(p *policy.Policy) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := &table{policy: p, handlers: map[*policy.Route]handler{}, previous: g.table.Load().handlers}
	used := map[transportKey]transport{}
	var errs []error
	for _, route := range p.Routes() {
		h, err := g.build(route, used)
		if err != nil {
			for _, err := range eachOf(err) {
				errs = append(errs, fmt.Errorf("%s: %w", route.Origin, err))
			}
			continue
		}
		next.handlers[route] = h
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	g.table.Store(next)
	g.apps.recheck(p)
	for key, t := range g.transports {
		if used[key] == nil {
			t.CloseIdleConnections()
		}
	}
	g.transports = used
	return nil
}

// eachOf returns the errors that errors.Join made one of.
func eachOf(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the outermost only
		return joined.Unwrap()
	}
	return []error{err}
}

// build makes the handler of a route and enters the transport that it uses.
func (g *Gateway) build(route *policy.Route, used map[transportKey]transport) (handler, error) {
	switch route.Target.Scheme {
	case "file":
		return newFiles(route)
	case "static":
		return &static{route, route.StaticCode()}, nil
	}
	key, config, err := newTransportKey(route)
	if err != nil {
		return nil, err
	}
	over := used[key]
	if over == nil {
		over = g.transports[key]
	}
	if over == nil {
		over = newTransport(key, config)
	}
	used[key] = over
	return g.newProxy(route, over), nil
}

// Match returns the route that serves a request under p, the policy that will
// decide about it: one of the policy's or that of a registered app, whichever
// has the longer prefix; a route with a host of its own comes before every app.
// It returns nil where there is none.
//
// The error is a 400 *fault.Error: upstreams differ in how they read escapes,
// backslashes, empty segments and ";parameters", so a path that would belong to
// another route in one of its readings could be judged by the wrong rule.
func (g *Gateway) Match(p *policy.Policy, host, path string) (*policy.Route, error) {
	route := g.match(p, host, path)
	for reading := range policy.Readings(path) {
		if g.match(p, host, reading) != route {
			return nil, badPath("is spelled so that it may belong to another route")
		}
	}
	return route, nil
}

// match is Match for a path as it is.
func (g *Gateway) match(p *policy.Policy, host, path string) *policy.Route {
	route := p.Match(host, path)
	if route != nil && route.Host != "" {
		return route
	}
	app := g.apps.match(path)
	switch {
	case app == nil:
		return route
	case route == nil, len(app.route.Path) > len(route.Path), route.GivesWay && app.route.Path == route.Path:
		return app.route
	}
	return route
}

// Serve passes r on to where its route leads. The caller has authenticated and
// decided; r's context carries the identity.Request, whose Path is the one
// that CleanPath made of r's.
//
// An error is a *fault.Error and means that nothing has been written; with
// StatusClientGone nobody waits for an answer. An answer that breaks off half
// way panics with http.ErrAbortHandler, which must reach net/http.
//
// An informational answer (1xx) of the upstream clears the headers that w had
// before; what every final answer must carry belongs into w's WriteHeader.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, route *policy.Route) error {
	id := identity.FromContext(r.Context())
	if id == nil {
		return fault.From(errors.New("gateway: the request carries no identity.Request"))
	}
	h := g.handlerOf(route)
	if h == nil {
		return fault.NotFound()
	}
	return h.serve(w, r, id)
}

// handlerOf returns the handler of a route that Match returned, or nil.
func (g *Gateway) handlerOf(route *policy.Route) handler {
	if route == nil {
		return nil
	}
	t := g.table.Load()
	if h := t.handlers[route]; h != nil {
		return h
	}
	if h := t.previous[route]; h != nil {
		return h
	}
	if app := g.apps.match(route.Path); app != nil && app.route == route {
		return app.proxy
	}
	return nil
}

// Apps returns the registry of the apps that announced themselves.
func (g *Gateway) Apps() *Apps { return g.apps }

// Close ends the WebSockets that are open, waits for them, and closes the
// connections that no request uses. No WebSocket is opened after it.
func (g *Gateway) Close() {
	g.sockets.closeAll()
	g.apps.close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.transports {
		t.CloseIdleConnections()
	}
	g.appOver.CloseIdleConnections()
}
