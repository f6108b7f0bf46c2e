package server

import (
	"net/http"
	"slices"
	"strings"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/policy"
)

// checkClientRequest says what is wrong with the body of a call that would make a client.
func (s *Server) checkClientRequest(ex *exchange, r *http.Request) error {
	var q clientRequest
	return s.checkRequest(ex, r, policy.WriteClients, &q, func(a asker, p problems) (problems, error) {
		return s.clientService().check(a, &q, p)
	})
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
