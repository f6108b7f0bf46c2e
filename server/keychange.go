package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"wavegate/keychain/apikey"
)

// clearing are the fields that null takes away, and how.
var clearing = map[string]func(*apikey.Record){
	"description": func(r *apikey.Record) { r.Description = "" },
	"role":        func(r *apikey.Record) { r.Role = "" },
	"expires_at":  func(r *apikey.Record) { r.ExpiresAt = noTime },
	"allowed_ips": func(r *apikey.Record) { r.AllowedIPs = nil },
	"metadata":    func(r *apikey.Record) { r.Metadata = nil },

	"rate_limit_tier": func(r *apikey.Record) { r.Tier = "" },
	"ops_limit":       func(r *apikey.Record) { r.OpsLimit = 0 },
	"budget":          func(r *apikey.Record) { r.Budget = apikey.Budget{} },
}

// A keyChange is what somebody asks for of a key that there is.
type keyChange struct {
	keyRequest
	cleared []string // fields that were null
	fields  []string // all fields that were given, sorted
}

// read takes the body of a change, which was decoded into the request already, and
// finds out which fields were null in it.
func (q *keyChange) read(raw []byte, p *problems) {
	var given map[string]json.RawMessage
	if json.Unmarshal(raw, &given) != nil { // an empty body
		given = nil
	}
	for name, value := range given {
		q.fields = append(q.fields, name)
		if string(value) != "null" {
			continue
		}
		if clearing[name] != nil {
			q.cleared = append(q.cleared, name)
		} else if !p.has(name) {
			p.add(name, "cannot be null: leave it out to keep it")
		}
	}
	slices.Sort(q.fields)
	if q.Environment != nil {
		p.add("environment", "cannot be changed: make another key")
	}
	if q.Owner != nil {
		p.add("owner", "cannot be changed: make another key")
	}
	if len(q.fields) == 0 {
		p.add("body", "names no field that is to be changed")
	}
}

// change changes a key: only what was given. Of two at the same time the second
// is done over what the first one made, unless it came with a precondition, which is
// looked at again.
func (k *keyService) change(ctx context.Context, a asker, id string, q *keyChange, found problems) (apikey.Record, error) {
	for try := 1; ; try++ {
		old, err := k.find(ctx, a.apiCaller, id)
		if err != nil {
			return apikey.Record{}, err
		}
		next, err := k.changedRecord(a.apiCaller, old, q, slices.Clone(found))
		if err != nil {
			return apikey.Record{}, err
		}
		if err := a.match.check(old.Version); err != nil {
			return apikey.Record{}, err
		}
		facts := keyNames(&old)
		facts["fields"] = strings.Join(q.fields, " ")
		kept, err := k.store.ChangeKey(ctx, next, a.note(deed{"key.update", old.ID, old.Owner, facts}))
		k.told(old.ID)
		if !errors.Is(err, apikey.ErrConflict) || try == 2 {
			return kept, keyError(err)
		}
	}
}

// changedRecord is a record with a change, if it may be made.
func (k *keyService) changedRecord(c *apiCaller, old apikey.Record, q *keyChange, p problems) (apikey.Record, error) {
	now := k.now()
	next := old
	q.apply(&next, k.policy, now, &p)
	for _, name := range q.cleared {
		clearing[name](&next)
	}
	status := old.Status(now)
	if status == apikey.Deprecated && !endsBy(next.ExpiresAt, old.ExpiresAt) && !p.has("expires_at") {
		p.add("expires_at", "can only come earlier, since the key was rotated")
	}
	if err := p.err(); err != nil {
		return apikey.Record{}, err
	}
	if status == apikey.Revoked || status == apikey.Expired {
		return apikey.Record{}, errKeyNotActive
	}
	if err := mayMake(c); err != nil {
		return apikey.Record{}, err
	}
	return next, exceeding(k.beyondChange(c, &old, &next))
}
