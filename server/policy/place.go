package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a route may be called, in bytes.
const (
	maxPath = 2048
	maxHost = 253
)

// parsePlace splits "app.example.com/path" into its checked host ("" is any)
// and path prefix ("/" is all).
func parsePlace(s string) (host, path string, err error) {
	switch {
	case s == "":
		return "", "", fmt.Errorf(`a route is a host, a path prefix or both, such as app.example.com/api; "/" is all`)
	case strings.Contains(s, "://"):
		return "", "", fmt.Errorf("route %q: leave out the scheme: a route is host and path, such as app.example.com/api", redact(s))
	}
	host, path = s, "/"
	if i := strings.IndexByte(s, '@'); i >= 0 && !strings.Contains(s[:i], "/") {
		return "", "", fmt.Errorf("route %q: leave out the user: a route is host and path", redact(s))
	}
	if i := strings.IndexByte(s, '/'); i >= 0 {
		host, path = s[:i], s[i:]
	}
	if host != "" {
		if host, err = parseHost(host); err != nil {
			return "", "", fmt.Errorf("route %q: %w", s, err)
		}
	}
	if path, err = ParsePath(path); err != nil {
		return "", "", err
	}
	return host, path, nil
}

// parseHost returns a host in the form in which hosts are compared: lower
// case, without trailing dot, an IPv6 address without brackets. A leading "*."
// stands for any one label.
func parseHost(s string) (string, error) {
	if ip, ok := strings.CutPrefix(s, "["); ok {
		ip, ok = strings.CutSuffix(ip, "]")
		addr, err := netip.ParseAddr(ip)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("host %q is not an IPv6 address in brackets; ports are left out", s)
		}
		return addr.String(), nil
	}
	host := strings.ToLower(strings.TrimSuffix(s, "."))
	name := strings.TrimPrefix(host, "*.")
	switch {
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("host %q: a star can only be the whole first label, as in *.example.com; leave the host out for every host", s)
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("host %q: leave out the port: hosts are compared without it", s)
	case len(host) > maxHost:
		return "", fmt.Errorf("host of %d bytes is longer than the %d that DNS allows", len(host), maxHost)
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("host %q: %w", s, err)
		}
	}
	return host, nil
}

// checkLabel checks one label of a lower-case host name.
func checkLabel(label string) error {
	if label == "" {
		return fmt.Errorf("it has an empty label")
	}
	if len(label) > 63 {
		return fmt.Errorf("a label is longer than 63 bytes")
	}
	for _, c := range label {
		switch {
		case c >= utf8.RuneSelf:
			return fmt.Errorf("write the name as browsers send it, in its xn-- form")
		case !isLower(c) && !isDigit(c) && c != '-' && c != '_':
			return fmt.Errorf("%q cannot be in a host name", c)
		}
	}
	return nil
}

// ParsePath checks a route's path prefix and returns it without trailing
// slash. A prefix is literal and decoded; it holds no pattern, query, escape,
// dot segment or empty segment, so that it can match in one way only.
func ParsePath(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("path %q must begin with a slash", s)
	}
	if err := checkPath(s); err != nil {
		return "", fmt.Errorf("path %q %w", s, err)
	}
	if strings.ContainsAny(s, "*{}") || strings.Contains(s, "/:") {
		return "", fmt.Errorf("path %q: a route is a plain prefix without wildcards; /api covers /api and all below it", s)
	}
	if s != "/" {
		s = strings.TrimSuffix(s, "/")
	}
	return s, nil
}

// checkPath refuses what no normalised path holds. It lets a trailing slash
// pass. Its errors go on from a mention of the path.
func checkPath(s string) error {
	switch {
	case len(s) > maxPath:
		return fmt.Errorf("is longer than %d bytes", maxPath)
	case !utf8.ValidString(s):
		return fmt.Errorf("is not valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("holds a control character")
	case strings.ContainsAny(s, "?#"):
		return fmt.Errorf("holds a query or fragment: rules see the path only")
	case strings.Contains(s, "%"):
		return fmt.Errorf("holds an escape: write it decoded")
	case strings.Contains(s, `\`):
		return fmt.Errorf("holds a backslash")
	case strings.Contains(s, "//"):
		return fmt.Errorf("holds an empty segment")
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		// "..;x" is a dot segment to servers that cut off parameters.
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return fmt.Errorf("holds a dot segment")
		}
		if strings.TrimSpace(segment) != segment {
			return fmt.Errorf("holds a segment that begins or ends with a space")
		}
	}
	return nil
}

// Reserved reports whether path belongs to the server itself, so that no route
// can begin there. Path is relative to the server's base URL.
func Reserved(path string) bool {
	for _, prefix := range [...]string{
		"/_auth", "/_health", "/_portal", "/oauth", "/v1/auth",
		"/api/v1/user/api-keys", "/api/v1/keys", "/api/v1/onboarding",
		"/.well-known/openid-configuration",
		"/.well-known/oauth-authorization-server",
		"/.well-known/oauth-protected-resource",
		"/.well-known/jwks.json",
	} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

func isLower(c rune) bool { return 'a' <= c && c <= 'z' }
func isUpper(c rune) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c rune) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
