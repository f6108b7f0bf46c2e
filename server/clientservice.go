package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/store"
)

// A clientService makes, changes and removes OAuth clients for whoever asks: the
// calls of the API, the portal. Its errors are answers.
type clientService struct {
	store  *store.Store
	policy *policy.Policy

	changed func(id string) // is told of each client that was changed
	wrote   func()          // is told that events were written
}

const (
	maxClients  = 100 // of one owner
	clientTries = 5   // of a change that others are faster with
)

var (
	errUnknownClient  = fault.New(http.StatusNotFound, "not_found", "There is no such client.")
	errTooManyClients = fault.New(http.StatusConflict, "too_many_clients", "There are 100 clients already. Remove one first.")
	errClientConflict = fault.New(http.StatusConflict, "conflict",
		"The client was changed by another request at the same time. Read it, then try again.")
	errClientStore = fault.New(http.StatusServiceUnavailable, "store_unavailable",
		"Clients cannot be read or changed right now. Try again in a moment.")
	errNoSecrets = fault.New(http.StatusConflict, "conflict",
		"The client has no secret that could be rotated: it is public, or proves itself with a key of its own.")
)

// clientError is the answer to what went wrong in the store.
func clientError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, authz.ErrNotFound):
		return errUnknownClient
	case errors.Is(err, authz.ErrTooMany):
		return errTooManyClients
	case errors.Is(err, authz.ErrConflict):
		return errClientConflict
	}
	if errors.Is(err, session.ErrUnavailable) {
		return errClientStore.RetryAfter(time.Second).Because(err)
	}
	return err
}

func (k *clientService) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// create makes a client and, where it can keep one, its secret.
func (k *clientService) create(ctx context.Context, a asker, q *clientRequest, p problems) (*authz.Client, string, error) {
	if err := mayMake(a.apiCaller); err != nil {
		return nil, "", err
	}
	c := k.draft(a.apiCaller, q, &p)
	if err := p.err(); err != nil {
		return nil, "", err
	}
	if err := exceeding(k.beyond(a.apiCaller, &authz.Client{}, c)); err != nil {
		return nil, "", err
	}
	secret := ""
	if authMethod(c) == "client_secret_basic" {
		var kept authz.Secret
		secret, kept = authz.NewSecret(c.CreatedAt, time.Time{})
		c.Secrets = []authz.Secret{kept}
	}
	j := a.note(deed{"client.create", c.ID, c.Owner, clientFacts(c)}, clientEvent(c))
	made, err := k.store.AddClient(ctx, *c, maxClients, j)
	if err != nil {
		return nil, "", clientError(err)
	}
	k.wrote()
	return &made, secret, nil
}

// draft is the client that a request asks for. What is wrong with it is noted in p.
func (k *clientService) draft(c *apiCaller, q *clientRequest, p *problems) *authz.Client {
	made := q.draft(c, k.policy, k.now(), p)
	checkClient(made, p)
	return made
}

// beyond returns what a client would hold beyond whoever makes or changes it, in
// words. What it held before is not asked about.
func (k *clientService) beyond(c *apiCaller, before, next *authz.Client) []string {
	var list []string
	for _, scope := range added(before.Scopes, next.Scopes) {
		if !k.policy.MayGive(c.who, scope) {
			list = append(list, "scope "+scope)
		}
	}
	if !c.admin {
		list = append(list, forAdmins(before, next)...)
	}
	if isBound(c.key) && speaksMore(before, next) {
		list = append(list, unboundGrant)
	}
	return list
}

const unboundGrant = "grant client_credentials, which has none of the bounds of the key that asks (expires_at, allowed_ips)"

// isBound reports whether an API key ends by itself, or counts from some addresses
// alone.
func isBound(key *apikey.Record) bool {
	return key != nil && (!key.ExpiresAt.IsZero() || len(key.AllowedIPs) > 0)
}

// speaksMore reports whether a change lets a client speak for itself where it could
// not before. Of what people allow it, they are asked.
func speaksMore(before, next *authz.Client) bool {
	return next.MayUse(authz.GrantClientCredentials) && (!before.MayUse(authz.GrantClientCredentials) ||
		len(added(before.Scopes, next.Scopes)) > 0 || !bytes.Equal(before.JWKS, next.JWKS) || before.Disabled() && !next.Disabled())
}

// find returns a client that the caller may see. What they may not see is not there.
func (k *clientService) find(ctx context.Context, c *apiCaller, id string) (authz.Client, error) {
	client, err := k.store.Client(ctx, id)
	if err != nil {
		return authz.Client{}, clientError(err)
	}
	if !c.owns(client.Owner) {
		return authz.Client{}, errUnknownClient
	}
	return client, nil
}

// alter reads a client, changes it and writes it, again where others were faster.
func (k *clientService) alter(ctx context.Context, a asker, id, action string, change func(*authz.Client) (map[string]string, error)) (*authz.Client, error) {
	for try := 1; ; try++ {
		c, err := k.find(ctx, a.apiCaller, id)
		if err != nil {
			return nil, err
		}
		facts, err := change(&c)
		if err != nil {
			return nil, err
		}
		kept, err := k.store.ChangeClient(ctx, c, a.note(deed{action, c.ID, c.Owner, facts}))
		k.changed(id) // in any case: whether it was written is not always known
		if !errors.Is(err, authz.ErrConflict) || try == clientTries {
			return &kept, clientError(err)
		}
	}
}

// change changes what was given of a client.
func (k *clientService) change(ctx context.Context, a asker, id string, q *clientRequest, fields []string, found problems) (*authz.Client, error) {
	action := "client.update"
	return k.alter(ctx, a, id, action, func(c *authz.Client) (map[string]string, error) {
		if err := mayMake(a.apiCaller); err != nil {
			return nil, err
		}
		p := slices.Clone(found)
		before := *c
		if q.Type != nil && *q.Type != string(c.Type) {
			p.add("type", "cannot be changed: make another client")
		}
		q.apply(c, k.policy, k.now(), &p)
		checkClient(c, &p)
		if err := p.err(); err != nil {
			return nil, err
		}
		if authMethod(c) != "client_secret_basic" {
			c.Secrets = nil
		}
		facts := clientFacts(c)
		facts["fields"] = strings.Join(fields, " ")
		if err := exceeding(k.beyond(a.apiCaller, &before, c)); err != nil {
			return nil, err
		}
		return facts, a.match.check(before.Version) // of each try
	})
}

// rotate gives a client another secret; the one before works on for the grace
// period, and none that is older than that.
func (k *clientService) rotate(ctx context.Context, a asker, id string, grace time.Duration) (*authz.Client, string, error) {
	secret := ""
	c, err := k.alter(ctx, a, id, "client.rotate_secret", func(c *authz.Client) (map[string]string, error) {
		if authMethod(c) != "client_secret_basic" {
			return nil, errNoSecrets
		}
		if err := mayMake(a.apiCaller); err != nil {
			return nil, err
		}
		if isBound(a.key) && c.MayUse(authz.GrantClientCredentials) {
			return nil, exceeding([]string{unboundGrant})
		}
		now := k.now()
		var next authz.Secret
		secret, next = authz.NewSecret(now, time.Time{})
		c.Secrets = append(lastSecret(c.Secrets, now, now.Add(grace)), next)
		return clientFacts(c), nil
	})
	return c, secret, err
}

// lastSecret is the newest secret that works, which is to end at a time at the
// latest.
func lastSecret(list []authz.Secret, now, end time.Time) []authz.Secret {
	for i := len(list) - 1; i >= 0; i-- {
		last := list[i]
		if !last.ExpiresAt.IsZero() && !now.Before(last.ExpiresAt) {
			continue
		}
		if last.ExpiresAt.IsZero() || end.Before(last.ExpiresAt) {
			last.ExpiresAt = end
		}
		if now.Before(last.ExpiresAt) {
			return []authz.Secret{last}
		}
		return nil
	}
	return nil
}

// remove removes a client with everything that it was given.
func (k *clientService) remove(ctx context.Context, a asker, id string) error {
	c, err := k.find(ctx, a.apiCaller, id)
	if err != nil {
		return err
	}
	err = k.store.DeleteClient(ctx, id, a.note(deed{"client.delete", c.ID, c.Owner, clientFacts(&c)}))
	k.changed(id)
	return clientError(err)
}
