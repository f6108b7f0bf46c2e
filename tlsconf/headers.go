package tlsconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxHeaders bounds a file of extra headers, in bytes. They travel with
	// every answer.
	maxHeaders = 64 << 10
	// maxProblems bounds the lines that one error complains of.
	maxProblems = 20
)

// LoadHeaders reads the extra headers of every answer from the file of
// --http-headers-file. See ParseHeaders.
func LoadHeaders(path string) (http.Header, error) {
	const flag = "--http-headers-file"
	data, err := readFile(flag, path)
	if err != nil {
		return nil, err
	}
	h, err := ParseHeaders(path, bytes.NewReader(data))
	if err == nil {
		return h, nil
	}
	lines, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	var problems []error // each names the flag: they are shown one by one
	for _, line := range lines.Unwrap() {
		problems = append(problems, fmt.Errorf("%s: %w", flag, line))
	}
	return nil, errors.Join(problems...)
}

// ParseHeaders reads MIME header lines, "Name: value", that end in LF or CRLF;
// the last may end in nothing. Blank lines and lines that start with # are
// skipped. A name may come again, for a header with several values.
//
// It refuses continuation lines (RFC 9112 §5.2), names that are not tokens (RFC
// 9110 §5.6.2), control characters in values, names that frame a message,
// describe its body or make up its answer, and the server's own (see
// reservedWhy). Set-Cookie, Server, Vary, Cache-Control and the CORS family are the
// operator's to decide. The error lists the lines by number, name being that of
// the file, and quotes no value.
func ParseHeaders(name string, r io.Reader) (http.Header, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxHeaders+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxHeaders {
		return nil, fmt.Errorf("%s: larger than %d bytes: every answer would carry all of it", name, maxHeaders)
	}
	text := strings.TrimPrefix(string(data), "\ufeff") // some editors start files with a byte order mark
	h := http.Header{}
	var problems []error
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		key, value, err := parseHeaderLine(strings.TrimSuffix(line, "\r"))
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, err))
		case key != "":
			h.Add(key, value)
		}
	}
	if extra := len(problems) - maxProblems; extra > 0 {
		problems = append(problems[:maxProblems], fmt.Errorf("%s: %d more bad lines", name, extra))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return h, nil
}

// parseHeaderLine returns the header on one line, or "" for a line without one.
func parseHeaderLine(line string) (name, value string, err error) {
	trimmed := strings.Trim(line, " \t")
	if trimmed == "" || trimmed[0] == '#' {
		return "", "", nil
	}
	if line[0] == ' ' || line[0] == '\t' {
		return "", "", errors.New("starts with a space, which would continue the line before: write each header on one line")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", "", errors.New("has no colon: write \"Name: value\"")
	}
	if !isToken(name) {
		return "", "", fmt.Errorf("%.40q is not a header name: use letters, digits and hyphens, and no space before the colon", name)
	}
	if why := reservedWhy(name); why != "" {
		return "", "", fmt.Errorf("%.40s %s: remove the line", name, why)
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", "", fmt.Errorf("the value of %.40s holds a control character: remove it", name)
	}
	return name, value, nil
}

// reservedWhy says why a header cannot be the same on every answer, or "".
// Underscores count as hyphens, as many applications read them so.
func reservedWhy(name string) string {
	n := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for _, group := range reservedHeaders() {
		for _, r := range group.names {
			if prefix, ok := strings.CutSuffix(r, "*"); n == r || ok && strings.HasPrefix(n, prefix) {
				return group.why
			}
		}
	}
	return ""
}

type reservedGroup struct {
	why   string
	names []string // a trailing * stands for any rest
}

func reservedHeaders() []reservedGroup {
	return []reservedGroup{
		{"frames the message, which the server does itself", []string{
			"connection", "content-length", "http2-settings", "keep-alive", "proxy-connection",
			"sec-websocket-*", "te", "trailer", "transfer-encoding", "upgrade",
		}},
		{"describes one body, so it cannot be the same on every answer", []string{
			"content-encoding", "content-range", "content-type", "etag", "last-modified",
		}},
		{"belongs to single answers, so it cannot be the same on every one", []string{
			"allow", "date", "location", "proxy-authenticate", "retry-after", "www-authenticate",
		}},
		{"is a header that wavegate sets itself", []string{
			"wave-*", "x-ratelimit-*", "x-request-id",
		}},
	}
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(b byte) bool {
		alnum := '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b))
	})
}
