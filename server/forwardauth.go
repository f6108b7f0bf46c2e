package server

import (
	"net/http"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/policy"
)

// verify answers nginx's auth_request: 200 with the identity headers, 401, 403,
// or 400 for a question that is not whole; never a body, never a redirect.
func (s *Server) verify(ex *exchange, r *http.Request) error {
	ex.statusOnly = true
	ask, err := gateway.AskFromNginx(r, ex.Scheme, ex.Forwarded)
	if err != nil {
		return err
	}
	err = s.answerAsk(ex, r, ask)
	if err == nil {
		return nil
	}
	switch e := fault.From(err); {
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusPaymentRequired:
		denied := *e // nginx takes every status but 401 and 403 for a failure of ours
		denied.Status = http.StatusForbidden
		return &denied
	case s.signIn != nil && e.Code == errNoCredential.Code:
		return withoutPrompt(r.Header) // nginx passes the challenge on, whatever page comes with it
	}
	return err
}

// forward answers Traefik, Caddy, Envoy and HAProxy, which pass the refusal on
// to the client as it is.
func (s *Server) forward(ex *exchange, r *http.Request) error {
	ask, err := gateway.AskFromForwarded(r, s.cfg.BaseURL+"_auth/forward", ex.Forwarded)
	if err != nil {
		return err
	}
	ex.wanted = ask.Path
	if ask.Query != "" {
		ex.wanted += "?" + ask.Query
	}
	return s.orSignIn(ex, r, s.answerAsk(ex, r, ask), ask.Method, ex.wanted)
}

// answerAsk decides about the request that another proxy describes, by the same
// rules as if it had come here.
func (s *Server) answerAsk(ex *exchange, r *http.Request, ask gateway.ForwardAsk) error {
	if !gateway.NamesClient(r.Header) {
		return errNoClient
	}
	if err := s.requireHTTPS(ask.Scheme); err != nil {
		return err
	}
	path, found, err := gateway.CleanPath(ask.Path)
	if err != nil {
		return err
	}
	host, err := gateway.CleanHost(ask.HostPort)
	if err != nil {
		return err
	}
	ex.Path, ex.Host, ex.HostPort, ex.Scheme = path, host, ask.HostPort, ask.Scheme
	st := s.state.Load()
	rt, err := s.gateway.Match(st.policy, host, path)
	if err != nil {
		return err
	}
	if ask.WebSocket || ask.MaybeWebSocket {
		if err := s.gateway.CheckOrigin(r, &ex.Request); err != nil {
			return err
		}
	}
	question := policy.Ask{Route: rt, Method: ask.Method, Path: path, WebSocket: ask.WebSocket}
	if err := s.admit(ex, r, st, question, found); err != nil {
		return err
	}
	if ask.MaybeWebSocket {
		question.WebSocket = true
		if err := refusal(st.policy.Decide(ex.Principal, question), question); err != nil {
			return err
		}
	}
	return s.identityAnswer(ex, rt)
}

var errNoClient = fault.New(http.StatusBadRequest, "invalid_request",
	"The header X-Forwarded-For is missing or malformed in a forward-auth request: the proxy must say who asks.")

// identityAnswer says who was let in, in headers that the proxy copies onto the
// request it passes on.
func (s *Server) identityAnswer(ex *exchange, rt *policy.Route) error {
	h := ex.Header()
	if rt == nil {
		rt = &policy.Route{Name: ex.Host, Identity: policy.Wave | policy.Remote}
	}
	if err := s.gateway.Identify(h, ex.Principal, rt); err != nil {
		return err
	}
	h["Cache-Control"] = noStore
	ex.WriteHeader(http.StatusOK) // net/http says Content-Length: 0
	return nil
}

// noStore is in every answer of the hot path, and never changed.
var noStore = []string{"no-store"}
