package server

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/seal"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
)

// TestAuthorizationServerWithoutAStoreConcludesNothing pulls out the cable to the
// database: every answer is a 5xx, never that something is inactive, revoked or wrong.
func TestAuthorizationServerWithoutAStoreConcludesNothing(t *testing.T) {
	t.Parallel()
	cable, database := newCable(t, storetest.Postgres(t))
	o := attackOAuth(t, "", func(c *Config) { c.Store = database })
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	known, fresh := o.letIn(ann, c), o.letIn(ann, c)
	code, device, pushed := ann.codeFor(ask(c)), o.device(c), o.pushed(c, ask(c))
	sealed, asked := ann.authorize(ask(c)).sealed(t), ann.typeIn(device.User).sealed(t)
	if o.opens(known.Access) != 200 {
		t.Fatal("the token opens nothing")
	}
	socket := o.socket(bearer(known.Access)...)
	cable.pull()
	eventually(t, "readiness tells", func() bool { return o.do("GET", "/_health/ready", "").StatusCode == 503 })
	unknownClient := app{"client_" + strings.Repeat("a", 26), "wgcs_" + strings.Repeat("A", 43)}
	for what, a := range map[string]answer{
		"a code":                      o.token(c, redeeming(code)),
		"an unknown code":             o.token(c, redeeming("wgac_"+strings.Repeat("A", 43))),
		"a refresh token":             o.token(c, refreshing(known.Refresh)),
		"an unknown refresh token":    o.token(c, refreshing("wgrt_"+strings.Repeat("A", 43))),
		"a device code":               o.token(c, polling(device.Code)),
		"an unknown client":           o.token(unknownClient, own),
		"introspection":               o.call("/oauth/introspect", c, url.Values{"token": {fresh.Access}}),
		"introspection of a refresh":  o.call("/oauth/introspect", c, url.Values{"token": {fresh.Refresh}}),
		"revocation":                  o.call("/oauth/revoke", c, url.Values{"token": {fresh.Access}}),
		"revocation of a refresh":     o.call("/oauth/revoke", c, url.Values{"token": {fresh.Refresh}}),
		"revocation of one in memory": o.call("/oauth/revoke", c, url.Values{"token": {known.Access}}),
		"a pushed request":            o.call("/oauth/par", c, ask(c)),
		"a device":                    o.call("/oauth/device", c, url.Values{}),
		"userinfo":                    o.do("GET", "/oauth/userinfo", "", bearer(fresh.Access)...),
		"the gateway":                 o.things(fresh.Access, "192.0.2.1"),
		"the page, pushed":            ann.authorize(pushed),
		"the page":                    ann.authorize(ask(c)),
		"the page of a stranger":      newBrowser(t, o.URL).authorize(ask(unknownClient)),
		"a decision":                  ann.decide(decisionPath, sealed, "allow"),
		"a device's decision":         ann.decide(deviceAllowPath, asked, "allow"),
		"a user code":                 ann.typeIn(device.User),
		"a client":                    o.by("ci", "GET", "/v1/auth/clients/"+c.ID, ""),
	} {
		if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q, %.300s", what, a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
		for _, never := range []string{"invalid_grant", "invalid_token", "invalid_client", `"active"`, "revoked", "PGSQL", "_token\""} {
			if strings.Contains(a.body, never) {
				t.Errorf("%s: the answer says %q", what, never)
			}
		}
		if a.Header.Get("Location") != "" {
			t.Errorf("%s: it leads to %q", what, a.Header.Get("Location"))
		}
	}
	if got := o.opens(known.Access); got != 200 { // remembered, for a bounded time
		t.Errorf("a token that is remembered: %d", got)
	}
	socket.stays("the store is down")
	cable.plug()
	eventually(t, "it works again", func() bool { return o.opens(fresh.Access) == 200 })
	eventually(t, "nothing was used up", func() bool { return o.token(c, redeeming(code)).StatusCode == 200 })
	o.token(c, refreshing(known.Refresh)).given(t)
	if !o.active(c, fresh.Refresh) {
		t.Error("a token ended with the cable")
	}
	if code := ann.decide(decisionPath, sealed, "allow").sentBack(t).Get("code"); code == "" {
		t.Error("the page has to be asked for again")
	}
}

// A lossy store does what it is told and says that it could not, while it is broken.
type lossy struct {
	*store.Store
	broken atomic.Bool
}

var errLost = errors.New("the answer of the database was lost")

// RedeemCode implements authz.Store.
func (l *lossy) RedeemCode(ctx context.Context, h authz.Hash, now time.Time, most int, decide func(authz.Code, authz.Grant) (authz.Refresh, time.Time, error)) (authz.Grant, error) {
	g, err := l.Store.RedeemCode(ctx, h, now, most, decide)
	if l.broken.Load() {
		err = errors.Join(err, errLost)
	}
	return g, err
}

// Rotate implements authz.Store.
func (l *lossy) Rotate(ctx context.Context, h authz.Hash, now time.Time, grace time.Duration, candidates []authz.Hash, next authz.Refresh, ends time.Time) (authz.Refresh, authz.Grant, error) {
	r, g, err := l.Store.Rotate(ctx, h, now, grace, candidates, next, ends)
	if l.broken.Load() {
		err = errors.Join(err, errLost)
	}
	return r, g, err
}

// RedeemDevice implements authz.Store.
func (l *lossy) RedeemDevice(ctx context.Context, h authz.Hash, now time.Time, most int, first authz.Refresh, ends time.Time) (authz.Grant, error) {
	g, err := l.Store.RedeemDevice(ctx, h, now, most, first, ends)
	if l.broken.Load() {
		err = errors.Join(err, errLost)
	}
	return g, err
}

// makeLossy puts l between a server's provider and its store.
func makeLossy(t *testing.T, s *Server, l *lossy) {
	t.Helper()
	l.Store = s.store
	signing, err := s.secret.keys("signing keys")
	must(t, err)
	refresh, err := s.secret.keys("refresh tokens")
	must(t, err)
	wrapping, err := seal.New(signing)
	must(t, err)
	s.oauth.Provider, err = authz.New(authz.Config{
		Issuer: s.oauth.prefix, Endpoints: endpointsAt(s.oauth.prefix), RefreshKeys: refresh,
		Seal:   func(name string, plain []byte) ([]byte, error) { return wrapping.Seal("k", name, plain) },
		Open:   func(name string, sealed []byte) ([]byte, error) { return wrapping.Open("k", name, sealed) },
		Rules:  func() *authz.Rules { return s.state.Load().oauth },
		Person: s.oauthPerson, Suspicious: s.suspectGrant, Log: s.log,
	}, l)
	must(t, err)
}

// TestAnAnswerThatIsLostAfterTheCodeWasUsedIsNeverGivenTwice: a store that fails between
// using something up and the answer. The client hears a 503; a refresh can be asked for
// again, a code gives nothing any more.
func TestAnAnswerThatIsLostAfterTheCodeWasUsedIsNeverGivenTwice(t *testing.T) {
	t.Parallel()
	l := &lossy{}
	o := attackOAuthWith(t, "", func(s *Server) { makeLossy(t, s, l) })
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	given := o.letIn(ann, c)
	code, device := ann.codeFor(ask(c)), o.device(c)
	ann.decide(deviceAllowPath, ann.typeIn(device.User).sealed(t), "allow").want(t, 200, "")
	l.broken.Store(true)
	for what, form := range map[string]url.Values{"a code": redeeming(code), "a device code": polling(device.Code), "a refresh token": refreshing(given.Refresh)} {
		a := o.token(c, form)
		a.refused(t, what, 503, "temporarily_unavailable")
		if a.Header.Get("Retry-After") == "" || strings.Contains(a.body, "lost") {
			t.Errorf("%s: %v %s", what, a.Header, a.body)
		}
	}
	l.broken.Store(false)
	o.token(c, redeeming(code)).refused(t, "the code again", 400, "invalid_grant")
	o.token(c, polling(device.Code)).refused(t, "the device code again", 400, "invalid_grant")
	next := o.token(c, refreshing(given.Refresh)).given(t)
	if again := o.token(c, refreshing(given.Refresh)).given(t); again.Refresh != next.Refresh {
		t.Error("two successors of one refresh token")
	}
	if o.opens(given.Access) != 200 {
		t.Error("a lost answer ended the family")
	}
}
