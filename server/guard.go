package server

import (
	"net/http"
	"slices"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// serveRoute is the way of a guarded request: route, path, who, may they,
// upstream. Forward authentication (forwardauth.go) walks the same steps
// through admit, without the last.
func (s *Server) serveRoute(ex *exchange, r *http.Request, found policy.PathFeature) error {
	st := s.state.Load()
	rt, err := s.gateway.Match(st.policy, ex.Host, ex.Path)
	if err != nil {
		return err
	}
	if rt == nil && s.isHome(ex, r) {
		return s.toPortal("")(ex, r)
	}
	if rt == nil {
		return fault.NotFound()
	}
	ex.Route = rt.Name
	if rt.App {
		ex.label = "app" // apps come and go under names of their own
	}
	if s.gateway.Preflight(ex, r, rt) {
		return nil
	}
	if err := s.admit(ex, r, st, policy.Ask{Route: rt, Method: r.Method, Path: ex.Path, WebSocket: gateway.IsWebSocket(r)}, found); err != nil {
		return s.orSignIn(ex, r, err, r.Method, r.URL.RequestURI())
	}
	if s.byBrowser(ex.Principal) {
		s.dropOwn(r.Header)
	}
	return s.gateway.Serve(ex, r, rt)
}

// admit decides about a request: ambiguous spellings of the path, then who
// asks, then what the policy says. It fills in ex.Principal.
func (s *Server) admit(ex *exchange, r *http.Request, st *state, ask policy.Ask, found policy.PathFeature) error {
	var allowed policy.PathFeature
	access := policy.Authenticated
	if ask.Route != nil {
		allowed, access = ask.Route.AllowInPath, ask.Route.Access
	}
	if bad := found &^ allowed; bad != 0 {
		return errAmbiguousPath(bad)
	}
	if access != policy.Public {
		who, err := s.authenticate(ex, r.Header, st, access)
		if err != nil {
			return err
		}
		ex.Principal = who
	}
	if err := refusal(st.policy.Decide(ex.Principal, ask), ask); err != nil {
		return err
	}
	return s.take(ex, s.payers(ex, st, ask.Route))
}

func errAmbiguousPath(bad policy.PathFeature) error {
	return fault.New(http.StatusBadRequest, "invalid_request",
		"The path holds "+bad.String()+", which servers read in different ways, and this route does not allow it.")
}

// refusal turns a decision into the answer of the contract.
func refusal(d policy.Decision, ask policy.Ask) error {
	if d.Allow {
		return nil
	}
	switch d.Reason {
	case policy.NoCredential:
		if ask.Route != nil && ask.Route.Access == policy.Keys {
			return errNoKey
		}
		return errNoCredential
	case policy.MethodNotAllowed:
		return fault.MethodNotAllowed(strings.Join(ask.Route.Methods, ", "))
	case policy.InsufficientScope:
		need := strings.Join(d.Need, " ")
		if need == "" {
			need = identity.ScopeAll
		}
		e := fault.New(http.StatusForbidden, "insufficient_scope", "This credential lacks the scope for the request; it needs: "+need+".")
		return lacking(e.WithHeader("WWW-Authenticate", scopeChallenge(need)), "scope", d.Need)
	case policy.NotSignedIn:
		return fault.New(http.StatusForbidden, "sign_in_required", "This address is for people who are signed in; a key does not open it.")
	case policy.NotKey:
		return fault.New(http.StatusForbidden, "key_required", "This address is for keys; a browser session does not open it.")
	case policy.InsufficientGroup:
		return lacking(errInsufficientRole, "group", d.Need)
	default:
		return lacking(errInsufficientRole, "role", d.Need)
	}
}

// scopeChallenge says which scopes would do (RFC 6750, section 3.1). Names of scopes
// hold no quotes.
func scopeChallenge(need string) string {
	return `Bearer realm="wavegate", error="insufficient_scope", scope="` + need + `"`
}

var errInsufficientRole = fault.New(http.StatusForbidden, "insufficient_role", "This credential lacks the role or group that the address asks for.")

// lacking says what would have done.
func lacking(e *fault.Error, what string, need []string) error {
	c := *e
	for _, n := range need {
		c.Need = append(c.Need, what+" "+n)
	}
	return &c
}

// byBrowser reports whether no Authorization header was looked at: nobody asked,
// or a session's cookie decided.
func (s *Server) byBrowser(who *identity.Principal) bool {
	return who == nil || who.Method == identity.MethodSession
}

// dropOwn removes a credential that nobody asked for, on a public route, and that
// this server knows: it must not travel on to the upstream. Every other one
// belongs to the app behind.
func (s *Server) dropOwn(h http.Header) {
	drop := func(name string, read func(string) (credential, error)) {
		if slices.ContainsFunc(h[name], func(value string) bool {
			c, err := read(value)
			return err == nil && s.isOwn(c)
		}) {
			delete(h, name)
		}
	}
	drop("Authorization", parseAuthorization)
	drop("X-Api-Key", bearerCredential)
}
