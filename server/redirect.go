package server

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"

	"wavegate/server/gateway"
)

// redirectHandler serves the plain-HTTP listener: ACME challenges, and a
// permanent redirect of everything else to https on the same host. The method
// and body are kept (308, RFC 9110, section 15.4.9).
func (s *Server) redirectHandler() http.Handler {
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), *s.headers.Load())
		target, ok := s.secureURL(r)
		if !ok {
			http.Error(w, "This address redirects to https and needs a valid Host header.", http.StatusBadRequest)
			return
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	if s.tls == nil {
		return redirect
	}
	return s.tls.ChallengeHandler(redirect)
}

// secureURL is the https address of the request's page. --public-url decides
// the host where it is given; else the Host header does, checked and without
// its port, and the port is that of -listen.
func (s *Server) secureURL(r *http.Request) (string, bool) {
	if r.Method == http.MethodConnect || !strings.HasPrefix(r.URL.EscapedPath(), "/") {
		return "", false
	}
	u := url.URL{Scheme: "https"}
	if public, err := url.Parse(s.cfg.PublicURL); err == nil && public.Host != "" {
		u.Host = public.Host
	} else {
		host, err := gateway.CleanHost(r.Host)
		if err != nil {
			return "", false
		}
		u.Host = withPort(host, s.cfg.Listen)
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
	if err != nil || port == "443" || port == "0" || port == "" {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}
