package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wavegate/server/fault"
	"wavegate/server/policy"
	"wavegate/server/webhook"
)

const (
	maxWebhooks    = 20             // of one owner
	oldSecretSigns = 24 * time.Hour // beside the new one, after a rotation
	changeTries    = 5              // of a change that others are faster with
)

var (
	errTooManyWebhooks = fault.New(http.StatusConflict, "too_many_webhooks",
		"There are 20 webhooks already. Remove one first.")
	errWebhookChanged = fault.New(http.StatusConflict, "conflict",
		"The webhook was changed by somebody else at the same time. Try again.")
)

// createWebhook registers an address. The secret is in this answer alone.
func (s *Server) createWebhook(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.WriteWebhooks)
	if err != nil {
		return err
	}
	body, err := s.readWebhook(ex, r, c, (*webhookRequest).checkNew)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	e := webhook.Endpoint{ID: webhook.NewEndpointID(), Owner: c.owner, CreatedAt: now, UpdatedAt: now, Version: 1}
	details := body.apply(&e, now)
	secret := webhook.NewSecret()
	if e.Secret, err = secret.Seal(s.sealing, e.ID); err != nil {
		return err
	}
	j := s.journal(ex, c, deed{action: "webhook.create", target: e.ID, owner: e.Owner, details: details})
	if err := s.store.AddEndpoint(ex.ctx, e, maxWebhooks, j); err != nil {
		return webhookError(err)
	}
	view := viewWebhook(&e, now)
	view.Secret = secret.Reveal()
	tagged(ex, e.Version)
	return writeJSON(ex, http.StatusCreated, webhookAnswer{view, secretWarning})
}

// readWebhook reads the body of a call that makes or changes a webhook.
func (s *Server) readWebhook(ex *exchange, r *http.Request, c *apiCaller, more func(*webhookRequest, *problems)) (*webhookRequest, error) {
	var q webhookRequest
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return nil, err
	}
	q.check(s.webhookRules(), &p)
	more(&q, &p)
	if err := p.err(); err != nil {
		return nil, err
	}
	if q.All != nil && *q.All && !c.admin {
		return nil, errNoAdmin
	}
	return &q, nil
}

// webhookRules are what the policy in force says about addresses.
func (s *Server) webhookRules() webhook.Rules {
	w := s.state.Load().policy.Webhooks()
	return webhook.Rules{AllowHTTP: w.AllowHTTP, Allow: w.AllowNetworks}
}

// listWebhooks lists the caller's own; administrators see everybody's with
// ?all=true, or somebody's with ?owner=.
func (s *Server) listWebhooks(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadWebhooks)
	if err != nil {
		return err
	}
	q := newQuery(r)
	owner, all := q.text("owner"), q.flag("all")
	cursor, limit := q.text("cursor"), q.number("limit", defaultPage, maxPage)
	if err := q.end(); err != nil {
		return err
	}
	if owner, all, err = c.whose(owner, all); err != nil {
		return err
	}
	list, err := s.store.Endpoints(ex.ctx, owner, all, cursor, limit+1)
	if err != nil {
		return storeError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	now, views := time.Now(), make([]webhookView, 0, len(list))
	for i := range list {
		views = append(views, viewWebhook(&list[i], now))
	}
	if err := s.addLast(ex, c, views); err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, struct {
		Webhooks []webhookView `json:"webhooks"`
		Next     string        `json:"next_cursor,omitempty"`
	}{views, next})
}

// pacedCaller is apiCaller, and counts the request at the caller's rate.
func (s *Server) pacedCaller(ex *exchange, r *http.Request, what policy.Permission) (*apiCaller, error) {
	a, err := s.asker(ex, r, what)
	return a.apiCaller, err
}

// whose says whose things a caller sees who asked for an owner's, or for
// everybody's.
func (c *apiCaller) whose(owner string, all bool) (string, bool, error) {
	switch {
	case (all || owner != "" && owner != c.owner) && !c.admin:
		return "", false, errNoAdmin
	case owner != "":
		return owner, false, nil
	case all:
		return "", true, nil
	}
	return c.owner, false, nil
}

// withWebhook finds the webhook that the path names. What is somebody else's
// looks as if it were not there.
func (s *Server) withWebhook(what policy.Permission, serve func(*exchange, *http.Request, *apiCaller, webhook.Endpoint) error) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		c, err := s.pacedCaller(ex, r, what)
		if err != nil {
			return err
		}
		e, err := s.ownWebhook(ex.ctx, c, ex.args[0])
		if err != nil {
			return err
		}
		return serve(ex, r, c, e)
	}
}

func (s *Server) ownWebhook(ctx context.Context, c *apiCaller, id string) (webhook.Endpoint, error) {
	e, err := s.store.Endpoint(ctx, id)
	if err != nil {
		return e, webhookError(err)
	}
	if !c.owns(e.Owner) {
		return webhook.Endpoint{}, fault.NotFound()
	}
	return e, nil
}

// mayUse refuses whoever is no administrator what a webhook knows that gets
// everybody's events: who made it may have been one, and their API keys never are.
func mayUse(c *apiCaller, e *webhook.Endpoint) error {
	if e.All && !c.admin {
		return errNoAdmin
	}
	return nil
}

func (s *Server) getWebhook(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	views := []webhookView{viewWebhook(&e, time.Now())}
	if err := s.addLast(ex, c, views); err != nil {
		return err
	}
	tagged(ex, e.Version)
	return writeJSON(ex, http.StatusOK, webhookAnswer{Webhook: views[0]})
}

// changeWebhook changes the fields that the body gives.
func (s *Server) changeWebhook(ex *exchange, r *http.Request, c *apiCaller, e webhook.Endpoint) error {
	if err := mayUse(c, &e); err != nil {
		return err
	}
	body, err := s.readWebhook(ex, r, c, func(q *webhookRequest, p *problems) {
		if q.All != nil && *q.All != e.All {
			p.add("all", "cannot be changed: make another webhook")
		}
	})
	if err != nil {
		return err
	}
	match, err := ifMatch(r)
	if err != nil {
		return err
	}
	e, err = s.editWebhook(ex, c, e, "webhook.change", func(e *webhook.Endpoint, now time.Time) (map[string]string, error) {
		if err := match.check(e.Version); err != nil { // of each try
			return nil, err
		}
		return body.apply(e, now), nil
	})
	if err != nil {
		return err
	}
	tagged(ex, e.Version)
	return writeJSON(ex, http.StatusOK, webhookAnswer{Webhook: viewWebhook(&e, time.Now())})
}

// rotateWebhookSecret makes another secret. The old one signs too for a day, so
// that the receiver can be told in peace.
func (s *Server) rotateWebhookSecret(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	if err := mayUse(c, &e); err != nil {
		return err
	}
	secret := webhook.NewSecret()
	sealed, err := secret.Seal(s.sealing, e.ID)
	if err != nil {
		return err
	}
	e, err = s.editWebhook(ex, c, e, "webhook.rotate_secret", func(e *webhook.Endpoint, now time.Time) (map[string]string, error) {
		if e.Secret == nil {
			return nil, errors.New("a webhook without a secret")
		}
		e.OldSecret, e.OldEnds, e.Secret = e.Secret, now.Add(oldSecretSigns), sealed
		return map[string]string{"old_secret_expires_at": rfc3339(e.OldEnds)}, nil
	})
	if err != nil {
		return err
	}
	view := viewWebhook(&e, time.Now())
	view.Secret = secret.Reveal()
	tagged(ex, e.Version)
	return writeJSON(ex, http.StatusOK, webhookAnswer{view, secretWarning + " The old one signs too until " + rfc3339(e.OldEnds) + "."})
}

// editWebhook writes a change of a webhook, again when somebody else was faster.
// A change that changes nothing is not written.
func (s *Server) editWebhook(ex *exchange, c *apiCaller, e webhook.Endpoint, action string, edit func(*webhook.Endpoint, time.Time) (map[string]string, error)) (webhook.Endpoint, error) {
	for range changeTries {
		now := time.Now().UTC()
		details, err := edit(&e, now)
		if err != nil || len(details) == 0 {
			return e, err
		}
		e.UpdatedAt = now
		changed, err := s.store.ChangeEndpoint(ex.ctx, e, s.journal(ex, c, deed{action: action, target: e.ID, owner: e.Owner, details: details}))
		if !errors.Is(err, webhook.ErrConflict) {
			return changed, webhookError(err)
		}
		if e, err = s.ownWebhook(ex.ctx, c, e.ID); err != nil {
			return e, err
		}
	}
	return e, errWebhookChanged
}

// deleteWebhook removes a webhook with its deliveries: nothing more is sent.
func (s *Server) deleteWebhook(ex *exchange, _ *http.Request, c *apiCaller, e webhook.Endpoint) error {
	j := s.journal(ex, c, deed{action: "webhook.remove", target: e.ID, owner: e.Owner, details: map[string]string{"url": hostOf(e.URL)}})
	if err := s.store.RemoveEndpoint(ex.ctx, e.ID, j); err != nil {
		return webhookError(err)
	}
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// webhookError is the answer to what the store says about webhooks.
func webhookError(err error) error {
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return fault.NotFound()
	case errors.Is(err, webhook.ErrTooMany):
		return errTooManyWebhooks
	case errors.Is(err, webhook.ErrConflict):
		return errWebhookChanged
	case err != nil:
		return storeError(err)
	}
	return nil
}
