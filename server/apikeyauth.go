package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/session"
)

var (
	errExpiredKey = fault.New(http.StatusUnauthorized, "invalid_api_key",
		"The API key has expired. Make a new one, or rotate keys before they expire.").
		WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token", error_description="expired"`)
	errRevokedKey = fault.New(http.StatusUnauthorized, "invalid_api_key",
		"The API key was revoked. Make a new one.").
		WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token", error_description="revoked"`)
	errOwnerGone = fault.New(http.StatusUnauthorized, "invalid_api_key",
		"The API key belongs to somebody who has no account here any more.").
		WithHeader("WWW-Authenticate", `Bearer realm="wavegate", error="invalid_token", error_description="revoked"`)
	errIPNotAllowed = fault.New(http.StatusForbidden, "ip_not_allowed",
		"The API key may not be used from this address.")
	errKeysUnavailable = fault.New(http.StatusServiceUnavailable, "store_unavailable",
		"API keys cannot be checked right now. Try again in a moment.")
)

// authenticateKey returns who an API key stands for. It costs one HMAC and one
// look into a map for a key that is in use, and no allocation.
func (s *Server) authenticateKey(ex *exchange, c credential, st *state) (*identity.Principal, error) {
	key, err := s.holdKey(ex.ctx, c.secret)
	switch {
	case errors.Is(err, apikey.ErrNotFound):
		s.countWrongKey(ex, c)
		return nil, errWrongAPIKey
	case err != nil:
		return nil, errKeysUnavailable.RetryAfter(time.Second).Because(err)
	}
	ex.key = key // finish lets go of it
	if err := s.judgeKey(ex, key); err != nil {
		s.metrics.auths.WithLabelValues("api-key", "refused").Inc()
		return nil, err
	}
	if key.Used(ex.start, ex.ClientIP) {
		s.suspect(ex, key.Record(), suspicionNetwork)
	}
	s.lockouts.Succeeded(ex.start, ex.ClientIP, c.id)
	s.metrics.keys.Inc()
	return key.Value(st, func(k *apikey.Key) any { return s.principalOf(k, st) }).(*identity.Principal), nil
}

// holdKey returns the key behind a secret, held. A key that changed between the
// look-up and the hold is looked up again: nobody would tell its holder any more.
func (s *Server) holdKey(ctx context.Context, secret string) (*apikey.Key, error) {
	const most = 5 // changes in a row; then what is there counts as ended
	for n := 1; ; n++ {
		key, err := s.apiKeys.Lookup(ctx, secret)
		if err != nil {
			return nil, err
		}
		key.Hold()
		if n == most || key.Ended().Err() == nil || key.Status(time.Now()) == apikey.Expired || key.Status(time.Now()) == apikey.Revoked {
			return key, nil
		}
		key.Release()
	}
}

// judgeKey refuses a key that is known and opens nothing. It is no guess, so it
// does not count as one.
func (s *Server) judgeKey(ex *exchange, key *apikey.Key) error {
	rec := key.Record()
	switch key.Status(ex.start) {
	case apikey.Revoked:
		s.suspect(ex, rec, suspicionRevoked)
		return errRevokedKey
	case apikey.Expired:
		if rec.ReplacedBy != "" {
			s.suspect(ex, rec, suspicionRotated)
		}
		return errExpiredKey
	}
	switch {
	case !s.ownerStands(rec):
		return errOwnerGone
	case !rec.Allows(ex.ClientIP):
		return errIPNotAllowed
	}
	return nil
}

// localOwner is how the owner of a local user's keys begins.
const localOwner = "sub:" + session.Local + "|"

// ownerStands reports whether the owner of a key is somebody still: local users
// are while the users file names them. Those of providers are until they are
// disabled, which the store knows; access keys come and go, and what was made with
// them stays.
func (s *Server) ownerStands(rec *apikey.Record) bool {
	name, local := strings.CutPrefix(rec.Owner, localOwner)
	return !local || s.signIn != nil && s.signIn.users.Has(name)
}

// recheckKeys ends what is in use of the keys whose owner is nobody any more.
func (s *Server) recheckKeys() {
	if s.apiKeys != nil {
		s.apiKeys.EndUnless(s.ownerStands)
	}
}

// principalOf makes the Principal of an API key under a policy.
func (s *Server) principalOf(key *apikey.Key, st *state) *identity.Principal {
	rec := key.Record()
	p := keyPrincipal(rec, st.policy)
	p.Ended = key.Ended()
	p.Accounts = s.keyAccounts(p, rec, st)
	return p
}

// keyPrincipal is what a policy makes of the record of a key.
func keyPrincipal(rec *apikey.Record, pol *policy.Policy) *identity.Principal {
	_, subject, found := strings.Cut(rec.Owner, ":")
	if !found {
		subject = rec.Owner + "|" + rec.ID // no account stands behind it: trial keys, those of the command line
	}
	p := &identity.Principal{
		// Whoever makes a key chooses its name, so that apps are not told it as a user's.
		Method: identity.MethodAPIKey, Subject: subject, Owner: rec.Owner, Username: rec.ID, KeyID: rec.ID,
		Environment: string(rec.Environment), Tier: rec.Tier,
	}
	pol.GrantKey(p, rec.Role, rec.Scopes)
	return p
}

// countWrongKey counts a key that does not exist. Whoever knows how a key begins
// could try the rest; so the beginning is what is locked. The right key of a user
// who is disabled is not found either, and is no guess.
func (s *Server) countWrongKey(ex *exchange, c credential) {
	known, right := s.guessedAt(ex.ctx, c)
	if right {
		s.metrics.auths.WithLabelValues("api-key", "refused").Inc()
		return
	}
	s.countWrong(ex, "api-key", c.id, known)
}

// prefixLookups bounds how many wrong keys are looked up at the same time.
const prefixLookups = 4

// guessedAt reports whether a living key begins like a wrong one, and whether it
// is that very key. Where too many ask at once, or the store does not answer, it is
// taken for unknown: its guesses are counted all the same, among those of strangers.
func (s *Server) guessedAt(ctx context.Context, c credential) (known, right bool) {
	if c.id == "" {
		return false, false
	}
	select {
	case s.prefixGate <- struct{}{}:
		defer func() { <-s.prefixGate }()
	default:
		return false, false
	}
	rec, err := s.store.KeyByPrefix(ctx, c.id, time.Now())
	return err == nil, err == nil && slices.Contains(s.hasher.All(c.secret), rec.Hash)
}

// forgetKey drops what is kept of a key beside the memory of keys: it is not in
// use any more.
func (s *Server) forgetKey(rec apikey.Record) { s.lockouts.Forget(rec.Prefix) }

// keyAccounts are who pays for the requests of an API key: its chain of
// rotations, and its owner where that is a person.
func (s *Server) keyAccounts(p *identity.Principal, rec *apikey.Record, st *state) []*limit.Account {
	accounts := []*limit.Account{{
		Name: "key:" + rec.Account, Tier: st.policy.KeyTier(rec.Tier, rec.Role),
		OpsTotal: rec.OpsLimit, OpsPerDay: rec.Budget.PerDay, OpsPerMonth: rec.Budget.PerMonth,
	}}
	if strings.HasPrefix(rec.Owner, "sub:") {
		accounts = append(accounts, s.personAccount(p.Subject, rec.UserID, st))
	}
	return bounded(accounts)
}
