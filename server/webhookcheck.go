package server

import (
	"net/http"

	"wavegate/server/policy"
)

// checkWebhook says what is wrong with the body of a call that would make a webhook,
// and makes nothing: for forms that say it while they are filled in. With
// ?partial=true the fields that were not given are not complained about.
func (s *Server) checkWebhook(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.WriteWebhooks)
	if err != nil {
		return err
	}
	query := newQuery(r)
	partial := query.flag("partial")
	if err := query.end(); err != nil {
		return err
	}
	var q webhookRequest
	var p problems
	raw, err := readFields(ex, r, &q, &p)
	if err != nil {
		return err
	}
	q.check(s.webhookRules(), &p)
	q.checkNew(&p)
	if q.All != nil && *q.All && !c.admin {
		p.add("all", "is for administrators alone")
	}
	if partial {
		p = p.about(raw)
	}
	return writeJSON(ex, http.StatusOK, checkAnswer{len(p) == 0, append(problems{}, p...)})
}

// checkNew notes what a new webhook lacks.
func (q *webhookRequest) checkNew(p *problems) {
	if q.URL == nil {
		p.add("url", "is needed: where the events are sent to")
	}
}
