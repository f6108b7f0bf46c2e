package server

import (
	"cmp"
	"net/http"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/policy"
	"wavegate/server/store"
)

const secretShownOnce = "This is the only time that the secret is shown. Keep it where secrets are kept."

// A clientAnswer is what a call about one client is answered with.
type clientAnswer struct {
	Client  clientView `json:"client"`
	Warning string     `json:"warning,omitempty"`
}

func (s *Server) clientService() *clientService {
	return &clientService{
		store: s.store, policy: s.state.Load().policy, wrote: s.wrote,
		changed: func(id string) { s.oauthChanged(authz.ChangedClient, id) },
	}
}

func (s *Server) answerClient(ex *exchange, status int, c *authz.Client, secret string) error {
	a := clientAnswer{Client: viewClient(c, s.state.Load().policy, time.Now())}
	if secret != "" {
		a.Client.Secret, a.Warning = secret, secretShownOnce
	}
	tagged(ex, c.Version)
	return writeJSON(ex, status, a)
}

// createClient registers an app that asks for tokens.
func (s *Server) createClient(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteClients)
	if err != nil {
		return err
	}
	var q clientRequest
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	c, secret, err := s.clientService().create(ex.ctx, a, &q, p)
	if err != nil {
		return err
	}
	return s.answerClient(ex, http.StatusCreated, c, secret)
}

// listClients lists the caller's clients, the newest first; administrators choose
// with ?owner= or see everybody's with ?all=true.
func (s *Server) listClients(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadClients)
	if err != nil {
		return err
	}
	q := newQuery(r)
	owner, all := q.text("owner"), q.flag("all")
	search, cursor, limit := q.text("q"), q.text("cursor"), q.number("limit", defaultPage, maxPage)
	if len(search) > maxQuery {
		q.add("q", "must be text of at most %d characters", maxQuery)
	}
	if err := q.end(); err != nil {
		return err
	}
	if owner, _, err = a.whose(owner, all); err != nil {
		return err
	}
	list, err := s.store.Clients(ex.ctx, store.ClientFilter{Owner: owner, Search: search}, cursor, limit+1)
	if err != nil {
		return clientError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	views := make([]clientView, 0, len(list))
	for i := range list {
		views = append(views, viewClient(&list[i], s.state.Load().policy, ex.start))
	}
	return writeJSON(ex, http.StatusOK, struct {
		Clients []clientView `json:"clients"`
		Next    string       `json:"next_cursor,omitempty"`
	}{views, next})
}

// getClient shows one client.
func (s *Server) getClient(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadClients)
	if err != nil {
		return err
	}
	c, err := s.clientService().find(ex.ctx, a.apiCaller, ex.args[0])
	if err != nil {
		return err
	}
	return s.answerClient(ex, http.StatusOK, &c, "")
}

// changeClient changes what the body names of a client.
func (s *Server) changeClient(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteClients)
	if err != nil {
		return err
	}
	var q clientRequest
	var p problems
	raw, err := readFields(ex, r, &q, &p)
	if err != nil {
		return err
	}
	if a.match, err = ifMatch(r); err != nil {
		return err
	}
	fields := q.readNulls(raw, &p)
	if len(fields) == 0 {
		p.add("body", "names no field that is to be changed")
	}
	c, err := s.clientService().change(ex.ctx, a, ex.args[0], &q, fields, p)
	if err != nil {
		return err
	}
	return s.answerClient(ex, http.StatusOK, c, "")
}

// deleteClient removes a client: its tokens open nothing from now on.
func (s *Server) deleteClient(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteClients)
	if err != nil {
		return err
	}
	if err := s.clientService().remove(ex.ctx, a, ex.args[0]); err != nil {
		return err
	}
	ex.Header().Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// rotateClientSecret gives a client another secret.
func (s *Server) rotateClientSecret(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteClients)
	if err != nil {
		return err
	}
	var q struct {
		Grace *int64 `json:"grace_period_hours"`
	}
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	grace := *cmp.Or(q.Grace, new(int64(usualGrace)))
	if grace < 0 || grace > maxGrace {
		p.add("grace_period_hours", "must be from 0 to %d", maxGrace)
	}
	if err := p.err(); err != nil {
		return err
	}
	c, secret, err := s.clientService().rotate(ex.ctx, a, ex.args[0], time.Duration(grace)*time.Hour)
	if err != nil {
		return err
	}
	return s.answerClient(ex, http.StatusOK, c, secret)
}
