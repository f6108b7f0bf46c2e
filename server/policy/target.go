package policy

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// ParseUpstream reads an --upstream value, "[HOST][/PATH=]URL": an URL alone
// takes every request, "/api=URL" those at and below /api, "app.example.com=URL"
// a host's, "app.example.com/api=URL" both. The route has the defaults of the
// policy file: any valid credential, Wave headers.
func ParseUpstream(s string) (Route, error) {
	place, target := "/", s
	head, _, _ := strings.Cut(s, "://")
	if i := strings.LastIndexByte(head, '='); i >= 0 {
		place, target = s[:i], s[i+1:]
	}
	host, prefix, errPlace := parsePlace(place)
	u, errTarget := parseTarget(target)
	if errPlace == nil && Reserved(prefix) {
		errPlace = reservedError(prefix)
	}
	if err := errors.Join(errPlace, errTarget); err != nil {
		return Route{}, fmt.Errorf("--upstream %s: %w", redact(s), err)
	}
	route := newRoute(host, prefix, u)
	route.Origin = "--upstream " + s
	return route, nil
}

// ParseDir reads "path@dir", the value of -public-dir and -private-dir: the
// folder's files are served below the path, which itself is below the base
// URL's path. The access is Public for the one flag, Authenticated for the
// other.
func ParseDir(s string, access Access, base string) (Route, error) {
	flag := "-private-dir "
	if access == Public {
		flag = "-public-dir "
	}
	prefix, dir, ok := strings.Cut(s, "@")
	if !ok || prefix == "" || dir == "" {
		return Route{}, fmt.Errorf("%s%s: want path@dir, such as /docs@./site", flag, s)
	}
	if strings.ContainsFunc(dir, unicode.IsControl) {
		return Route{}, fmt.Errorf("%s%q: the folder's name holds a control character", flag, s)
	}
	local, err := ParsePath("/" + strings.TrimPrefix(prefix, "/"))
	if err == nil && Reserved(local) {
		err = reservedError(local)
	}
	if err != nil {
		return Route{}, fmt.Errorf("%s%s: %w", flag, s, err)
	}
	route := newRoute("", path.Join("/", base, local), &url.URL{Scheme: "file", Path: dir})
	route.Access = access
	route.Origin = flag + s
	return route, nil
}

// reservedError says that a route's path is the server's own.
func reservedError(prefix string) error {
	return fmt.Errorf("path %q is reserved for the server's own endpoints", prefix)
}

// parseTarget reads where a route's requests go. The URL of a folder comes
// back with the folder's name as its Path, also when it is relative.
func parseTarget(s string) (*url.URL, error) {
	if err := checkTargetText(s); err != nil {
		return nil, err
	}
	u, err := url.Parse(s)
	if err != nil {
		// The url package repeats the whole URL in its error, password and all.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("%q: %w", redact(s), err)
	}
	if err := checkTarget(u); err != nil {
		return nil, fmt.Errorf("%q: %w", redact(s), err)
	}
	if u.Scheme == "file" {
		return &url.URL{Scheme: "file", Path: u.Host + u.Path}, nil
	}
	return u, nil
}

// checkTargetText refuses what is no URL at all, with a hint at what was meant.
func checkTargetText(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("there is no URL: say where the requests go, such as http://127.0.0.1:3000")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return fmt.Errorf("%q holds a space or control character", redact(s))
	case strings.Contains(s, "://"):
		return nil
	case strings.HasPrefix(s, "file:"), strings.HasPrefix(s, "static:"):
		return fmt.Errorf("%q: write file:///folder, file://./folder or static://CODE", redact(s))
	case strings.HasPrefix(s, "/") || strings.HasPrefix(s, "."):
		return fmt.Errorf("%q has no scheme: to serve a folder write file://%s", redact(s), s)
	}
	return fmt.Errorf("%q has no scheme: write http://%s", redact(s), redact(s))
}

// checkTarget checks the parts that every target shares, then those of its
// scheme.
func checkTarget(u *url.URL) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("it must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery:
		return fmt.Errorf("it must not hold a query: the client's query is passed on")
	case u.Fragment != "" || u.RawFragment != "":
		return fmt.Errorf("it must not hold a fragment")
	}
	switch u.Scheme {
	case "http", "https", "h2c":
		return checkUpstreamURL(u)
	case "file":
		return checkFolderURL(u)
	case "static":
		return checkStaticURL(u)
	case "ws", "wss":
		return fmt.Errorf("write http%s:// : WebSockets pass through it", u.Scheme[2:])
	}
	return fmt.Errorf("scheme %q is not one of http, https, h2c, file, static", u.Scheme)
}

// checkUpstreamURL checks the host, port and base path of a server's URL.
func checkUpstreamURL(u *url.URL) error {
	host, port := u.Hostname(), u.Port()
	switch {
	case host == "":
		return fmt.Errorf("it has no host")
	case strings.ContainsAny(host, "*%"):
		return fmt.Errorf("host %q is not one host", host)
	case strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("it has a colon and no port")
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("port %q is not between 1 and 65535", port)
		}
	}
	if u.Path == "" {
		return nil
	}
	// Dots behind an escape would move the base path for the upstream alone.
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("its path holds a dot segment")
		}
	}
	if strings.Contains(u.Path, "//") || strings.ContainsFunc(u.Path, unicode.IsControl) {
		return fmt.Errorf("its path holds an empty segment or a control character")
	}
	return nil
}

// checkFolderURL wants file:///folder or file://./folder.
func checkFolderURL(u *url.URL) error {
	switch {
	case u.Host != "" && u.Host != "." && u.Host != "..":
		return fmt.Errorf("write file:///folder (absolute) or file://./folder (relative)")
	case u.Host+u.Path == "":
		return fmt.Errorf("it names no folder")
	case strings.ContainsFunc(u.Path, unicode.IsControl):
		return fmt.Errorf("the folder's name holds a control character")
	}
	return nil
}

// checkStaticURL wants static://CODE with a final status.
func checkStaticURL(u *url.URL) error {
	code, err := strconv.Atoi(u.Host)
	// 499 stands in logs for a client that went away, and is no answer.
	if err != nil || len(u.Host) != 3 || code < 200 || code > 599 || code == 499 {
		return fmt.Errorf("want static:// and a status between 200 and 599, such as static://404")
	}
	if u.Path != "" {
		return fmt.Errorf("nothing may follow the status")
	}
	return nil
}

// redact hides what may be a user and password in text that should hold a URL.
// It works on text that does not parse, so it hides rather too much.
func redact(s string) string {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return s
	}
	start := 0
	if j := strings.Index(s[:i], "://"); j >= 0 {
		start = j + len("://")
	}
	return s[:start] + "***" + s[i:]
}
