package gateway

import (
	"strings"

	"wavegate/server/fault"
	"wavegate/server/policy"
)

// maxPath bounds a request's escaped path, in bytes.
const maxPath = 8 << 10

// maxRounds bounds how many layers of percent-encoding are looked through for
// what must never pass. Whoever wraps deeper is refused.
const maxRounds = 4

// CleanPath is the one normalisation of a request's path. It takes the path as
// it stands on the wire, escapes and all, and returns the decoded path that
// every decision uses. The wire form is what is forwarded, so nothing is
// rewritten here: what could be read in two ways is refused or reported.
//
// An encoded slash, backslash or percent sign that could be taken for an
// escape stays encoded ("%2F", "%5C", "%25"), so that it separates nothing and
// two different paths never become one. Everything else is decoded once.
//
// Found says which features the path holds that a route must allow. The error
// is a 400 *fault.Error for what no route can allow: dot segments however they
// are written, NUL and other control characters, bad escapes, overlong UTF-8, a path that
// does not begin with a slash or has more than 8 KB. A plain path costs no allocation.
func CleanPath(escaped string) (path string, found policy.PathFeature, err error) {
	switch {
	case len(escaped) > maxPath:
		return "", 0, badPath("is longer than 8 KB")
	case escaped == "" || escaped[0] != '/':
		return "", 0, badPath("does not begin with a slash")
	case isPlain(escaped):
		return escaped, 0, nil
	}
	if reason := neverAllowed(escaped); reason != "" {
		return "", 0, badPath(reason)
	}
	path, found = decode(escaped)
	return path, found, nil
}

// badPath is the refusal of a path. It does not repeat the path.
func badPath(reason string) error {
	return fault.New(400, "invalid_request", "The path of the request "+reason+".")
}

// isPlain reports whether a path reads the same to everybody: printable ASCII
// without escapes, backslashes, empty segments, and dots at the head of a segment.
func isPlain(s string) bool {
	last := byte(0)
	for i := range len(s) {
		c := s[i]
		switch {
		case c <= ' ' || c >= 0x7f || c == '%' || c == '\\' || c == '?' || c == '#':
			return false
		case last == '/' && (c == '/' || c == '.'):
			return false
		}
		last = c
	}
	return true
}

// neverAllowed says what makes a path unacceptable to every route, or "". It
// looks at the path as each further decoding would show it, since an upstream
// may decode more than once.
func neverAllowed(escaped string) string {
	if strings.ContainsAny(escaped, " ?#") {
		return "holds a bare space, question mark or number sign"
	}
	s, ok := unescape(escaped)
	if !ok {
		return "holds a percent sign that begins no escape"
	}
	for range maxRounds {
		if reason := badText(s); reason != "" {
			return reason
		}
		next, _ := unescape(s)
		if next == s {
			return ""
		}
		s = next
	}
	return "is encoded many times over"
}

// unescape decodes every escape once. A percent sign that begins no escape
// stays, and ok is false.
func unescape(s string) (text string, ok bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	ok = true
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, n := byteAt(s, i)
		ok = ok && (c != '%' || n == 3)
		b = append(b, c)
		i += n
	}
	return string(b), ok
}

// badText checks a decoded path for control characters, overlong UTF-8 and dot segments.
func badText(s string) string {
	start := 0
	for i := range len(s) + 1 {
		if i < len(s) && s[i] != '/' && s[i] != '\\' {
			switch {
			case s[i] < ' ' || s[i] == 0x7f:
				return "holds a control character"
			case isOverlong(s, i):
				return "holds an overlong UTF-8 sequence"
			}
			continue
		}
		if isDotSegment(s[start:i]) {
			return "holds a dot segment"
		}
		start = i + 1
	}
	return ""
}

// isDotSegment reports whether a segment is "." or "..", also before the
// parameters that some servers cut off ("..;a=b").
func isDotSegment(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}

// isOverlong reports whether s[i] begins a UTF-8 sequence that is longer than
// its character needs, the old disguise of dots and slashes (RFC 3629 §10).
func isOverlong(s string, i int) bool {
	if i+1 >= len(s) || s[i+1] < 0x80 || s[i+1] > 0xbf {
		return false
	}
	switch s[i] {
	case 0xc0, 0xc1:
		return true
	case 0xe0:
		return s[i+1] < 0xa0
	case 0xf0:
		return s[i+1] < 0x90
	}
	return false
}

// decode returns the path for matching and what it holds. Its input has passed
// neverAllowed.
func decode(escaped string) (path string, found policy.PathFeature) {
	if strings.Contains(escaped, "//") {
		found = policy.DoubleSlash
	}
	if !strings.ContainsAny(escaped, `%\`) {
		return escaped, found
	}
	var b strings.Builder
	b.Grow(len(escaped) + 8)
	for i := 0; i < len(escaped); {
		text, n, feature := unit(escaped, i)
		found |= feature
		b.WriteString(text)
		i += n
	}
	return b.String(), found
}

// unit returns what the byte or escape at s[i] becomes in the path for
// matching, how many bytes of s it takes, and the feature that it is.
func unit(s string, i int) (text string, n int, feature policy.PathFeature) {
	c, n := byteAt(s, i)
	switch {
	case c == '/' && n == 3:
		return "%2F", n, policy.EncodedSlash
	case c == '\\':
		return "%5C", n, policy.EncodedBackslash
	case c == '%':
		return percentUnit(s, i, n)
	case n == 1:
		return s[i : i+1], n, 0
	}
	return string([]byte{c}), n, 0
}

// percentUnit is unit for an encoded percent sign. It stays encoded where the
// two bytes after it, themselves decoded, would make an escape of it.
func percentUnit(s string, i, n int) (string, int, policy.PathFeature) {
	c1, n1 := byteAt(s, i+n)
	c2, _ := byteAt(s, i+n+n1)
	high, ok1 := unhex(c1)
	low, ok2 := unhex(c2)
	switch {
	case ok1 && ok2:
		switch high<<4 | low {
		case '.', '/', '\\', '%', 0:
			return "%25", n, policy.EncodedPercent
		}
		return "%25", n, 0
	case c1 == '%' || ok1 && c2 == '%': // decoding twice may make an escape of these
		return "%25", n, policy.EncodedPercent
	}
	return "%", n, 0
}

// byteAt returns the byte at s[i], decoded, and how many bytes of s it takes: 3
// for an escape, 1 for a bare byte, 0 at the end. A percent sign that begins
// no escape stands for itself.
func byteAt(s string, i int) (c byte, n int) {
	if i >= len(s) {
		return 0, 0
	}
	if s[i] == '%' && i+2 < len(s) {
		high, ok1 := unhex(s[i+1])
		low, ok2 := unhex(s[i+2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	return s[i], 1
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) (v byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// pathBeyond returns what a path has beyond the segments of prefix, which it
// begins with; empty segments between them count as none. It works on the path
// as it stands on the wire and as it is matched alike, since both have the same
// slashes.
func pathBeyond(path, prefix string) string {
	if prefix == "/" {
		return path
	}
	for range strings.Count(prefix, "/") {
		path = strings.TrimLeft(path, "/")
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return ""
		}
		path = path[i:]
	}
	return path
}
