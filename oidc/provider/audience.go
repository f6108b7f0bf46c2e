package provider

import (
	"net/url"
	"slices"
	"strings"
)

// A place is where a resource is (RFC 8707): a host in lower case, without port and
// trailing dot, and a path without trailing slash.
type place struct{ host, path string }

// Covers reports whether the token is for this server (the issuer is in its
// audience), or for a resource at host that path lies in. The path is one that
// nothing has to be taken out of any more ("..").
func (p *Provider) Covers(t *AccessToken, host, path string) bool {
	if slices.Contains(t.Audience, p.cfg.Issuer) {
		return true
	}
	name := hostname(host)
	for _, at := range t.where() {
		if strings.EqualFold(at.host, name) && at.has(path) {
			return true
		}
	}
	return false
}

// has reports whether path is the resource's, or one below it.
func (at place) has(path string) bool {
	rest, ok := strings.CutPrefix(path, at.path)
	return ok && (rest == "" || rest[0] == '/')
}

// where returns the places of the audience, which are found out once.
func (t *AccessToken) where() []place {
	if list := t.places.Load(); list != nil {
		return *list
	}
	list := []place{}
	for _, aud := range t.Audience {
		u, err := url.Parse(aud)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			continue
		}
		list = append(list, place{hostname(u.Host), strings.TrimRight(u.Path, "/")})
	}
	t.places.Store(&list)
	return list
}

// hostname returns a host without port, brackets and trailing dot.
func hostname(host string) string {
	u := url.URL{Host: host}
	return strings.TrimSuffix(u.Hostname(), ".")
}
