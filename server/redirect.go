package server

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/gateway"
)

// redirectHandler serves the plain-HTTP listener: ACME challenges, and a
// permanent redirect of everything else to https on the same host.
func (s *Server) redirectHandler() http.Handler {
	next := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.chain(w, r, s.redirect) }))
	if s.tls == nil {
		return next
	}
	return s.tls.ChallengeHandler(next)
}

// redirect keeps method and body (308, RFC 9110, section 15.4.9).
func (s *Server) redirect(ex *exchange, r *http.Request) error {
	ex.Route = "redirect to https"
	target, ok := s.secureURL(r)
	if !ok {
		return fault.New(http.StatusBadRequest, "invalid_request", "This address redirects to https and needs a valid Host header.")
	}
	ex.Header()["Location"] = []string{target}
	ex.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// secureURL is the https address of the request's page. --public-url decides
// the host where it is given; else the Host header does, checked and without
// its port, and the port is that of the TLS listener.
func (s *Server) secureURL(r *http.Request) (string, bool) {
	if r.Method == http.MethodConnect || !strings.HasPrefix(r.URL.EscapedPath(), "/") {
		return "", false
	}
	u := url.URL{Scheme: "https"}
	if public, err := url.Parse(s.cfg.PublicURL); err == nil && public.Host != "" {
		u.Host = public.Host
	} else {
		host, err := gateway.CleanHost(r.Host)
		if err != nil || host == "" {
			return "", false
		}
		u.Host = withPort(host, s.Addr().String())
	}
	return u.String() + r.URL.EscapedPath() + querySuffix(r.URL.RawQuery), true
}

func querySuffix(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}

// withPort adds the port of the listen address unless it is https's own.
func withPort(host, listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil || port == "443" {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}
