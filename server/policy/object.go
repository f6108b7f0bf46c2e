package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// object is a mapping with a fixed set of fields. Its getters return the
// default for a field that is left out; for one that cannot be read they note
// the problem and return the default too.
type object struct {
	*reader
	node   *yaml.Node
	fields map[string]*yaml.Node
}

// object reads a mapping that may have the known fields and no others. What
// names it in messages: "an upstream".
func (r *reader) object(n *yaml.Node, what string, known ...string) object {
	o := object{reader: r, node: n, fields: map[string]*yaml.Node{}}
	for _, p := range r.pairs(n, what) {
		if !slices.Contains(known, p.name) {
			hint := didYouMean(p.name, known)
			if hint == "" {
				hint = "; it may have " + strings.Join(known, ", ")
			}
			r.fail(p.key, "%s has no field %q%s", what, fieldName(p.name), hint)
			continue
		}
		o.fields[p.name] = p.value
	}
	return o
}

// fieldName returns what of an unknown field can be shown: a separator that was
// mistyped would make the value, perhaps a secret, part of the name.
func fieldName(s string) string {
	if i := strings.IndexFunc(s, func(r rune) bool { return r == '=' || r == ':' || r == ' ' }); i > 0 {
		return s[:i+1] + "…"
	}
	return s
}

// has reports whether the field was given.
func (o object) has(name string) bool { return o.fields[name] != nil }

// at returns the field's node, or the whole object's where it was left out.
func (o object) at(name string) *yaml.Node {
	if n := o.fields[name]; n != nil {
		return n
	}
	return o.node
}

// text returns a field's text, "" by default.
func (o object) text(name string) string {
	n := o.fields[name]
	if n == nil {
		return ""
	}
	s, _ := o.reader.text(n, name)
	return s
}

// secret returns a field's text as text does, but never shows it.
func (o object) secret(name string) string {
	n := o.fields[name]
	if n == nil || !o.kind(n, yaml.ScalarNode, name, "text") {
		return ""
	}
	switch {
	case n.Value == "":
		o.fail(n, "%s is empty", name)
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		o.fail(n, "%s holds a line break or another control character", name)
	case strings.TrimSpace(n.Value) != n.Value:
		o.fail(n, "%s begins or ends with a space", name)
	default:
		return n.Value
	}
	return ""
}

// list returns a field's list of texts, empty by default.
func (o object) list(name string) []word {
	n := o.fields[name]
	if n == nil {
		return nil
	}
	return o.words(n, name)
}

// boolean returns a field that is true or false.
func (o object) boolean(name string, def bool) bool {
	n := o.fields[name]
	if n == nil || !o.kind(n, yaml.ScalarNode, name, "true or false") {
		return def
	}
	switch n.Value {
	case "true":
		return true
	case "false":
		return false
	}
	o.fail(n, "%s must be true or false, not %q", name, n.Value)
	return def
}

// duration returns a field that is a length of time.
func (o object) duration(name string, def time.Duration) time.Duration {
	return parsed(o, name, def, parseDuration)
}

// positive returns a field that is a length of time longer than none.
func (o object) positive(name string, def time.Duration) time.Duration {
	d := o.duration(name, def)
	if d == 0 {
		o.fail(o.at(name), "%s must be longer than 0s", name)
		return def
	}
	return d
}

// maxCount bounds what is counted: a number of a thousand millions is a slip.
const maxCount = 1_000_000_000

// count returns a field that is a whole number of at least least.
func (o object) count(name string, def, least int64) int64 {
	return parsed(o, name, def, func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least || n > maxCount {
			return 0, fmt.Errorf("%q is no whole number between %d and %d", s, least, maxCount)
		}
		return n, nil
	})
}

// size returns a field that is a number of bytes.
func (o object) size(name string, def int64) int64 {
	return parsed(o, name, def, ParseSize)
}

// parsed returns a field's text as parse reads it.
func parsed[T any](o object, name string, def T, parse func(string) (T, error)) T {
	n := o.fields[name]
	if n == nil {
		return def
	}
	s, ok := o.reader.text(n, name)
	if !ok {
		return def
	}
	v, err := parse(s)
	if err != nil {
		o.fail(n, "%s: %v", name, err)
		return def
	}
	return v
}

// choice returns the value that goes with a field's word, the zero value by
// default.
func choice[T comparable](o object, name string, words []string, values []T) T {
	var none T
	s := o.text(name)
	if s == "" {
		return none
	}
	if i := slices.Index(words, s); i >= 0 {
		return values[i]
	}
	o.fail(o.fields[name], "%s must be one of %s, not %q%s", name, strings.Join(words, ", "), s, didYouMean(s, words))
	return none
}
