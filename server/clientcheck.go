package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/policy"
)

// A checkAnswer says whether a request would do.
type checkAnswer struct {
	Valid  bool     `json:"valid"`
	Errors problems `json:"errors"`
}

// checkClientRequest says what is wrong with the body of a call that would make a
// client, and makes nothing: for forms that say it while they are filled in. With
// ?partial=true the fields that were not given are not complained about.
func (s *Server) checkClientRequest(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteClients)
	if err != nil {
		return err
	}
	query := newQuery(r)
	partial := query.flag("partial")
	if err := query.end(); err != nil {
		return err
	}
	var q clientRequest
	var p problems
	raw, err := readFields(ex, r, &q, &p)
	if err != nil {
		return err
	}
	if p, err = s.clientService().check(a, &q, p); err != nil {
		return err
	}
	if partial {
		p = p.about(raw)
	}
	return writeJSON(ex, http.StatusOK, checkAnswer{len(p) == 0, append(problems{}, p...)})
}

// check returns what create would say of the fields of a request. The error is about
// whoever asks.
func (k *clientService) check(a asker, q *clientRequest, p problems) (problems, error) {
	if err := mayMake(a.apiCaller); err != nil {
		return nil, err
	}
	c := k.draft(a.apiCaller, q, &p)
	said := slices.Clone(p)
	for _, what := range k.beyond(a.apiCaller, &authz.Client{}, c) {
		field := fieldOf(what)
		if !slices.ContainsFunc(said, func(f fault.Field) bool { return isOf(f.Field, field) }) {
			p.add(field, "is more than you hold, and nobody can give that: %s", what)
		}
	}
	return p, nil
}

// fieldOf is the field of a request that what beyond says is about.
func fieldOf(what string) string {
	switch word, _, _ := strings.Cut(what, " "); word {
	case "scope":
		return "scopes"
	case "grant":
		return "grant_types"
	default:
		return strings.TrimSuffix(word, ",")
	}
}

// about returns the problems of fields that stand in a body, a JSON object, and are
// not null.
func (p problems) about(body []byte) problems {
	var given map[string]json.RawMessage
	if json.Unmarshal(body, &given) != nil { // an empty body
		given = nil
	}
	var kept problems
	for _, f := range p {
		if isGiven(f, given) {
			kept = append(kept, f)
		}
	}
	return kept
}

func isGiven(f fault.Field, given map[string]json.RawMessage) bool {
	for name, value := range given {
		if isOf(f.Field, shown(name)) && string(value) != "null" {
			return true
		}
	}
	return false
}

// isOf reports whether what a problem is about is a field, or a part of it.
func isOf(about, field string) bool {
	rest, ok := strings.CutPrefix(about, field)
	return ok && (rest == "" || rest[0] == '[' || rest[0] == '.')
}
