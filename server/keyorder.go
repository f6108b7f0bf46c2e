package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wavegate/server/audit"
	"wavegate/server/fault"
)

// A KeyOrder is what the command line says of a new API key. What is "", nil or 0
// was not said.
type KeyOrder struct {
	Name        string
	Environment string // "" is live
	Role        string
	Scopes      []string
	Tier        string
	AllowedIPs  []string
	ExpiresIn   time.Duration // 0 is what the policy says of all keys
}

// request makes a request of an order, as the API would read it.
func (o KeyOrder) request(now time.Time) *keyRequest {
	q := &keyRequest{
		Name: orNull(o.Name), Environment: orNull(o.Environment), Role: orNull(o.Role), Scopes: o.Scopes,
		Tier: orNull(o.Tier), AllowedIPs: o.AllowedIPs,
	}
	if o.ExpiresIn > 0 {
		q.ExpiresAt = orNull(rfc3339(now.Add(o.ExpiresIn)))
	}
	return q
}

// An IssuedKey is a new API key, the key itself in it, and what to be told about
// it, both as the API answers it.
type IssuedKey = keyAnswer

// CreateAPIKey makes an API key, which belongs to the operator; a running server
// takes it at once. What is wrong with the order is a SettingsError that names all
// of it, and then nothing is made: no store, no secret.
func CreateAPIKey(ctx context.Context, cfg Config, order KeyOrder) (IssuedKey, error) {
	check := func(c *console, ctx context.Context) error { return c.checkOrder(ctx, order) }
	steps := []step{(*console).readRules, check, (*console).anySecret, (*console).openStore}
	return withConsole(ctx, cfg, steps, func(c *console) (IssuedKey, error) {
		k, a := c.keys()
		made, err := k.create(ctx, a, order.request(k.now()), nil)
		if err != nil {
			return IssuedKey{}, order.inWords(err)
		}
		view := viewKey(&made.Record, c.policy, k.now())
		view.Key = made.secret
		return IssuedKey{Key: view, Warning: shownOnce + c.foreignSecret(ctx)}, nil
	})
}

// foreignSecret warns of a secret that is not the one of the server whose store it
// is: its keys would open nothing there.
func (c *console) foreignSecret(ctx context.Context) string {
	if _, _, err := c.store.AuditAnchor(ctx); !errors.Is(err, audit.ErrUnknownSecret) {
		return ""
	}
	return fmt.Sprintf(" It is made under the secret file %s, and this store was written under another one: where that is still the server's, the key opens nothing.", c.cfg.SecretFile)
}

// CheckKeyOrder reports what is wrong with an order, as far as settings and policy
// tell. It changes nothing.
func CheckKeyOrder(ctx context.Context, cfg Config, order KeyOrder) error {
	check := func(c *console) (struct{}, error) { return struct{}{}, c.checkOrder(ctx, order) }
	_, err := withConsole(ctx, cfg, []step{(*console).readRules}, check)
	return err
}

func (c *console) checkOrder(ctx context.Context, order KeyOrder) error {
	k, a := c.keys()
	var p problems
	if _, err := k.draft(ctx, a.apiCaller, order.request(k.now()), &p); err != nil {
		return err
	}
	return order.inWords(p.err())
}

// inWords makes an answer of the API about an order an error of the command line.
func (o KeyOrder) inWords(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || len(e.Fields) == 0 {
		return inWords(err)
	}
	all := make([]error, len(e.Fields))
	for i, f := range e.Fields {
		all[i] = errors.New(o.place(f.Field) + " " + f.Message)
	}
	return SettingsError{errors.Join(all...)}
}

// place names a field of the API by its flag, with the value where it has one.
func (o KeyOrder) place(field string) string {
	name, index, _ := strings.Cut(strings.TrimSuffix(field, "]"), "[")
	i, _ := strconv.Atoi(index)
	flag, value := "--"+name, ""
	switch name {
	case "role":
		value = o.Role
	case "environment":
		flag, value = "--env", o.Environment
	case "rate_limit_tier":
		flag, value = "--tier", o.Tier
	case "expires_at":
		flag = "--expires-in"
	case "scopes":
		value = at(o.Scopes, i, index)
	case "allowed_ips":
		flag, value = "--allowed-ips", at(o.AllowedIPs, i, index)
	}
	if value == "" {
		return flag
	}
	return fmt.Sprintf("%s: %q", flag, value)
}

// at is an entry of a list; "" where the whole list is meant.
func at(list []string, i int, index string) string {
	if index == "" || i >= len(list) {
		return ""
	}
	return list[i]
}

// inWords makes an answer of the API an error of the command line: nobody there
// has to try again later, but would like to know why.
func inWords(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	if e.Status >= http.StatusInternalServerError && e.Cause != nil {
		return e.Cause
	}
	return errors.New(cmp.Or(e.Message, e.Code))
}
