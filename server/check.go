package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"wavegate/server/policy"
)

// A checkAnswer says whether a request would do.
type checkAnswer struct {
	Valid  bool     `json:"valid"`
	Errors problems `json:"errors"`
}

// checkRequest answers what is wrong with the body of another call, and does nothing: for
// forms that say it while they are filled in. The body is read into the struct that into
// points at; check returns the problems that reading found and its own. With ?partial=true
// the fields that were not given are not complained about.
func (s *Server) checkRequest(ex *exchange, r *http.Request, what policy.Permission, into any, check func(asker, problems) (problems, error)) error {
	a, err := s.asker(ex, r, what)
	if err != nil {
		return err
	}
	query := newQuery(r)
	partial := query.flag("partial")
	if err := query.end(); err != nil {
		return err
	}
	var p problems
	raw, err := readFields(ex, r, into, &p)
	if err != nil {
		return err
	}
	if p, err = check(a, p); err != nil {
		return err
	}
	if partial {
		p = p.about(raw)
	}
	return writeJSON(ex, http.StatusOK, checkAnswer{len(p) == 0, append(problems{}, p...)})
}

// about returns the problems of fields that stand in a body, a JSON object, and are
// not null. However many there are, each is looked at once.
func (p problems) about(body []byte) problems {
	var given map[string]json.RawMessage
	if json.Unmarshal(body, &given) != nil { // an empty body
		given = nil
	}
	names := make(map[string]bool, len(given))
	for name, value := range given {
		if string(value) != "null" {
			names[shown(name)] = true
		}
	}
	var kept problems
	for _, f := range p {
		if isOfAny(f.Field, names) {
			kept = append(kept, f)
		}
	}
	return kept
}

// isOfAny is isOf for any of several fields.
func isOfAny(about string, fields map[string]bool) bool {
	for i := range len(about) {
		if (about[i] == '[' || about[i] == '.') && fields[about[:i]] {
			return true
		}
	}
	return fields[about]
}

// isOf reports whether what a problem is about is a field, or a part of it.
func isOf(about, field string) bool {
	rest, ok := strings.CutPrefix(about, field)
	return ok && (rest == "" || rest[0] == '[' || rest[0] == '.')
}
