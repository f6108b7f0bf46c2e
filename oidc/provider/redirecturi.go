package provider

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const maxRedirectURI = 2048 // bytes

// Redirects returns whether uri is one of the client's redirect URIs: byte by byte,
// except that the port of a loopback address may be any (RFC 8252, section 7.3).
func (c *Client) Redirects(uri string) bool { return isAmong(c.RedirectURIs, uri) }

// RedirectsLogout is Redirects for the end of a sign-out.
func (c *Client) RedirectsLogout(uri string) bool { return isAmong(c.PostLogoutRedirectURIs, uri) }

func isAmong(registered []string, uri string) bool {
	host, rest, loopback := splitLoopback(uri)
	for _, r := range registered {
		if r == uri {
			return true
		}
		if !loopback {
			continue
		}
		if h, tail, ok := splitLoopback(r); ok && h == host && tail == rest {
			return true
		}
	}
	return false
}

// splitLoopback returns the parts of an address on this machine that have to be the
// same: its host, and what follows the port. ok is false for any other address,
// also for one that means this machine and is written otherwise.
func splitLoopback(uri string) (host, rest string, ok bool) {
	rest, ok = strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	for _, host = range []string{"127.0.0.1", "[::1]", "localhost"} {
		if tail, found := strings.CutPrefix(rest, host); found {
			tail, ok = cutPort(tail)
			return host, tail, ok && (tail == "" || tail[0] == '/' || tail[0] == '?')
		}
	}
	return "", "", false
}

// cutPort returns s less the port that it may begin with, ":" included.
func cutPort(s string) (string, bool) {
	if !strings.HasPrefix(s, ":") {
		return s, true
	}
	end := 1
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	port, err := strconv.ParseUint(s[1:end], 10, 16)
	return s[end:], err == nil && port > 0
}

// redirectProblem says why browsers may not be sent to uri with a code, or "".
func redirectProblem(uri string, of ClientType) string {
	if why := addressProblem(uri); why != "" {
		return why
	}
	if strings.HasPrefix(uri, "https://") {
		return ""
	}
	if _, _, loopback := splitLoopback(uri); loopback {
		return ""
	}
	scheme, _, _ := strings.Cut(uri, ":")
	switch {
	case scheme == "http":
		return "plain http is for this machine alone (http://127.0.0.1, http://[::1], http://localhost): use https"
	case !strings.Contains(scheme, "."):
		return "want https, or of an installed app a scheme that is a domain of its maker turned round, such as com.example.app:/done (RFC 8252, section 7.1)"
	case of != Public:
		return "a scheme of its own is for public clients alone (RFC 8252, section 7.1): use https"
	}
	return ""
}

// addressProblem says what is wrong with an absolute address of any scheme that
// browsers are sent to, or "".
func addressProblem(uri string) string {
	switch {
	case uri == "" || len(uri) > maxRedirectURI:
		return fmt.Sprintf("an address has 1 to %d bytes", maxRedirectURI)
	case strings.IndexFunc(uri, isNotURI) >= 0:
		return "there is a character in it that addresses do not have: blanks, control characters, backslashes, quotes, and whatever is not ASCII, have to be percent-encoded"
	case strings.Contains(uri, "*"):
		return "there are no wildcards: name every address"
	case strings.Contains(uri, "#"):
		return "it has a fragment"
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || !strings.HasPrefix(uri, u.Scheme+":/") {
		return "want an absolute address such as https://app.example.com/done, with its scheme in lower case"
	}
	return partsProblem(u)
}

// isNotURI reports whether RFC 3986 has no such character.
func isNotURI(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r)
}

func partsProblem(u *url.URL) string {
	switch {
	case u.User != nil || strings.Contains(u.Host, "@"):
		return "it has a user name"
	case (u.Scheme == "https" || u.Scheme == "http") && !isHost(u):
		return "its host or port is none"
	case hasDotSegment(u.Path):
		return "its path has a segment . or .."
	}
	if _, err := url.QueryUnescape(u.RawQuery); err != nil {
		return "its query has a percent sign that encodes nothing"
	}
	return ""
}

// isHost reports whether the host is a name or an address, with a port or without.
func isHost(u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	if port == "" && strings.HasSuffix(u.Host, ":") {
		return false
	}
	if tail, ok := cutPort(":" + port); port != "" && (!ok || tail != "") {
		return false
	}
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	return 0 < len(host) && len(host) <= 253 && strings.IndexFunc(host, isNotHost) < 0 &&
		!strings.HasPrefix(host, ".") && !strings.Contains(host, "..")
}

func isNotHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

// hasDotSegment looks at a path whose escapes are decoded, as some servers do before
// they take such segments away.
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
