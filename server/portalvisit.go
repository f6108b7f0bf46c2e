package server

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	desk "wavegate/server/manage"
	"wavegate/server/portal"
	"wavegate/server/seal"
	"wavegate/server/session"
)

// portalPath is where people manage what is theirs, below the base URL.
const portalPath = "/_portal/"

// openPortal makes the portal, where people can sign in.
func (s *Server) openPortal() error {
	if s.signIn == nil {
		return nil
	}
	secrets, err := s.secret.keys("portal drafts")
	if err != nil {
		return err
	}
	drafts, err := seal.New(secrets)
	if err != nil {
		return err
	}
	s.portal = desk.New(desk.Config{
		Base:    s.ownPathOf(portalPath),
		Origin:  s.originFor,
		Pages:   func() *portal.Pages { return s.look() },
		Drafts:  drafts,
		SignIn:  s.portalLogin,
		SignOut: s.ownPathOf(logoutPath),
	})
	return nil
}

// portalLogin is the login page that leads back to a page of the portal.
func (s *Server) portalLogin(next string, again bool) string {
	if again {
		return s.withNext(loginPath, s.safeNext(next), howToSwitch(true, true)...)
	}
	return s.withNext(loginPath, s.safeNext(next))
}

// originFor is the address of this server's API as the browser of a request knows it,
// without a slash at its end.
func (s *Server) originFor(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/") + strings.TrimSuffix(s.cfg.BaseURL, "/")
	}
	ex, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return strings.TrimSuffix(s.cfg.BaseURL, "/")
	}
	return ex.Scheme + "://" + ex.HostPort + strings.TrimSuffix(s.cfg.BaseURL, "/")
}

// toPortal leads to a page of the portal, "" for the first.
func (s *Server) toPortal(page string) func(*exchange, *http.Request) error {
	return func(ex *exchange, _ *http.Request) error {
		redirect(ex, http.StatusFound, s.ownPathOf(portalPath)+page)
		return nil
	}
}

// isHome reports whether a request that no route covers is for the first page of the
// server, which is the portal then.
func (s *Server) isHome(ex *exchange, r *http.Request) bool {
	return s.portal != nil && ex.Path == s.cfg.BaseURL && (r.Method == http.MethodGet || r.Method == http.MethodHead) && wantsPage(r.Method, r.Header)
}

// exchangeKey is where the context of a request to the portal carries its exchange.
type exchangeKey struct{}

// servePortal answers a request to the portal. One page is one request at the rate of
// whoever asks for it, whatever calls of the API it takes.
func (s *Server) servePortal(ex *exchange, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := sameOrigin(ex, r); err != nil {
			return err
		}
	}
	who, err := s.portalVisitor(ex, r)
	if err != nil {
		return err
	}
	r = r.WithContext(context.WithValue(ex.ctx, exchangeKey{}, ex))
	r.URL = &url.URL{Path: ex.Path, RawQuery: r.URL.RawQuery}
	return s.portal.Serve(ex, r, who)
}

// portalVisitor returns who sits before the browser, or nil.
func (s *Server) portalVisitor(ex *exchange, r *http.Request) (*desk.Visitor, error) {
	p, err := s.visitor(ex, r)
	if p == nil || err != nil {
		return nil, err
	}
	if ex.unattended = asksByItself(r); !ex.unattended {
		p.who.Active()
	}
	if err := s.take(ex, paced(p.who.Accounts)); err != nil {
		return nil, err
	}
	return &desk.Visitor{
		UserID: p.sess.UserID, Name: p.who.Username, Email: p.who.Email, Local: p.sess.Provider == session.Local, Secure: ex.Scheme == "https",
		Provider: s.providerLabel(p.sess.Provider),
		Call: func(ctx context.Context, c desk.Call) (*desk.Answer, error) {
			return s.callOwn(ctx, ex, r.Header, c)
		},
	}, nil
}

// liveHeader comes with what the script of a page fetches by itself, to show what has
// changed.
const liveHeader = "Wavegate-Live"

// asksByItself reports whether a page is fetched while nobody did anything. A page
// that is left open must not keep its session alive.
func asksByItself(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get(liveHeader) != ""
}

// providerLabel is who vouches for somebody, as people call it.
func (s *Server) providerLabel(name string) string {
	if p := s.signIn.providers.Load().get(name); p != nil {
		return p.spec.Label
	}
	return "a password of this service"
}

// callOwn makes a call of the management API on behalf of whoever sits before the
// browser of a request: the handler of the route table runs as if the browser had asked,
// with its session and nothing else of what it sent.
func (s *Server) callOwn(ctx context.Context, ex *exchange, from http.Header, c desk.Call) (*desk.Answer, error) {
	body, err := c.Payload()
	if err != nil {
		return nil, err
	}
	path, found, err := gateway.CleanPath(c.Path) // as if it had come from outside
	if err != nil {
		return nil, fault.From(err)
	}
	if found != 0 {
		return nil, errAmbiguousPath(found)
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, "http://wavegate.invalid"+c.Target(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = headerOfCall(from, c)
	kept := &keptAnswer{header: http.Header{}}
	inner := &exchange{
		Request: ex.Request, w: kept, ctx: ctx, server: s, start: ex.start, idValue: ex.idValue, method: c.Method, userAgent: ex.userAgent, unattended: ex.unattended,
		accounts: ex.accounts, verdict: ex.verdict, // charged once
	}
	inner.Principal, inner.Path, inner.Route = nil, path, ""
	if err := s.serveOwn(inner, r, path); err != nil {
		e := fault.From(err)
		if e.Status >= http.StatusInternalServerError {
			ex.fault = e // for the log: the page may say it in its own words
		}
		return nil, e
	}
	if kept.status >= http.StatusBadRequest {
		return nil, fault.New(kept.status, "internal", "The server could not answer this.")
	}
	return &desk.Answer{Status: kept.status, Header: kept.header, Body: kept.body.Bytes()}, nil
}

// headerOfCall is the header of a call that a page makes.
func headerOfCall(from http.Header, c desk.Call) http.Header {
	h := http.Header{"Cookie": from["Cookie"], "User-Agent": from["User-Agent"], "Sec-Fetch-Site": {"same-origin"}}
	if c.Body != nil {
		h.Set("Content-Type", "application/json")
	}
	if c.Once != "" {
		h.Set("Idempotency-Key", c.Once)
	}
	if c.Match != "" {
		h.Set("If-Match", `"`+c.Match+`"`)
	}
	return h
}

// A keptAnswer is an http.ResponseWriter that keeps the answer.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *keptAnswer) Header() http.Header { return k.header }

func (k *keptAnswer) WriteHeader(status int) { k.status = status }

func (k *keptAnswer) Write(p []byte) (int, error) { return k.body.Write(p) }
