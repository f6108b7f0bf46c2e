package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"wavegate/server/gateway"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// A question is a request that is to be explained.
type question struct {
	host, method string // host as routes have it; "" is a host that no route names
	path         string // normalised
	found        policy.PathFeature
	webSocket    bool
}

// CheckQuestion says what is wrong with the request that Explain is asked about.
func CheckQuestion(request string) error {
	_, err := parseQuestion(request)
	return err
}

var errQuestion = errors.New(`write a method and a path, such as "GET /v1/streams" or "WS app.example.com/live"`)

// parseQuestion reads "METHOD PATH". A host or a whole origin may stand before the
// path, the method may be left out, and "WS" opens a WebSocket. A query is no part
// of any decision and is dropped.
func parseQuestion(request string) (q question, err error) {
	fields := strings.Fields(request)
	var target string
	method := http.MethodGet
	switch len(fields) {
	case 1:
		target = fields[0]
	case 2:
		method, target = strings.ToUpper(fields[0]), fields[1]
	default:
		return q, errQuestion
	}
	scheme, rest, absolute := strings.Cut(target, "://")
	switch {
	case !absolute || strings.Contains(scheme, "/"):
	case scheme == "http" || scheme == "https":
		target = rest
	case scheme == "ws" || scheme == "wss":
		method, target = "WS", rest
	default:
		return q, errQuestion
	}
	if q.method, q.webSocket = method, method == "WS"; q.webSocket {
		q.method = http.MethodGet
	}
	if strings.Trim(q.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return q, errQuestion
	}
	return q, q.readTarget(target)
}

// readTarget reads "[HOST]/PATH".
func (q *question) readTarget(target string) (err error) {
	host, path, found := strings.Cut(target, "/")
	if !found {
		return errQuestion
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	if q.path, q.found, err = gateway.CleanPath("/" + path); err != nil {
		return inWords(err)
	}
	if q.host, err = gateway.CleanHost(host); err != nil {
		return inWords(err)
	}
	return nil
}

// Explain tells, rule by rule, why a request is allowed or refused, the decision
// in the last line. Of an endpoint of the server's own it tells what the caller may
// do there. For the form of request see CheckQuestion. As is who asks: the
// ID of an API key or an access key, the e-mail address, the subject or the ID of
// a person, or "", which is nobody.
func Explain(ctx context.Context, cfg Config, request, as string) ([]string, error) {
	q, err := parseQuestion(request)
	if err != nil {
		return nil, SettingsError{fmt.Errorf("--explain: %w", err)}
	}
	steps := []step{(*console).readRules, (*console).readAdmins, (*console).anyStore}
	return withConsole(ctx, cfg, steps, func(c *console) ([]string, error) {
		lines, err := c.explain(ctx, &q, as)
		if unknown, ok := errors.AsType[*unknownError](err); ok {
			err = fmt.Errorf("--as: %s", unknown.atHome)
		}
		return lines, err
	})
}

// explain explains a question about somebody. An error about who that is, is an
// *unknownError.
func (c *console) explain(ctx context.Context, q *question, as string) ([]string, error) {
	by, err := c.whoIs(ctx, as)
	if err != nil {
		return nil, err
	}
	if own, ok := c.ownPath(q.path); ok {
		return c.explainOwn(q, own, by), nil
	}
	return c.explainRoute(q, by), nil
}

func (c *console) readAdmins(context.Context) (err error) {
	c.admins, err = policy.NewAdmins(c.cfg.Admins)
	return err
}

// anyStore opens the store where there is one.
func (c *console) anyStore(ctx context.Context) error {
	if err := c.storeThere(ctx); errors.Is(err, ErrNoStore) {
		return nil
	}
	return c.openStore(ctx)
}

// explainRoute explains a request to a guarded app: what the policy says, and what
// the server itself adds to that.
func (c *console) explainRoute(q *question, by asserted) []string {
	ask, err := c.askFor(q)
	if err != nil {
		return []string{decided("invalid_request", http.StatusBadRequest, inWords(err).Error())}
	}
	if ask.Route != nil && ask.Route.Access == policy.Public {
		by = asserted{said: []string{"the route is public: whatever credential comes is not looked at"}}
	}
	if c.cfg.RequireHTTPS {
		by.said = append(by.said, "--require-https: over plain http every answer is https_required (403)")
	}
	lines := c.policy.Explain(by.who, ask)
	end := len(lines) - 1
	verdict := cmp.Or(by.bar, lines[end])
	lines = append(by.said, lines[:end]...)
	if ask.Route == nil {
		lines = append(lines, "another proxy that asks /_auth/verify or /_auth/forward gets "+strings.TrimPrefix(verdict, decision))
		if !c.live {
			lines = append(lines, "apps that announced themselves to a running server are not known here")
		}
		verdict = decided("not_found", http.StatusNotFound, "no route covers the request")
	} else if bad := q.found &^ ask.Route.AllowInPath; bad != 0 {
		verdict = decided("invalid_request", http.StatusBadRequest, "the path holds "+bad.String()+", and the route has no allow_in_path for it")
	}
	return append(lines, verdict)
}

// askFor finds the route of a question: of a running server also that of an app that
// announced itself.
func (c *console) askFor(q *question) (policy.Ask, error) {
	ask := c.policy.AskFor(q.host, q.method, q.path, q.webSocket)
	if !c.live {
		return ask, nil
	}
	var err error
	ask.Route, err = c.gateway.Match(c.policy, q.host, q.path)
	return ask, err
}

// decision begins the last line of an explanation.
const decision = "decision: "

// decided is the last line of an explanation.
func decided(code string, status int, why string) string {
	return fmt.Sprintf("%s%s (%d): %s", decision, code, status, why)
}

// explainOwn explains a request to an endpoint of the server's own, whose path
// below the base URL is own.
func (c *console) explainOwn(q *question, own string, by asserted) []string {
	lines := by.said
	if by.who == nil {
		by.who = &identity.Principal{}
	}
	lines = append(lines, c.policy.ExplainCaller(by.who)...)
	if c.admins.Has(by.who) {
		lines = append(lines, "  administrator (--admins): may do everything there, with everybody's things")
	}
	methods := c.methodsOf(own)
	switch {
	case q.found != 0:
		return append(lines, decided("invalid_request", http.StatusBadRequest, "the path holds "+q.found.String()))
	case len(methods) == 0:
		return append(lines, decided("not_found", http.StatusNotFound, "the path is the server's own, and nothing is there"))
	case !slices.Contains(methods, "*") && !slices.Contains(methods, q.method) && (q.method != http.MethodHead || !slices.Contains(methods, http.MethodGet)):
		return append(lines, decided("method_not_allowed", http.StatusMethodNotAllowed, "the endpoint takes "+strings.Join(methods, ", ")))
	case by.bar != "":
		lines = append(lines, "where a credential is wanted the answer is "+strings.TrimPrefix(by.bar, decision))
	}
	return append(lines, "this is an endpoint of the server itself: no route and no scope of the policy's endpoints decides about it, but what the caller may do \"of the server's own API\", above")
}

// methodsOf are the methods that the endpoints at a path below the base URL take;
// "*" is any.
func (c *console) methodsOf(own string) []string {
	var methods []string
	for _, rt := range c.routes() {
		if _, ok := rt.matches(own); ok && !slices.Contains(methods, rt.method) {
			methods = append(methods, rt.method)
		}
	}
	return methods
}
