package server

import (
	"net/http"
	"net/url"
	"time"

	"wavegate/server/policy"
)

// A policyView is the policy in force, as administrators see it. Of secrets it has
// nothing but the names of the files that hold them; values of headers and of
// parameters, which can be secrets too, are left out.
type policyView struct {
	Files      []string         `json:"files"` // the policy's own first, then those that it names
	LoadedAt   string           `json:"loaded_at"`
	Routes     []routeView      `json:"routes"`
	Scopes     []policyScope    `json:"scopes"`
	Roles      []policyRole     `json:"roles"`
	AccessKeys []policyKey      `json:"access_keys"`
	Tiers      []tierView       `json:"tiers"`
	Defaults   policyDefaults   `json:"defaults"`
	Providers  []policyProvider `json:"providers"`
	Issuers    []policyIssuer   `json:"issuers"`
	OAuth      policyOAuth      `json:"oauth"`
	Webhooks   policyWebhooks   `json:"webhooks"`
}

// A routeView is a route. Of upstream, folder and status one is not null.
type routeView struct {
	Host          *string  `json:"host"` // null: any
	Path          string   `json:"path"`
	Origin        string   `json:"origin"` // where it was written
	Access        string   `json:"access"`
	Methods       []string `json:"methods"` // empty: every one
	Scopes        []string `json:"scopes"`  // all of them are asked for
	Roles         []string `json:"roles"`   // one of them
	Groups        []string `json:"groups"`  // one of them
	AllowUnlisted bool     `json:"allow_unlisted"`
	Upstream      *string  `json:"upstream"`
	Folder        *string  `json:"folder"`
	Status        *int     `json:"status"`
	RegisteredBy  *string  `json:"registered_by"` // ID of the access key of an app that announced itself
}

type policyScope struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Risk        *string  `json:"risk"`
	Endpoints   []string `json:"endpoints"`
}

type policyRole struct {
	Name        string              `json:"name"`
	Origin      *string             `json:"origin"` // null: built in
	Scopes      []string            `json:"scopes"`
	Permissions []policy.Permission `json:"permissions"`
	Members     []string            `json:"members"`
	Groups      []string            `json:"groups"`
	Tier        *string             `json:"rate_limit_tier"`
}

type policyKey struct {
	ID       string   `json:"id"`
	Origin   string   `json:"origin"`
	Scopes   []string `json:"scopes"`
	Roles    []string `json:"roles"`
	Register []string `json:"register"`
}

type policyDefaults struct {
	catalogDefaults
	Tier          string `json:"tier"`
	UserTier      string `json:"user_tier"`
	ClientTier    string `json:"client_tier"`
	AnonymousTier string `json:"anonymous_tier"`
}

type policyProvider struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Issuer string `json:"issuer"`
}

type policyIssuer struct {
	Name       string  `json:"name"`
	Issuer     string  `json:"issuer"`
	Audience   string  `json:"audience"`
	Role       *string `json:"role"`
	ScopeClaim *string `json:"scope_claim"`
}

// A policyOAuth are the rules of the authorization server; times are in seconds.
type policyOAuth struct {
	Enabled         bool               `json:"enabled"`
	Issuer          *string            `json:"issuer"` // null: there is no authorization server
	AccessLifetime  int64              `json:"access_token_lifetime"`
	RefreshLifetime int64              `json:"refresh_token_lifetime"`
	GrantLifetime   int64              `json:"grant_lifetime"`
	KeyLifetime     int64              `json:"signing_key_lifetime"`
	Resources       []string           `json:"resources"`
	Registration    policyRegistration `json:"registration"`
}

type policyRegistration struct {
	Enabled   bool     `json:"enabled"`
	Scopes    []string `json:"scopes"`
	PerIPHour int64    `json:"per_ip_per_hour"`
	Most      int64    `json:"most"`
}

type policyWebhooks struct {
	AllowNetworks []string `json:"allow_networks"`
	AllowHTTP     bool     `json:"allow_http"`
}

// getPolicy shows the policy in force to administrators.
func (s *Server) getPolicy(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	st := s.state.Load()
	p := st.policy
	v := policyView{
		Files: s.policyFiles(p), LoadedAt: rfc3339(st.loadedAt), Routes: s.viewRoutes(p), Scopes: []policyScope{}, Roles: []policyRole{},
		AccessKeys: []policyKey{}, Providers: s.viewProviders(), Issuers: []policyIssuer{}, OAuth: s.viewOAuth(p),
		Webhooks: policyWebhooks{texts(p.Webhooks().AllowNetworks), p.Webhooks().AllowHTTP},
	}
	for _, scope := range p.Scopes() {
		v.Scopes = append(v.Scopes, policyScope{scope.Name, scope.Description, orNull(scope.Risk), listed(scope.Endpoints)})
	}
	for _, role := range p.Roles() {
		v.Roles = append(v.Roles, policyRole{
			role.Name, orNull(role.Origin), listed(role.Scopes), role.Permissions, listed(role.Members), listed(role.Groups), orNull(role.Tier),
		})
	}
	for _, k := range p.KeyRules() {
		v.AccessKeys = append(v.AccessKeys, policyKey{k.ID, k.Origin, listed(k.Scopes), listed(k.Roles), listed(k.Register)})
	}
	for _, tier := range p.Tiers() {
		v.Tiers = append(v.Tiers, viewTier(&tier))
	}
	for _, is := range p.Issuers() {
		v.Issuers = append(v.Issuers, policyIssuer{is.Name, is.Issuer, is.Audience, orNull(is.Role), orNull(is.ScopeClaim)})
	}
	d := p.Defaults()
	v.Defaults = policyDefaults{viewDefaults(d), d.Tier, d.UserTier, d.ClientTier, d.AnonymousTier}
	return writeJSON(ex, http.StatusOK, v)
}

// listed is a list that is [] in JSON where it is empty.
func listed(list []string) []string { return append([]string{}, list...) }

// policyFiles are the policy's file, where there is one, and those that it names.
func (s *Server) policyFiles(p *policy.Policy) []string {
	files := []string{}
	if s.cfg.PolicyFile != "" {
		files = append(files, s.cfg.PolicyFile)
	}
	return append(files, p.Files()...)
}

// viewRoutes are the routes of the policy and of the flags, and then those of apps
// that announced themselves.
func (s *Server) viewRoutes(p *policy.Policy) []routeView {
	views := []routeView{}
	for _, route := range p.Routes() {
		views = append(views, viewRoute(route))
	}
	for _, app := range s.gateway.Apps().List() {
		views = append(views, routeView{
			Path: app.Route, Origin: "app registered by " + app.Owner, Access: policy.Authenticated.String(),
			Methods: []string{}, Scopes: []string{}, Roles: []string{}, Groups: []string{},
			Upstream: orNull(bareURL(app.Address)), RegisteredBy: orNull(app.Owner),
		})
	}
	return views
}

func viewRoute(r *policy.Route) routeView {
	v := routeView{
		Host: orNull(r.Host), Path: r.Path, Origin: r.Origin, Access: r.Access.String(), Methods: listed(r.Methods),
		Scopes: listed(r.Require.Scopes), Roles: listed(r.Require.Roles), Groups: listed(r.Require.Groups), AllowUnlisted: r.AllowUnlisted,
	}
	switch code := r.StaticCode(); {
	case code != 0:
		v.Status = &code
	case r.Target != nil && r.Target.Scheme == "file":
		v.Folder = &r.Target.Path
	case r.Target != nil:
		v.Upstream = orNull(bareURL(r.Target.String()))
	}
	return v
}

// bareURL is an address without what may be a secret in it: user, query, fragment. It
// is "" for what is no address.
func bareURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// viewProviders are the providers at which people sign in, that of the flags
// included.
func (s *Server) viewProviders() []policyProvider {
	views := []policyProvider{}
	if s.signIn == nil {
		return views
	}
	for _, p := range s.signIn.providers.Load().all() {
		views = append(views, policyProvider{p.spec.Name, p.spec.Label, p.spec.Issuer})
	}
	return views
}

func (s *Server) viewOAuth(p *policy.Policy) policyOAuth {
	o := p.OAuth()
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	v := policyOAuth{
		Enabled: o.Enabled, AccessLifetime: seconds(o.AccessLifetime), RefreshLifetime: seconds(o.RefreshLifetime),
		GrantLifetime: seconds(o.GrantLifetime), KeyLifetime: seconds(o.KeyLifetime), Resources: listed(o.Resources),
		Registration: policyRegistration{
			o.Registration.Enabled, listed(o.Registration.Scopes), o.Registration.PerIPHour, o.Registration.Most,
		},
	}
	if s.oauth != nil && o.Enabled {
		v.Issuer = orNull(s.oauth.prefix)
	}
	return v
}
