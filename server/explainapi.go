package server

import (
	"errors"
	"net/http"
	"strings"

	"wavegate/keychain/apikey"
)

// An explanationView is the answer to why a request is allowed or refused.
type explanationView struct {
	Lines    []string `json:"lines"`
	Decision string   `json:"decision"` // the last line
}

// maxQuestion bounds the request that is to be explained, in bytes.
const maxQuestion = 10_000

// explainRequest explains to an administrator, by what is in force now, why a
// request would be allowed or refused: {"request": "GET /v1/streams", "as": "key_…"}.
// It changes nothing, and nothing is written down of it.
func (s *Server) explainRequest(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	var body struct {
		Request *string `json:"request"`
		As      *string `json:"as"`
	}
	var p problems
	if err := readJSON(ex, r, &body, &p); err != nil {
		return err
	}
	q := checkQuestion(body.Request, &p)
	if err := p.err(); err != nil {
		return err
	}
	as := ""
	if body.As != nil {
		as = strings.TrimSpace(*body.As)
	}
	c := &console{Server: s, policy: s.state.Load().policy, live: true}
	lines, err := c.explain(ex.ctx, &q, as)
	if unknown, ok := errors.AsType[*unknownError](err); ok {
		p.add("as", "%s", unknown.inAPI)
		return p.err()
	}
	if err != nil {
		return keyError(err)
	}
	return writeJSON(ex, http.StatusOK, explanationView{lines, strings.TrimPrefix(lines[len(lines)-1], decision)})
}

// checkQuestion reads the request that is to be explained.
func checkQuestion(request *string, p *problems) question {
	switch {
	case request == nil || strings.TrimSpace(*request) == "":
		if !p.has("request") {
			p.add("request", "is required: %s", errQuestion)
		}
		return question{}
	case len(*request) > maxQuestion:
		p.add("request", "has %d bytes; %d are the most", len(*request), maxQuestion)
		return question{}
	case apikey.Holds(*request):
		p.add("request", "holds an API key: leave it out, and say with as whose it is")
		return question{}
	}
	q, err := parseQuestion(*request)
	if err != nil {
		p.add("request", "%s", strings.TrimSuffix(err.Error(), "."))
	}
	return q
}
