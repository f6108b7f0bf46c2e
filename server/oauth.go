package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/audit"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/seal"
	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/token"
	"wavegate/server/webhook"
)

// oauth is the authorization server of our own, as far as HTTP is concerned. A
// Server whose address is not known has none.
type oauth struct {
	*authz.Provider
	sealing seal.Keys // of what a consent page sends back
	prefix  string    // absolute URL of the base URL, without the slash at its end

	inserted string // path of the metadata beside the usual one; "" for none
}

// The paths of the authorization server that browsers see, below the base URL.
const (
	metadataPath    = "/.well-known/oauth-authorization-server"
	authorizePath   = "/oauth/authorize"
	decisionPath    = "/oauth/authorize/decision"
	devicePath      = "/oauth/device"
	deviceCodePath  = "/oauth/device/code"
	deviceAllowPath = "/oauth/device/decision"
	oauthLogoutPath = "/oauth/logout"
	confirmPath     = "/oauth/logout/confirm"
)

// oauthPrefix returns the absolute URL under which this server's own endpoints
// are, which is the issuer: of --public-url, or of a listener whose port is known,
// for whoever tries things out on their own machine. It is "" where neither says.
func (c Config) oauthPrefix() string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/") + strings.TrimSuffix(c.BaseURL, "/")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" || port == "0" || strings.HasPrefix(c.Listen, "unix:") {
		return ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	scheme := "http"
	if c.TLS.Enabled() {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + strings.TrimSuffix(c.BaseURL, "/")
}

// openOAuth makes the authorization server, unless the policy wants none. Turning
// it on needs a restart; its other settings are followed.
func (s *Server) openOAuth() error {
	prefix := s.cfg.oauthPrefix()
	p, err := s.readPolicy()
	if err != nil || s.store == nil || !p.OAuth().Enabled {
		return err
	}
	if prefix == "" {
		s.log.Info("there is no authorization server, since the address of this one is not known: give --public-url to have one")
		return nil
	}
	if u, err := url.Parse(prefix); err == nil && u.Scheme == "http" && !isLoopbackName(u.Hostname()) {
		s.log.Warn("the issuer is on plain http, where whoever is on the way reads codes and tokens: serve https, and say so in --public-url", "issuer", prefix)
	}
	forms, err := s.secret.keys("consent forms")
	if err != nil {
		return err
	}
	signing, err := s.secret.keys("signing keys")
	if err != nil {
		return err
	}
	refresh, err := s.secret.keys("refresh tokens")
	if err != nil {
		return err
	}
	o := &oauth{prefix: prefix, inserted: insertedPath(prefix)}
	wrapping, err := seal.New(signing)
	if err != nil {
		return err
	}
	if o.sealing, err = seal.New(forms); err != nil {
		return err
	}
	const kind = "wavegate signing key"
	o.Provider, err = authz.New(authz.Config{
		Issuer: prefix, Endpoints: endpointsAt(prefix), RefreshKeys: refresh,
		Seal:   func(name string, plain []byte) ([]byte, error) { return wrapping.Seal(kind, name, plain) },
		Open:   func(name string, sealed []byte) ([]byte, error) { return wrapping.Open(kind, name, sealed) },
		Rules:  func() *authz.Rules { return s.state.Load().oauth },
		Person: s.oauthPerson, Suspicious: s.suspectGrant, Log: s.log,
	}, s.store)
	if err != nil {
		return err
	}
	s.oauth = o
	return nil
}

// insertedPath is where the metadata of an issuer with a path are for clients of RFC
// 8414, section 3.1: the well-known part stands before the path. It is "" for an
// issuer without one, whose metadata have one place.
func insertedPath(prefix string) string {
	if u, err := url.Parse(prefix); err == nil && u.Path != "" {
		return metadataPath + u.Path
	}
	return ""
}

// isLoopbackName reports whether a host is this very machine.
func isLoopbackName(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// endpointsAt says where the authorization server answers.
func endpointsAt(prefix string) authz.Endpoints {
	return authz.Endpoints{
		Authorize: prefix + authorizePath, Token: prefix + "/oauth/token", Revoke: prefix + "/oauth/revoke",
		Introspect: prefix + "/oauth/introspect", UserInfo: prefix + "/oauth/userinfo", Device: prefix + devicePath,
		PAR: prefix + "/oauth/par", Logout: prefix + "/oauth/logout", JWKS: prefix + "/oauth/jwks", Register: prefix + "/oauth/register",
	}
}

// newState is what requests are decided by under a policy.
func (s *Server) newState(p *policy.Policy, shared *token.Shared) *state {
	o := p.OAuth()
	if s.oauth == nil && o.Enabled && s.cfg.oauthPrefix() != "" && s.state.Load() != nil {
		s.log.Warn("the policy turns the authorization server on, which was off at the start: restart for it")
	}
	rules := &authz.Rules{
		SignIn: s.signIn != nil, Registration: o.Registration.Enabled,
		AccessLifetime: o.AccessLifetime, RefreshLifetime: o.RefreshLifetime, GrantLifetime: o.GrantLifetime,
		KeyLifetime: o.KeyLifetime, Resources: o.Resources,
		Known: func(scope string) bool { return len(p.GrantToken([]string{scope})) == 1 },
	}
	for _, scope := range p.Scopes() {
		rules.Scopes = append(rules.Scopes, scope.Name)
	}
	return &state{policy: p, loadedAt: time.Now(), oauth: rules, oauthOff: !o.Enabled, shared: shared}
}

// oauthPerson is a user of the store as the authorization server knows people.
func (s *Server) oauthPerson(ctx context.Context, userID string) (*authz.Person, error) {
	if s.signIn == nil || s.signIn.sessions == nil {
		return nil, authz.ErrNoPerson
	}
	u, err := s.signIn.sessions.User(ctx, userID)
	if errors.Is(err, session.ErrNoUser) || err == nil && !s.stands(&u) {
		return nil, authz.ErrNoPerson
	}
	if err != nil {
		return nil, err
	}
	return s.giver(s.userPrincipal(&u, s.state.Load().policy), u.ID), nil
}

// stands reports whether somebody vouches for a user who is not disabled.
func (s *Server) stands(u *session.User) bool {
	if !u.DisabledAt.IsZero() {
		return false
	}
	if u.Provider == session.Local {
		return s.signIn.users.Has(u.Subject)
	}
	p := s.signIn.providers.Load().get(u.Provider)
	return p != nil && p.Issuer() == u.Issuer && p.spec.Admits(u.Email, u.Groups)
}

// userPrincipal is who a user would be in a browser now, under a policy.
func (s *Server) userPrincipal(u *session.User, rules *policy.Policy) *identity.Principal {
	p := &identity.Principal{
		Method: identity.MethodSession, Subject: s.signIn.providers.Load().subject(u.Provider, u.Subject),
		Username: u.Username, Email: u.Email, Groups: u.Groups, Assigned: u.Roles,
	}
	if from := s.signIn.providers.Load().get(u.Provider); from != nil && from.spec.Foreign {
		p.Email, p.Groups = "", nil
	}
	p.Owner = "sub:" + p.Subject
	rules.Grant(p)
	return p
}

// giver is a principal as somebody who gives apps what they hold.
func (s *Server) giver(who *identity.Principal, userID string) *authz.Person {
	rules := s.state.Load().policy
	return &authz.Person{
		UserID: userID, Subject: who.Subject, Username: who.Username, Email: who.Email, Groups: who.Groups,
		May: func(scope string) bool { return rules.MayGive(who, scope) },
	}
}

// suspectGrant tells the owner of a client, and the person, that a code or a
// refresh token of theirs came a second time: somebody else may have it.
func (s *Server) suspectGrant(ctx context.Context, g authz.Grant, what string) {
	id, ip := "", ""
	if req := identity.FromContext(ctx); req != nil {
		id, ip = req.ID, req.ClientIP.String()
	}
	s.log.Warn("suspicious activity", "request_id", id, "client", g.ClientID, "grant", g.ID, "kind", what, "client_ip", ip)
	now, owner := time.Now(), "sub:"+g.Subject
	data := map[string]any{"client_id": g.ClientID, "grant_id": g.ID, "kind": what, "ip": ip, "request_id": id}
	s.queueNote(func(ctx context.Context) store.Journal {
		events := []webhook.Event{event(webhook.SuspiciousActivity, owner, data)}
		if c, err := s.store.Client(ctx, g.ClientID); err == nil && c.Owner != owner {
			events = append(events, event(webhook.SuspiciousActivity, c.Owner, data))
		}
		return store.Journal{
			Audit: []audit.Entry{{
				At: now, Actor: "client:" + g.ClientID, IP: ip, RequestID: id,
				Action: "grant.suspicious", Target: g.ID, Owner: owner, Outcome: what,
			}},
			Events: events,
		}
	})
}

// oauthChanged tells the authorization server of a change that this process made,
// before the store does: whoever asks next must see it.
func (s *Server) oauthChanged(kind, key string) {
	if s.oauth != nil {
		s.oauth.Apply([]authz.Change{{Kind: kind, Key: key}})
	}
}

// oauthChanges are the changes of the store that the authorization server follows.
func oauthChanges(changes []session.Change) []authz.Change {
	kinds := []string{authz.ChangedClient, authz.ChangedGrant, authz.ChangedToken, authz.ChangedKeys, authz.ChangedUser}
	var list []authz.Change
	for _, ch := range changes {
		if slices.Contains(kinds, ch.Kind) {
			list = append(list, authz.Change{Kind: ch.Kind, Key: ch.Key})
		}
	}
	return list
}

// formTarget returns the origin of an absolute URL, or its scheme with a colon where
// it has no host.
func formTarget(raw string) string {
	if o := origin(raw); o != "" {
		return o
	}
	if u, err := url.Parse(raw); err == nil && u.Scheme != "" {
		return u.Scheme + ":"
	}
	return ""
}
