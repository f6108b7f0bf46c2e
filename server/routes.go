package server

import (
	"net/http"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/policy"
)

// routes is the whole surface of this server: every endpoint of its own, below
// the base URL. Whatever is not here goes to the gateway, whose routes come
// from --upstream, the policy file, the folders and the registered apps.
//
// One endpoint more has no line of its own: POST to the base URL itself
// registers an app (registration.go).
func (s *Server) routes() []route {
	return []route{
		// Forward authentication for other proxies.
		{"*", "/_auth/verify", s.verify},    // nginx auth_request: status only
		{"*", "/_auth/forward", s.forward},  // Traefik, Caddy, HAProxy
		{"*", "/_auth/forward/", s.forward}, // Envoy appends the path that it asks about
		{"GET", "/_auth/assets/", s.assets}, // style and pictures of the pages
		{"GET", "/oauth/jwks", s.jwks},      // keys that verify Wave-Assertion

		// Sign-in in the browser. There is nothing here where nobody could sign in.
		{"GET", loginPath, s.withSignIn(s.login)},                                // page: providers and form
		{"POST", loginPath, s.withSignIn(s.signInLocally)},                       // the form: local users
		{"GET", initPath, s.withSignIn(s.beginLogin)},                            // to a provider
		{"GET", callbackPath, s.withSignIn(withoutHead(s.callback))},             // and back
		{"GET", logoutPath, s.withSignIn(withoutHead(s.logout))},                 // asks first when another site links here
		{"POST", logoutPath, s.withSignIn(s.logout)},                             //
		{"GET", signedOutPath, s.withSignIn(s.signedOut)},                        //
		{"GET", forgetPath, s.withSignIn(s.forget)},                              // a picture on that page: the browser keeps nothing
		{"POST", "/_auth/backchannel-logout", s.withSignIn(s.backchannelLogout)}, // the provider says who signed out there
		{"GET", accountPath, s.withSignIn(s.account)},                            // who am I, where am I signed in
		{"POST", "/_auth/account/end", s.withSignIn(s.endOwn(false))},
		{"POST", "/_auth/account/end-others", s.withSignIn(s.endOwn(true))},
		{"POST", "/_auth/account/password", s.withSignIn(s.changePassword)},

		// The same for programs.
		{"GET", "/_auth/userinfo", s.userinfo},                     // who am I
		{"POST", "/_auth/token", s.withSignIn(s.sessionToken)},     // a token of ten minutes
		{"*", "/_auth/refresh", s.withSignIn(s.refresh)},           // waved: fresh tokens of a session for an app
		{"GET", "/v1/auth/sessions", s.withSignIn(s.listSessions)}, // one's own; admins: everybody's
		{"DELETE", "/v1/auth/sessions/", s.withSignIn(s.deleteSession)},
		{"GET", "/v1/auth/users", s.withSignIn(s.listUsers)}, // admins
		{"GET", "/v1/auth/users/", s.withSignIn(s.getUser)},
		{"PATCH", "/v1/auth/users/", s.withSignIn(s.changeUser)}, // disable, enable

		{"GET", "/_health/live", s.live},   // the process answers
		{"GET", "/_health/ready", s.ready}, // and wants traffic
	}
}

// A route is one endpoint of the server's own. A path that ends in a slash
// stands for everything below it; the method "*" is any, and GET serves HEAD.
type route struct {
	method, path string
	serve        func(*exchange, *http.Request) error
}

// ownPath returns path relative to the base URL when this server answers it
// itself.
func (s *Server) ownPath(path string) (string, bool) {
	if !strings.HasPrefix(path, s.cfg.BaseURL) {
		return "", false
	}
	own := path[len(s.cfg.BaseURL)-1:] // from the slash that the base URL ends in
	return own, policy.Reserved(own)
}

// serveOwn finds the line of the table.
func (s *Server) serveOwn(ex *exchange, r *http.Request, path string) error {
	var allowed []string
	for _, rt := range s.table {
		if path != rt.path && (!strings.HasSuffix(rt.path, "/") || !strings.HasPrefix(path, rt.path)) {
			continue
		}
		if rt.method == "*" || rt.method == r.Method || rt.method == http.MethodGet && r.Method == http.MethodHead {
			ex.Route = rt.path
			return rt.serve(ex, r)
		}
		allowed = append(allowed, rt.method)
	}
	if len(allowed) > 0 {
		return fault.MethodNotAllowed(strings.Join(allowed, ", "))
	}
	return fault.NotFound()
}

// withoutHead refuses HEAD where a GET changes something.
func withoutHead(serve func(*exchange, *http.Request) error) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		if r.Method == http.MethodHead {
			return fault.MethodNotAllowed(http.MethodGet)
		}
		return serve(ex, r)
	}
}

func (s *Server) assets(ex *exchange, r *http.Request) error {
	s.look().Assets().ServeHTTP(ex, r)
	return nil
}

// jwks publishes the keys that verify Wave-Assertion (RFC 7517).
func (s *Server) jwks(ex *exchange, _ *http.Request) error {
	h := ex.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	ex.WriteHeader(http.StatusOK)
	_, _ = ex.Write(s.signer.JWKS())
	return nil
}
