package policy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"wavegate/server/identity"
)

// An Ask is one request, as far as a decision needs it.
type Ask struct {
	Route     *Route // nil where no route covers the request: any credential is wanted
	Method    string // as sent; HEAD counts as GET
	Path      string // normalised, decoded
	WebSocket bool   // the request opens a WebSocket
}

// A Decision is the answer to an Ask. The zero value refuses.
type Decision struct {
	Allow  bool
	Reason Reason
	Need   []string // scopes (all of require's, one of an endpoint's), roles, groups or methods that would do; not to be changed
}

// Reason says why a Decision is as it is.
type Reason uint8

// The reasons. All but Allowed refuse.
const (
	NoCredential      Reason = iota // nobody is authenticated
	NotSignedIn                     // the route is for browser sessions
	NotKey                          // the route is for access keys and API keys
	InsufficientScope               // Need lists scopes
	InsufficientRole                // Need lists roles, one of which would do
	InsufficientGroup               // Need lists groups, one of which would do
	MethodNotAllowed                // Need lists the methods for the Allow header
	Allowed
)

// String returns the reason as a word for logs and metrics.
func (r Reason) String() string {
	switch r {
	case NoCredential:
		return "no_credential"
	case NotSignedIn:
		return "not_signed_in"
	case NotKey:
		return "not_key"
	case InsufficientScope:
		return "insufficient_scope"
	case InsufficientRole:
		return "insufficient_role"
	case InsufficientGroup:
		return "insufficient_group"
	case MethodNotAllowed:
		return "method_not_allowed"
	case Allowed:
		return "allowed"
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// Status returns the HTTP status that goes with the reason: 200, 401, 403 or
// 405.
func (r Reason) Status() int {
	switch r {
	case Allowed:
		return http.StatusOK
	case NoCredential:
		return http.StatusUnauthorized
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	}
	return http.StatusForbidden
}

// Decide says whether who may do what ask asks for. A nil who is anonymous. It
// allocates nothing.
func (p *Policy) Decide(who *identity.Principal, ask Ask) Decision {
	route := ask.Route
	if route == nil {
		route = &Route{} // access authenticated, nothing more; does not escape
	}
	if d := decideAccess(who, route); !d.Allow {
		return d
	}
	if !route.allowsMethod(handshakeMethod(ask)) {
		return Decision{Reason: MethodNotAllowed, Need: route.Methods}
	}
	if route.Access == Public {
		return Decision{Allow: true, Reason: Allowed}
	}
	if d := decideRequire(who, route); !d.Allow {
		return d
	}
	return p.decideScope(who, route, ask)
}

// handshakeMethod returns the method that the route's list is asked for: a
// WebSocket over HTTP/2 comes as CONNECT and counts as the GET that it is over
// HTTP/1.1.
func handshakeMethod(ask Ask) string {
	if ask.WebSocket {
		return http.MethodGet
	}
	return ask.Method
}

// decideAccess checks the kind of credential that the route wants.
func decideAccess(who *identity.Principal, route *Route) Decision {
	if route.Access == Public {
		return Decision{Allow: true, Reason: Allowed}
	}
	if who == nil || who.Method == identity.MethodNone {
		return Decision{Reason: NoCredential}
	}
	switch route.Access {
	case Authenticated:
		return Decision{Allow: true, Reason: Allowed}
	case SignedIn:
		return allowIf(who.Method == identity.MethodSession, NotSignedIn, nil)
	default: // Keys; whatever is unknown is held to the same
		return allowIf(who.Method == identity.MethodAccessKey || who.Method == identity.MethodAPIKey, NotKey, nil)
	}
}

// decideRequire checks what the route requires: all scopes, one role, one group.
func decideRequire(who *identity.Principal, route *Route) Decision {
	need := &route.Require
	for _, scope := range need.Scopes {
		if !who.HasScope(scope) {
			return Decision{Reason: InsufficientScope, Need: need.Scopes}
		}
	}
	if len(need.Roles) > 0 && !haveCommon(need.Roles, who.Roles) {
		return Decision{Reason: InsufficientRole, Need: need.Roles}
	}
	return allowIf(len(need.Groups) == 0 || haveCommon(need.Groups, who.Groups), InsufficientGroup, need.Groups)
}

// decideScope checks the scopes whose endpoints cover the request. A path that
// an upstream may read as one of another endpoint needs "*". An OAuth access token
// that was given no scope is for signing in, and opens nothing where no scope is
// asked for either.
func (p *Policy) decideScope(who *identity.Principal, route *Route, ask Ask) Decision {
	if isOAuth(who) && len(who.Scopes) == 0 {
		return Decision{Reason: InsufficientScope, Need: p.needAll}
	}
	if len(p.scopes) == 0 {
		return Decision{Allow: true, Reason: Allowed}
	}
	if who.HasScope(identity.ScopeAll) {
		return Decision{Allow: true, Reason: Allowed}
	}
	need := p.endpoints.lookup(ask)
	switch {
	case need != nil && !slices.ContainsFunc(need, who.HasScope):
		return Decision{Reason: InsufficientScope, Need: need}
	case need == nil && !route.AllowUnlisted && (who.Method != identity.MethodSession || isOdd(ask.Path)):
		return Decision{Reason: InsufficientScope, Need: p.needAll}
	}
	return allowIf(!p.hidesEndpoint(ask, need), InsufficientScope, p.needAll)
}

// isOdd reports whether a normalised path may mean another path to the
// upstream, so that an endpoint could cover it after all: it has one of the
// PathFeatures, which only a route that allows them lets through.
func isOdd(path string) bool {
	if strings.Contains(path, "//") || strings.Contains(path, `\`) {
		return true
	}
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '%' && isHex(path[i+1]) && isHex(path[i+2]) {
			return true
		}
	}
	return false
}

// allowIf allows where ok is true and refuses for the reason otherwise.
func allowIf(ok bool, reason Reason, need []string) Decision {
	if ok {
		return Decision{Allow: true, Reason: Allowed}
	}
	return Decision{Reason: reason, Need: need}
}

// haveCommon reports whether the two short lists share a member.
func haveCommon(a, b []string) bool {
	for _, s := range a {
		if slices.Contains(b, s) {
			return true
		}
	}
	return false
}
