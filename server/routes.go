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
		{"GET", "/_health/live", s.live},    // the process answers
		{"GET", "/_health/ready", s.ready},  // and wants traffic
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
	allowed := ""
	for _, rt := range s.table {
		if path != rt.path && (!strings.HasSuffix(rt.path, "/") || !strings.HasPrefix(path, rt.path)) {
			continue
		}
		if rt.method == "*" || rt.method == r.Method || rt.method == http.MethodGet && r.Method == http.MethodHead {
			ex.Route = rt.path
			return rt.serve(ex, r)
		}
		allowed = rt.method
	}
	if allowed != "" {
		return fault.MethodNotAllowed(allowed)
	}
	return fault.NotFound()
}

func (s *Server) assets(ex *exchange, r *http.Request) error {
	s.pages.Assets().ServeHTTP(ex, r)
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
