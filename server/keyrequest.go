package server

import (
	"context"
	"encoding/json"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/policy"
)

// A keyRequest is what somebody asks for of a new key, or of a change: fields that
// are nil were not given.
type keyRequest struct {
	Name        *string         `json:"name"`
	Description *string         `json:"description"`
	Environment *string         `json:"environment"`
	Role        *string         `json:"role"`
	Scopes      []string        `json:"scopes"`
	AllowedIPs  []string        `json:"allowed_ips"`
	Metadata    json.RawMessage `json:"metadata"`
	Tier        *string         `json:"rate_limit_tier"`
	OpsLimit    *int64          `json:"ops_limit"`
	Budget      *budgetRequest  `json:"budget"`
	Owner       *string         `json:"owner"` // administrators alone choose it
	ExpiresIn   *int64          `json:"expires_in_days"`
	ExpiresAt   *string         `json:"expires_at"`
}

type budgetRequest struct {
	PerDay   *int64 `json:"operations_per_day"`
	PerMonth *int64 `json:"operations_per_month"`
}

// apply writes the fields that were given into a record, but for environment and
// owner, and notes what is wrong with each.
func (q *keyRequest) apply(rec *apikey.Record, pol *policy.Policy, now time.Time, p *problems) {
	if q.Name != nil {
		rec.Name = checkName(*q.Name, p)
	}
	if q.Description != nil {
		rec.Description = checkDescription(*q.Description, p)
	}
	if q.Role != nil {
		rec.Role = *q.Role
		checkRole(*q.Role, pol, p)
	}
	if q.Scopes != nil {
		rec.Scopes = append([]string{}, q.Scopes...)
		checkScopes(q.Scopes, pol, p)
	}
	if q.AllowedIPs != nil {
		rec.AllowedIPs = parseNetworks(q.AllowedIPs, p)
	}
	if q.Metadata != nil {
		rec.Metadata = checkMetadata(q.Metadata, p)
	}
	if q.Tier != nil {
		rec.Tier = *q.Tier
		checkTier(*q.Tier, pol, p)
	}
	q.applyNumbers(rec, p)
	if q.ExpiresIn != nil || q.ExpiresAt != nil {
		rec.ExpiresAt = q.expiry(now, p)
	}
}

// applyNumbers writes what bounds operations.
func (q *keyRequest) applyNumbers(rec *apikey.Record, p *problems) {
	set := func(to *int64, field string, n *int64) {
		if n == nil {
			return
		}
		if *to = *n; *n < 1 {
			p.add(field, "must be 1 or more; leave it out for no limit")
		}
	}
	set(&rec.OpsLimit, "ops_limit", q.OpsLimit)
	if q.Budget != nil {
		rec.Budget = apikey.Budget{}
		set(&rec.Budget.PerDay, "budget.operations_per_day", q.Budget.PerDay)
		set(&rec.Budget.PerMonth, "budget.operations_per_month", q.Budget.PerMonth)
	}
}

// draft makes the record of a new key of what was asked for and of what counts
// where nothing was said. It has no secret yet. What is wrong is noted in p; the
// error is of what has to be asked to check it.
func (k *keyService) draft(ctx context.Context, c *apiCaller, q *keyRequest, p *problems) (apikey.Record, error) {
	now := k.now()
	rec := apikey.Record{Environment: apikey.Live, Owner: c.owner, UserID: c.userID, CreatedAt: now, Version: 1}
	if c.key != nil {
		rec.Environment, rec.Tier, rec.AllowedIPs = c.key.Environment, c.key.Tier, c.key.AllowedIPs
	}
	if q.Name == nil && !p.has("name") {
		p.add("name", "is required: say what the key is for")
	}
	if q.Environment != nil {
		rec.Environment = checkEnvironment(*q.Environment, p)
	}
	q.apply(&rec, k.policy, now, p)
	if d := k.policy.Defaults(); rec.Role == "" && q.Scopes == nil {
		rec.Role = d.Role
	}
	if q.ExpiresIn == nil && q.ExpiresAt == nil {
		rec.ExpiresAt = k.defaultExpiry(c, now)
	}
	return rec, k.assign(ctx, c, q, &rec, p)
}

// defaultExpiry is when a key ends for which nothing was said: never after the
// one that makes it.
func (k *keyService) defaultExpiry(c *apiCaller, now time.Time) time.Time {
	var end time.Time
	if d := k.policy.Defaults().KeyLifetime; d > 0 {
		end = now.Add(d)
	}
	if c.key != nil && !endsBy(end, c.key.ExpiresAt) {
		end = c.key.ExpiresAt
	}
	return end
}

const noOwner = "is nobody who is known here: give the ID of a user (usr_…), sub: and a subject, or key: and the ID of an access key"

// assign makes a key somebody else's, where that was asked for.
func (k *keyService) assign(ctx context.Context, c *apiCaller, q *keyRequest, rec *apikey.Record, p *problems) error {
	if q.Owner == nil || *q.Owner == c.owner {
		return nil
	}
	rec.Owner, rec.UserID = *q.Owner, "" // which is beyond whoever is no administrator
	if !c.admin || k.resolve == nil {
		return nil
	}
	found, err := k.resolve(ctx, *q.Owner)
	if err != nil {
		return keyError(err)
	}
	who, ok := found[*q.Owner]
	if !ok {
		p.add("owner", noOwner)
	}
	rec.Owner, rec.UserID = who.owner, who.userID
	return nil
}
