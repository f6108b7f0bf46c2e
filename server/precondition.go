package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"wavegate/server/fault"
)

// A precondition is what the If-Match header of a change asks for (RFC 9110, section
// 13.1.1): that the thing still is as whoever changes it saw it. The zero value asks
// for nothing.
type precondition struct {
	tags []string // that would do, without their quotes; nil: anything does
}

var (
	errChanged = fault.New(http.StatusPreconditionFailed, "precondition_failed",
		"It was changed meanwhile. Read it again, then decide.")
	errIfMatch = fault.New(http.StatusBadRequest, "invalid_request",
		`The If-Match header must be * or versions in quotes, such as "3".`)
)

// ifMatch reads the header. Where it is *, that the thing is there is enough, which
// every call asks for anyhow. A weak tag names no version: it never matches.
func ifMatch(r *http.Request) (precondition, error) {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return precondition{}, nil
	}
	text := strings.Join(values, ",")
	if strings.Trim(text, " \t") == "*" {
		return precondition{}, nil
	}
	p := precondition{tags: []string{}}
	found := false
	for rest := strings.TrimLeft(text, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
		opaque, weak := strings.CutPrefix(rest, "W/")
		tag, after, ok := cutTag(opaque)
		if !ok {
			return precondition{}, errIfMatch
		}
		if !weak {
			p.tags = append(p.tags, tag)
		}
		rest, found = after, true
	}
	if !found {
		return precondition{}, errIfMatch
	}
	return p, nil
}

// cutTag takes an opaque-tag off the beginning of a list (RFC 9110, section 8.8.3).
func cutTag(list string) (tag, rest string, ok bool) {
	inner, ok := strings.CutPrefix(list, `"`)
	if !ok {
		return "", "", false
	}
	tag, rest, ok = strings.Cut(inner, `"`)
	odd := func(r rune) bool { return r <= ' ' || r == 0x7f }
	next := strings.TrimLeft(rest, " \t")
	if !ok || strings.ContainsFunc(tag, odd) || next != "" && next[0] != ',' {
		return "", "", false
	}
	return tag, next, true
}

// check refuses a change of what has another version by now.
func (p precondition) check(version int64) error {
	if p.tags == nil || slices.Contains(p.tags, strconv.FormatInt(version, 10)) {
		return nil
	}
	return errChanged
}

// tagged says in the answer which version of a thing it shows.
func tagged(ex *exchange, version int64) {
	ex.Header().Set("Etag", `"`+strconv.FormatInt(version, 10)+`"`)
}
