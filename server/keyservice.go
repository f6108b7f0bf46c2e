package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// A keyService makes, changes and ends API keys for whoever asks: the calls of
// the API, the portal, the command line. It needs no running server. Its errors
// are answers.
type keyService struct {
	store    *store.Store
	hasher   *apikey.Hasher
	policy   *policy.Policy
	brand    string
	checksum bool

	// resolve finds whose keys an administrator may make beside their own, by the
	// names that they gave. Names of nobody are not in the answer. Nil: there are no
	// others.
	resolve func(ctx context.Context, names ...string) (map[string]keyOwner, error)

	changed func(id string) // is told of each key that was changed; nil is nobody
	wrote   func()          // is told that events were written; nil is nobody
}

// An asker is whoever asks for something to be done with keys, and how that is
// written down.
type asker struct {
	*apiCaller
	once  store.Idempotency
	match precondition // of a change
	note  func(d deed, events ...webhook.Event) store.Journal
}

// An issued is a key that was made. The secret is "" where the request was made
// before: it was shown then.
type issued struct {
	apikey.Record
	secret   string
	replayed bool
}

var (
	errNoKeyThere   = fault.New(http.StatusNotFound, "not_found", "There is no such API key.")
	errKeyNotActive = fault.New(http.StatusConflict, "key_not_active",
		"The API key is revoked or has expired. Make a new one.")
	errKeyRotated = fault.New(http.StatusConflict, "conflict",
		"The API key was rotated already. Rotate the one that replaced it.")
	errKeyConflict = fault.New(http.StatusConflict, "conflict",
		"The API key was changed by another request at the same time. Read it, then try again.")
	errReused = fault.New(http.StatusUnprocessableEntity, "idempotency_key_reused",
		"The Idempotency-Key was used for another request. Use a new one for each thing that is to be done.")
	errKeyStore = fault.New(http.StatusServiceUnavailable, "store_unavailable",
		"API keys cannot be read or changed right now. Try again in a moment.")
)

// keyError is the answer to what went wrong in the store.
func keyError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, apikey.ErrNotFound):
		return errNoKeyThere
	case errors.Is(err, apikey.ErrConflict):
		return errKeyConflict
	case errors.Is(err, apikey.ErrReused):
		return errReused
	case errors.Is(err, apikey.ErrRotated):
		return errKeyRotated
	case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrExpired):
		return errKeyNotActive
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, apikey.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return errKeyStore.RetryAfter(time.Second).Because(err)
	}
	return err
}

// now is the time as records keep it.
func (k *keyService) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// create makes a key of what was asked for. The problems are those that reading
// it found.
func (k *keyService) create(ctx context.Context, a asker, q *keyRequest, p problems) (issued, error) {
	if err := mayMake(a.apiCaller); err != nil {
		return issued{}, err
	}
	rec, err := k.draft(ctx, a.apiCaller, q, &p)
	if err != nil {
		return issued{}, err
	}
	if err := p.err(); err != nil {
		return issued{}, err
	}
	if err := exceeding(k.beyond(a.apiCaller, &rec)); err != nil {
		return issued{}, err
	}
	return k.issue(ctx, a, rec, webhook.KeyCreated)
}

// issue gives a record its secret and writes it.
func (k *keyService) issue(ctx context.Context, a asker, rec apikey.Record, event string) (issued, error) {
	secret := k.mint(&rec)
	rec.ID = apikey.NewID()
	rec.Account = rec.ID
	j := a.note(deed{"key.create", rec.ID, rec.Owner, keyFacts(&rec)}, keyEvent(event, &rec, nil))
	kept, err := k.store.AddKey(ctx, rec, a.once, j)
	return k.done(a, kept, secret, err)
}

// done is what comes of making a key.
func (k *keyService) done(a asker, kept apikey.Record, secret string, err error) (issued, error) {
	if errors.Is(err, apikey.ErrReplayed) && a.owns(kept.Owner) {
		return issued{Record: kept, replayed: true}, nil
	}
	if err != nil {
		return issued{}, keyError(err)
	}
	k.told("")
	return issued{Record: kept, secret: secret}, nil
}

// mint makes a secret for a record.
func (k *keyService) mint(rec *apikey.Record) (secret string) {
	secret = apikey.Generate(k.brand, rec.Environment, k.checksum)
	rec.Hash, rec.HashBy = k.hasher.Current(secret), k.hasher.Version()
	if parts, ok := apikey.Parse(secret); ok {
		rec.Prefix = parts.Prefix
	}
	return secret
}

// told hands on that a key was changed ("" for none) and that events were written.
func (k *keyService) told(id string) {
	if id != "" && k.changed != nil {
		k.changed(id)
	}
	if k.wrote != nil {
		k.wrote()
	}
}

// find returns a key that the caller may see. What they may not see is not there.
func (k *keyService) find(ctx context.Context, c *apiCaller, id string) (apikey.Record, error) {
	if !isKeyID(id) {
		return apikey.Record{}, errNoKeyThere
	}
	rec, err := k.store.Key(ctx, id)
	if err != nil {
		return apikey.Record{}, keyError(err)
	}
	if !c.owns(rec.Owner) {
		return apikey.Record{}, errNoKeyThere
	}
	return rec, nil
}

// isKeyID reports whether something can be the ID of a key.
func isKeyID(id string) bool {
	rest, ok := strings.CutPrefix(id, "key_")
	return ok && len(rest) > 0 && len(rest) <= 64 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// conflicts is how often a change is tried that others overtake.
const conflicts = 5

// revoke ends a key at once. One that was revoked already is as it should be.
func (k *keyService) revoke(ctx context.Context, a asker, id string) error {
	for try := 1; ; try++ {
		rec, err := k.find(ctx, a.apiCaller, id)
		if err != nil || !rec.RevokedAt.IsZero() {
			return err
		}
		if a.key != nil {
			if err := exceeding(beyondEnvironment(a.key, &rec)); err != nil {
				return err
			}
		}
		rec.RevokedAt = k.now()
		j := a.note(deed{"key.revoke", rec.ID, rec.Owner, keyNames(&rec)}, keyEvent(webhook.KeyRevoked, &rec, nil))
		_, err = k.store.ChangeKey(ctx, rec, j)
		k.told(rec.ID) // in any case: whether it was written is not always known
		if !errors.Is(err, apikey.ErrConflict) || try == conflicts {
			return keyError(err)
		}
	}
}

// A rotated is what comes of a rotation.
type rotated struct {
	old  apikey.Record
	next issued
}

// rotate replaces a key by a new one; the old one works on for the grace period.
func (k *keyService) rotate(ctx context.Context, a asker, id string, grace time.Duration) (rotated, error) {
	old, err := k.find(ctx, a.apiCaller, id)
	if err != nil {
		return rotated{}, err
	}
	if err := k.mayRotate(a.apiCaller, &old); err != nil {
		return rotated{}, err
	}
	ended, next, err := apikey.Rotate(old, k.now(), grace)
	if err != nil {
		return k.rotatedBefore(ctx, a, old, err)
	}
	secret := k.mint(&next)
	facts := keyNames(&old)
	facts["new_key"], facts["expires_at"] = next.ID, rfc3339(ended.ExpiresAt)
	j := a.note(deed{"key.rotate", old.ID, old.Owner, facts}, keyEvent(webhook.KeyRotated, &ended, map[string]any{
		"new_key_id": next.ID, "new_prefix": next.Prefix,
	}))
	kept, err := k.store.RotateKey(ctx, ended, next, a.once, j)
	k.told(old.ID)
	if errors.Is(err, apikey.ErrReplayed) { // another request with the same Idempotency-Key was faster
		if ended, err = k.find(ctx, a.apiCaller, id); err == nil {
			err = apikey.ErrReplayed
		}
	}
	made, err := k.done(a, kept, secret, err)
	return rotated{ended, made}, err
}

// mayRotate refuses a rotation whose key would hold more than who asks. A key may
// always rotate itself, unless it is a trial.
func (k *keyService) mayRotate(c *apiCaller, old *apikey.Record) error {
	if c.key != nil && c.key.ID == old.ID && old.Environment != apikey.Trial {
		return nil
	}
	if err := mayMake(c); err != nil {
		return err
	}
	return exceeding(k.beyond(c, old))
}

// rotatedBefore answers a rotation that cannot be: with what came of it, where
// the same request was made before.
func (k *keyService) rotatedBefore(ctx context.Context, a asker, old apikey.Record, why error) (rotated, error) {
	made, err := k.madeBefore(ctx, a, why)
	return rotated{old, made}, err
}

// madeBefore returns what the same request made before, or why where there was
// none. The store is asked to write over a record that is not there, which says
// whether it knows the request and else does nothing.
func (k *keyService) madeBefore(ctx context.Context, a asker, why error) (issued, error) {
	if a.once.Key == "" {
		return issued{}, keyError(why)
	}
	kept, err := k.store.RotateKey(ctx, apikey.Record{}, apikey.Record{}, a.once, store.Journal{})
	if errors.Is(err, apikey.ErrNotFound) {
		err = why
	}
	return k.done(a, kept, "", err)
}
