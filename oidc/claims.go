package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// claims is the JSON object of a token or of userinfo. Numbers are json.Number;
// names are case-sensitive.
type claims map[string]any

func parseClaims(data []byte) (claims, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var c claims
	if err := dec.Decode(&c); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || c == nil {
		return nil, errors.New("not a JSON object alone")
	}
	return c, nil
}

// text returns a claim that is a string, or "".
func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// instant returns a claim that is a NumericDate (RFC 7519 §2), and whether
// there is one.
func (c claims) instant(name string) (time.Time, bool) {
	n, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > 1<<36 { // the year 4147
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// audience returns "aud", which is a string or an array of them.
func (c claims) audience() []string {
	switch aud := c["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var all []string
		for _, one := range aud {
			s, ok := one.(string)
			if !ok {
				return nil
			}
			all = append(all, s)
		}
		return all
	}
	return nil
}

// find returns the claim that path names: the claim of that whole name, or the
// one that is reached through objects, at each of which as much of the path as
// possible is taken for a name. An object is looked at once at most, since each
// way of splitting the path leads to another.
func (c claims) find(path string) (any, bool) {
	if v, ok := c[path]; ok && v != nil {
		return v, true
	}
	for end := strings.LastIndexByte(path, '.'); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		inner, ok := c[path[:end]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := claims(inner).find(path[end+1:]); ok {
			return v, true
		}
	}
	return nil, false
}

const (
	maxName   = 256  // bytes of a user name or a group
	maxGroups = 1000 // that one person may be in
)

// name returns the claim at path as a short line of text, or "".
func (c claims) name(path string) string {
	v, _ := c.find(path)
	switch v := v.(type) {
	case string:
		if s := strings.TrimSpace(v); isLine(s) {
			return s
		}
	case json.Number:
		return v.String()
	}
	return ""
}

// isLine reports whether s can stand in a header and on a page.
func isLine(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsGraphic(r) || r == '\u2028' || r == '\u2029'
	}) < 0
}

// email returns the e-mail address if the provider has verified it (Core 1.0
// §5.1), and "" otherwise. Some providers write the flag as a string.
func (c claims) email() string {
	address := c.text("email")
	if verified := c["email_verified"]; verified != true && verified != "true" || !isEmail(address) {
		return ""
	}
	return address
}

// isEmail takes addresses of the plain form alone: what two programs could
// split at different places is none.
func isEmail(s string) bool {
	local, host, found := strings.Cut(s, "@")
	if !found || len(s) > 254 || !utf8.ValidString(s) || !isDotted(local, "!#$%&'*+-/=?^_`{|}~") || !isDotted(host, "-") {
		return false
	}
	return !strings.HasPrefix(host, "-") && !strings.HasSuffix(host, "-")
}

// isDotted reports whether s is words of letters, digits and the marks, with
// single dots between them.
func isDotted(s, marks string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.IndexFunc(word, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune(marks, r)
		}) >= 0 {
			return false
		}
	}
	return true
}

// groupsOf turns the value of a claim into the names of groups, each once, in
// the order of the claim, and says what it left out.
func groupsOf(value any) (groups, warnings []string) {
	list, ok := value.([]any)
	if one, single := value.(string); single {
		list, ok = []any{one}, true
	}
	if !ok {
		return nil, []string{"the claim for groups is neither a string nor an array of strings; there are no groups"}
	}
	bad, seen := 0, make(map[string]bool, min(len(list), maxGroups))
	for _, v := range list {
		s, ok := v.(string)
		if ok && s == "" {
			continue
		}
		if !ok || !isLine(s) {
			bad++
			continue
		}
		if !seen[s] && len(groups) < maxGroups {
			groups = append(groups, s)
		}
		seen[s] = true
	}
	if bad > 0 {
		warnings = append(warnings, fmt.Sprintf("%d groups were left out: they are no text, over %d bytes, or hold control characters", bad, maxName))
	}
	if over := len(seen) - len(groups); over > 0 {
		warnings = append(warnings, fmt.Sprintf("%d groups were left out: only the first %d count; limit them at the provider", over, maxGroups))
	}
	return slices.Clip(groups), warnings
}
