package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"wavegate/server/limit"
	"wavegate/server/store"
	"wavegate/server/usage"
	"wavegate/server/webhook"
)

// tally counts a request for those who look at usage, writes down refused
// credentials, and notices keys that are refused again and again.
func (s *Server) tally(ex *exchange, took time.Duration) {
	if s.usage == nil {
		return
	}
	sample := usage.Sample{
		Failed: ex.status >= http.StatusInternalServerError, Took: took,
		BytesIn: ex.bytesIn.Load(), BytesOut: ex.bytesOut + ex.socketOut.Load(),
	}
	sample.Route = s.routeClass(ex)
	if ex.fault != nil && ex.status < http.StatusInternalServerError {
		sample.Refusal = ex.fault.Code
	}
	if ex.hijacked {
		sample.Took = -1 // how long a socket was open says nothing about latency
	}
	if p := ex.Principal; p != nil {
		sample.Key, sample.Owner, sample.Client = p.KeyID, p.Owner, p.OAuthClientID
	}
	if ex.key != nil {
		rec := ex.key.Record()
		sample.Key, sample.Owner = rec.ID, rec.Owner
		if sample.Refusal != "" {
			s.noteKeyRefusal(ex, rec, sample.Route)
		}
	}
	if ex.Route != portalPath { // its pages renew themselves, and so would be the most of what they show
		s.usage.Add(ex.start, &sample)
	}
	s.auditRefusal(ex)
}

// routeClass is the route under which a request is counted: one of few, whatever
// clients ask for.
func (s *Server) routeClass(ex *exchange) string {
	switch {
	case ex.label != "":
		return ex.label
	case ex.Route == "":
		return "none"
	case strings.HasPrefix(ex.Route, "/v1/auth/"), strings.HasPrefix(ex.Route, "/api/v1/"):
		return "api"
	case strings.HasPrefix(ex.Route, "/_auth/"), strings.HasPrefix(ex.Route, "/_health/"), strings.HasPrefix(ex.Route, "/oauth/"),
		strings.HasPrefix(ex.Route, "/_portal"):
		return "own"
	}
	return ex.Route
}

// budgetReached tells the owner of a key that an operation, or a byte, was the
// last of its period. The limiter calls it and must not wait.
func (s *Server) budgetReached(a *limit.Account, period string, most int64) {
	kind, name, _ := strings.Cut(a.Name, ":")
	s.queueNote(func(ctx context.Context) store.Journal {
		owner := ""
		switch kind {
		case "user":
			owner = "sub:" + name
		case "key":
			if rec, err := s.store.Key(ctx, name); err == nil {
				owner = rec.Owner
			}
		}
		return store.Journal{Events: []webhook.Event{
			event(webhook.BudgetReached, owner, map[string]any{"account": a.Name, "period": period, "limit": most}),
		}}
	})
}
