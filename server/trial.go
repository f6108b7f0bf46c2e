package server

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

const (
	trialOwner = "trial"
	maxTrials  = 10_000 // that may be out at the same time
)

var errTrialsOut = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
	"As many trial keys are out as there may be. Wait as long as Retry-After says.")

// issueTrial gives a key to whoever asks, without a credential, where the policy
// says so: for a short time and a few operations.
func (s *Server) issueTrial(ex *exchange, r *http.Request) error {
	trial, err := s.trialCaller(ex, r, "trial-ip:")
	if err != nil {
		return err
	}
	now := ex.start.UTC().Truncate(time.Millisecond)
	rec := apikey.Record{
		Name: "trial key", Environment: apikey.Trial, Role: trial.Role, Owner: trialOwner,
		OpsLimit: trial.Operations, CreatedAt: now, ExpiresAt: now.Add(trial.TTL), Version: 1,
	}
	if wait := s.trials.take(now, rec.ExpiresAt); wait > 0 {
		return errTrialsOut.RetryAfter(wait)
	}
	made, err := s.keyService().issue(ex.ctx, s.stranger(ex), rec, webhook.TrialIssued)
	if err != nil {
		s.trials.giveBack()
		return err
	}
	return writeJSON(ex, http.StatusOK, struct {
		Key       string `json:"api_key"`
		ExpiresAt string `json:"expires_at"`
		OpsLimit  int64  `json:"ops_limit"`
		Message   string `json:"message"`
	}{
		made.secret, rfc3339(made.ExpiresAt), made.OpsLimit,
		fmt.Sprintf("This trial key works for %s and %d operations.", inWordsOf(trial.TTL), trial.Operations),
	})
}

// inWordsOf says a length of time to people.
func inWordsOf(d time.Duration) string {
	if d >= 2*time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return d.String()
}

// trialCaller lets in whoever may ask about trial keys: a few times a minute from
// one address.
func (s *Server) trialCaller(ex *exchange, r *http.Request, counted string) (policy.Trial, error) {
	trial := s.state.Load().policy.Trial()
	if err := s.requireHTTPS(ex.Scheme); err != nil {
		return trial, err
	}
	if !trial.Enabled {
		return trial, fault.NotFound()
	}
	if err := sameOrigin(ex, r); err != nil {
		return trial, err
	}
	source := "unknown"
	if ex.ClientIP.IsValid() {
		source = limit.Source(ex.ClientIP).String()
	}
	return trial, s.take(ex, []*limit.Account{{
		Name: counted + source, Tier: limit.Tier{Name: trialOwner, RequestsPerMinute: trial.PerIPMinute},
	}})
}

// stranger is whoever asks without a credential.
func (s *Server) stranger(ex *exchange) asker {
	c := &apiCaller{who: &identity.Principal{}, owner: trialOwner}
	return asker{apiCaller: c, note: func(d deed, events ...webhook.Event) store.Journal {
		j := s.journal(ex, c, d, events...)
		j.Audit[0].Actor = "" // nobody is known
		return j
	}}
}

// endTrial revokes a trial key for whoever knows how it begins. It needs no
// credential; what can be lost is small, and what opens something never stands in
// an address.
func (s *Server) endTrial(ex *exchange, r *http.Request) error {
	if _, err := s.trialCaller(ex, r, "trial-end-ip:"); err != nil {
		return err
	}
	rec, err := s.trialBeginning(ex, ex.args[0])
	if err != nil {
		return err
	}
	if err := s.keyService().revoke(ex.ctx, s.stranger(ex), rec.ID); err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, struct {
		Revoked bool   `json:"revoked"`
		Message string `json:"message"`
	}{true, "The trial key has ended."})
}

// The part of a trial key that names it: so many digits of its prefix at least, and
// as many as a prefix has at most.
const (
	trialDigits  = 6
	prefixDigits = 8
)

var errTrialPrefix = fault.New(http.StatusNotFound, "not_found", "There is no trial key that works and begins like that.")

// trialBeginning returns the one living trial key that begins in some way.
func (s *Server) trialBeginning(ex *exchange, prefix string) (apikey.Record, error) {
	begin := s.cfg.KeyBrand + "_" + string(apikey.Trial) + "_"
	digits, ok := strings.CutPrefix(prefix, begin)
	if !ok || len(digits) < trialDigits {
		return apikey.Record{}, errTrialPrefix
	}
	prefix = begin + digits[:min(len(digits), prefixDigits)] // what follows is nobody's business
	f := store.KeyFilter{Owner: trialOwner, Environment: apikey.Trial, Status: apikey.Active, Search: prefix}
	list, err := s.store.Keys(ex.ctx, f, ex.start, "", 2)
	if err != nil {
		return apikey.Record{}, keyError(err)
	}
	if len(list) != 1 || !strings.HasPrefix(list[0].Prefix, prefix) {
		return apikey.Record{}, errTrialPrefix
	}
	return list[0], nil
}

// trials counts the trial keys that are out. The zero value has none. Each process
// counts those that it gave out since it was started.
type trials struct {
	mu   sync.Mutex // guards ends
	ends []time.Time
}

// take counts a trial key that ends at a time. A wait above 0 means that there are
// too many, and that nothing was counted.
func (t *trials) take(now, ends time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.ends) > 0 && !now.Before(t.ends[0]) {
		t.ends = t.ends[1:]
	}
	if len(t.ends) >= maxTrials {
		return t.ends[0].Sub(now)
	}
	t.ends = append(t.ends, ends)
	return 0
}

// giveBack takes back what take counted last: all of them last as long.
func (t *trials) giveBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.ends); n > 0 {
		t.ends = t.ends[:n-1]
	}
}
