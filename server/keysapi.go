package server

import (
	"cmp"
	"net/http"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

const (
	shownOnce  = "This is the only time that the key is shown. Keep it where secrets are kept."
	shownOnly  = "This request was made before. The key was shown then and is not shown again."
	maxGrace   = 720 // hours
	usualGrace = 24  // hours
)

// keyService returns what works on keys under the policy in force.
func (s *Server) keyService() *keyService {
	return &keyService{
		store: s.store, hasher: s.hasher, policy: s.state.Load().policy, brand: s.cfg.KeyBrand, checksum: s.cfg.KeyChecksum,
		resolve: s.resolveOwners, changed: s.apiKeys.Changed, wrote: s.wrote,
	}
}

// asker returns who asks, if they may do such a thing at all. Their rates count;
// their operations do not, which are for the apps behind.
func (s *Server) asker(ex *exchange, r *http.Request, what policy.Permission) (asker, error) {
	c, err := s.apiCaller(ex, r, what)
	if err != nil {
		return asker{}, err
	}
	return s.asking(ex, c)
}

func (s *Server) asking(ex *exchange, c *apiCaller) (asker, error) {
	if err := s.take(ex, paced(c.who.Accounts)); err != nil {
		return asker{}, err
	}
	return asker{apiCaller: c, note: s.noting(ex, c)}, nil
}

func (s *Server) noting(ex *exchange, c *apiCaller) func(deed, ...webhook.Event) store.Journal {
	return func(d deed, events ...webhook.Event) store.Journal { return s.journal(ex, c, d, events...) }
}

// paced are accounts without what bounds their operations.
func paced(accounts []*limit.Account) []*limit.Account {
	var list []*limit.Account
	for _, a := range accounts {
		list = append(list, &limit.Account{Name: a.Name, Tier: a.Tier})
	}
	return bounded(list)
}

// A keyAnswer is what making a key is answered with.
type keyAnswer struct {
	Key      keyView `json:"api_key"`
	Replayed bool    `json:"replayed,omitempty"`
	Warning  string  `json:"warning"`
}

// createKey makes an API key.
func (s *Server) createKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	var q keyRequest
	var p problems
	if _, err := readOnce(ex, r, &a, &q, &p); err != nil {
		return err
	}
	k := s.keyService()
	made, err := k.create(ex.ctx, a, &q, p)
	if err != nil {
		return err
	}
	tagged(ex, made.Version)
	return writeJSON(ex, http.StatusCreated, keyAnswer{s.viewIssued(ex, k, &made), made.replayed, warning(ex, &made)})
}

// viewIssued is a key in the one answer that reveals it.
func (s *Server) viewIssued(ex *exchange, k *keyService, made *issued) keyView {
	v := viewKey(&made.Record, k.policy, ex.start)
	v.Key = made.secret
	return v
}

// warning says what becomes of the secret, in a header too where there is none.
func warning(ex *exchange, made *issued) string {
	if !made.replayed {
		return shownOnce
	}
	ex.Header().Set("Idempotent-Replayed", "true")
	return shownOnly
}

// getKey shows one key.
func (s *Server) getKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	k := s.keyService()
	rec, err := k.find(ex.ctx, a.apiCaller, ex.args[0])
	if err != nil {
		return err
	}
	return s.answerKey(ex, k, &rec)
}

// A keyInFull is a key in the answer about it alone.
type keyInFull struct {
	keyView
	Left *opsLeftView `json:"left"` // null: it has no limit of operations
}

func (s *Server) answerKey(ex *exchange, k *keyService, rec *apikey.Record) error {
	now := time.Now()
	left, err := s.keyOpsLeft(ex.ctx, rec, now)
	if err != nil {
		return keyError(err)
	}
	tagged(ex, rec.Version)
	return writeJSON(ex, http.StatusOK, map[string]keyInFull{"api_key": {viewKey(rec, k.policy, now), left}})
}

// changeKey changes what the body names of a key.
func (s *Server) changeKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	var q keyChange
	var p problems
	raw, err := readFields(ex, r, &q.keyRequest, &p)
	if err != nil {
		return err
	}
	q.read(raw, &p)
	if a.match, err = ifMatch(r); err != nil {
		return err
	}
	k := s.keyService()
	rec, err := k.change(ex.ctx, a, ex.args[0], &q, p)
	if err != nil {
		return err
	}
	return s.answerKey(ex, k, &rec)
}

// deleteKey revokes a key: it opens nothing from now on.
func (s *Server) deleteKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	if err := s.keyService().revoke(ex.ctx, a, ex.args[0]); err != nil {
		return err
	}
	ex.Header().Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// A rotationAnswer is what a rotation is answered with.
type rotationAnswer struct {
	New      keyView `json:"new_key"`
	Old      oldKey  `json:"old_key"`
	Replayed bool    `json:"replayed,omitempty"`
	Warning  string  `json:"warning"`
}

type oldKey struct {
	ID           string  `json:"id"`
	DeprecatedAt *string `json:"deprecated_at"`
	ExpiresAt    *string `json:"expires_at"`
}

// rotateKey replaces a key by a new one.
func (s *Server) rotateKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	var q struct {
		Grace *int64 `json:"grace_period_hours"`
	}
	var p problems
	if _, err := readOnce(ex, r, &a, &q, &p); err != nil {
		return err
	}
	grace := *cmp.Or(q.Grace, new(int64(usualGrace)))
	if grace < 0 || grace > maxGrace {
		p.add("grace_period_hours", "must be from 0 to %d", maxGrace)
	}
	if err := p.err(); err != nil {
		return err
	}
	k := s.keyService()
	done, err := k.rotate(ex.ctx, a, ex.args[0], time.Duration(grace)*time.Hour)
	if err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, rotationAnswer{
		New:      s.viewIssued(ex, k, &done.next),
		Old:      oldKey{done.old.ID, orNull(rfc3339(done.old.DeprecatedAt)), orNull(rfc3339(done.old.ExpiresAt))},
		Replayed: done.next.replayed, Warning: warning(ex, &done.next),
	})
}
