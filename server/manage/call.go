package manage

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// A Call is one call of the management API.
type Call struct {
	Method string
	Path   string // "/v1/auth/keys", relative to the server's base URL
	Query  url.Values
	Body   any    // becomes JSON; nil for none
	Once   string // Idempotency-Key; "" for none
	Match  string // version for If-Match; "" for none
}

// An Answer is what the API said to a call that succeeded.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Payload is the body as it is sent, nil for none.
func (c Call) Payload() ([]byte, error) {
	if c.Body == nil {
		return nil, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // people read it
	err := enc.Encode(c.Body)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// Target is path and query.
func (c Call) Target() string {
	if len(c.Query) == 0 {
		return c.Path
	}
	return c.Path + "?" + c.Query.Encode()
}

// Curl writes the call as a line for a shell, for somebody who keeps an API key in
// WAVEGATE_KEY. Whatever stands in it is quoted, so that pasting it runs nothing else.
func (c Call) Curl(origin string) string {
	parts := []string{"curl"}
	if c.Method != http.MethodGet && !(c.Method == http.MethodPost && c.Body != nil) {
		parts = append(parts, "-X", c.Method)
	}
	parts = append(parts, quote(origin+c.Target()), `-H "Authorization: Bearer $WAVEGATE_KEY"`)
	if c.Match != "" {
		parts = append(parts, "-H "+quote(`If-Match: "`+c.Match+`"`))
	}
	if body, err := c.Payload(); err == nil && body != nil {
		parts = append(parts, "-H 'Content-Type: application/json'", "-d "+quote(readable(body)))
	}
	return strings.Join(parts, " ")
}

// readable is JSON with a blank behind each comma and colon that is not in a text.
func readable(compact []byte) string {
	var out strings.Builder
	text := false
	for i, b := range compact {
		out.WriteByte(b)
		switch {
		case b == '"' && !escaped(compact[:i]):
			text = !text
		case !text && (b == ',' || b == ':'):
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// escaped reports whether what follows stands behind an odd number of backslashes.
func escaped(before []byte) bool {
	n := 0
	for i := len(before) - 1; i >= 0 && before[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// quote makes one word of a POSIX shell of a text. In single quotes nothing has a
// meaning but the quote itself; control characters, which a terminal might obey (those
// beyond ASCII too, such as CSI), and ends of lines are shown as a question mark.
func quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || slices.Contains(turning, r) {
			return '?'
		}
		return r
	}, text)
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// turning are the characters that turn the direction of what follows, so that a line
// reads as another one than it is.
var turning = []rune{
	'\u061c', '\u200e', '\u200f', '\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069',
}
