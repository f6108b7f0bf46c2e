package policy

import (
	"iter"
	"net/url"
	"slices"
	"strings"
)

// maxReadings bounds how many layers of percent-encoding Readings looks
// through. The gateway refuses paths with more.
const maxReadings = 8

// Readings yields what upstreams may make of a normalised path beside what it
// says: with every layer of percent-encoding taken off in turn, backslashes
// read as slashes, empty segments merged, and ";parameters" cut off the
// segments. A path that reads the same to everybody has none, and costs no
// allocation. A reading may come twice.
func Readings(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !strings.ContainsAny(path, `;%\`) && !strings.Contains(path, "//") {
			return
		}
		for range maxReadings {
			plain := mergeSlashes(strings.ReplaceAll(path, `\`, "/"))
			if !yield(plain) || !yield(mergeSlashes(withoutParameters(plain))) {
				return
			}
			next := unescape(path)
			if next == path {
				return
			}
			path = next
		}
	}
}

// mergeSlashes makes one of slashes that stand side by side.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	var b strings.Builder
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b.WriteByte(path[i])
		}
	}
	return b.String()
}

// withoutParameters returns a path without what follows a semicolon in each of
// its segments.
func withoutParameters(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// unescape decodes every escape once. A percent sign that begins none stays.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			c, _ := url.PathUnescape(s[i : i+3]) // cannot fail
			b.WriteString(c)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hidesEndpoint reports whether a request whose endpoints need the scopes need
// (nil where no endpoint covers it) is to an upstream one that an endpoint
// with other scopes covers.
func (p *Policy) hidesEndpoint(ask Ask, need []string) bool {
	for ask.Path = range Readings(ask.Path) {
		if other := p.endpoints.lookup(ask); other != nil && !slices.Equal(other, need) {
			return true
		}
	}
	return false
}
