package server

import (
	"net/http"

	"wavegate/server/policy"
)

// checkWebhook says what is wrong with the body of a call that would make a webhook.
func (s *Server) checkWebhook(ex *exchange, r *http.Request) error {
	var q webhookRequest
	return s.checkRequest(ex, r, policy.WriteWebhooks, &q, func(a asker, p problems) (problems, error) {
		q.check(s.webhookRules(), &p)
		q.checkNew(&p)
		if q.All != nil && *q.All && !a.admin {
			p.add("all", "is for administrators alone")
		}
		return p, nil
	})
}

// checkNew notes what a new webhook lacks.
func (q *webhookRequest) checkNew(p *problems) {
	if q.URL == nil {
		p.add("url", "is needed: where the events are sent to")
	}
}
