package server

import (
	"net/url"
	"strings"

	"wavegate/server/gateway"
)

// maxNext bounds the address to which a login leads back, in bytes: it travels
// in a cookie.
const maxNext = 2000

// safeNext returns the address to which a login may lead: a path on this very
// origin with its query, or home for everything else. Browsers take more for
// another origin than URL parsers do ("/\host", "//host", tabs that they drop),
// and so do proxies that decode once more.
func (s *Server) safeNext(next string) string {
	home := s.cfg.BaseURL
	if next == "" || len(next) > maxNext || !isLocalTarget(next) {
		return home
	}
	raw, _, _ := strings.Cut(next, "?")
	path, _, err := gateway.CleanPath(raw)
	if err != nil || !isLocalTarget(path) {
		return home
	}
	if own, ok := s.ownPath(path); ok && strings.HasPrefix(own, "/_auth/") {
		return home // a login that leads to a login or a logout helps nobody
	}
	return next
}

// isLocalTarget reports whether every browser takes target for a path on the
// same origin.
func isLocalTarget(target string) bool {
	if !strings.HasPrefix(target, "/") || strings.ContainsRune(target, '#') {
		return false
	}
	bad := func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' || c == 0xfffd }
	if strings.HasPrefix(target, "//") || strings.ContainsFunc(target, bad) {
		return false
	}
	decoded, err := url.PathUnescape(strings.SplitN(target, "?", 2)[0])
	return err == nil && !strings.HasPrefix(decoded, "//") && !strings.ContainsFunc(decoded, func(c rune) bool { return c < ' ' || c == '\\' || c == 0x7f })
}

// withNext returns the path of one of the sign-in pages, with the address that
// is wanted afterwards.
func (s *Server) withNext(page, next string, more ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if next != "" && next != s.cfg.BaseURL {
		q.Set("next", next)
	}
	target := s.cfg.BaseURL + page[1:]
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	return target
}
