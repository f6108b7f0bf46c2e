package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
	"wavegate/server/limit"
	"wavegate/server/policy"
	"wavegate/server/seal"
	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/usage"
	"wavegate/server/webhook"
)

// storage is the store and everything that follows it or hands something to it.
// In a dry run there is none, and every field is nil.
type storage struct {
	store    *store.Store
	apiKeys  *apikey.Manager
	limits   *limit.Memory
	usage    *usage.Recorder
	webhooks *webhook.Manager
	refusals *refusals
	notes    chan note // what noteLater queued

	sealing   seal.Keys  // of the secrets of webhooks
	lockNames []byte     // what names locks without telling what is locked
	lockTold  lockTeller // locks that were told of
	verifying sync.Mutex // held by who verifies the audit log
}

// openStorage opens the store and makes what needs it.
func (s *Server) openStorage(dry bool) error {
	var err error
	if s.admins, err = policy.NewAdmins(s.cfg.Admins); err != nil {
		return SettingsError{fmt.Errorf("--admins: %w", err)}
	}
	if s.hasher, err = s.newHasher(); err != nil {
		return err
	}
	if s.auditChain, err = s.newChain(); err != nil {
		return err
	}
	if dry {
		return nil
	}
	if s.store, err = store.Open(context.Background(), s.storeConfig()); err != nil {
		return err
	}
	s.apiKeys, err = apikey.New(apikey.Config{Hasher: s.hasher, Evicted: s.forgetKey, Log: s.log}, s.store)
	if err != nil {
		return err
	}
	s.limits = limit.NewMemory(limit.MemoryConfig{Ledger: s.store, Log: s.log, BudgetReached: s.budgetReached})
	if s.usage, err = usage.NewRecorder(usage.Config{Flush: s.store.AddUsage, Log: s.log}); err != nil {
		return err
	}
	s.notes = make(chan note, maxNotes)
	s.refusals = newRefusals(s.store.Note)
	return s.openWebhooks()
}

// newHasher and newChain derive what hashes API keys and the audit log: one key
// for each line of the secret file.
func (s *Server) newHasher() (*apikey.Hasher, error) {
	secrets, err := s.secret.keys("api keys")
	if err != nil {
		return nil, err
	}
	return apikey.NewHasher(secrets)
}

func (s *Server) newChain() (*audit.Chain, error) {
	secrets, err := s.secret.keys("audit log")
	if err != nil {
		return nil, err
	}
	return audit.NewChain(secrets)
}

// openWebhooks makes what delivers events, and what the names of locks are made
// with.
func (s *Server) openWebhooks() error {
	secrets, err := s.secret.keys("webhooks")
	if err != nil {
		return err
	}
	if s.sealing, err = seal.New(secrets); err != nil {
		return err
	}
	names, err := s.secret.keys("names of locks")
	if err != nil {
		return err
	}
	s.lockNames = names[0]
	s.webhooks, err = webhook.New(webhook.Config{Store: s.store, Seal: s.sealing, Rules: s.webhookRules, Log: s.log})
	return err
}

func (s *Server) storeConfig() store.Config {
	return store.Config{URL: s.cfg.Store, Dir: s.cfg.DataDir, Chain: s.auditChain, Log: s.log}
}

// runStorage keeps memories true and hands on what they gathered, until ctx ends.
func (s *Server) runStorage(ctx context.Context) error {
	parts := []func(context.Context) error{
		func(ctx context.Context) error {
			s.store.Follow(ctx, store.Follower{Apply: s.applyChanges, Alive: s.storeAlive, Lost: s.storeLost})
			return nil
		},
		s.apiKeys.Run, s.limits.Run, s.runUsage, s.webhooks.Run, s.refusals.run, s.runNotes, s.runUpkeep,
	}
	if s.signIn != nil {
		parts = append(parts, s.signIn.sessions.Run)
	}
	if s.oauth != nil {
		parts = append(parts, s.oauth.Run)
	}
	failed := make(chan error, len(parts))
	for _, part := range parts {
		go func() { failed <- part(ctx) }()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

func (s *Server) runUsage(ctx context.Context) error {
	s.usage.Run(ctx)
	return nil
}

// applyChanges ends what other processes, or this one, changed in the store.
func (s *Server) applyChanges(changes []session.Change) {
	for _, ch := range changes {
		switch ch.Kind {
		case store.ChangedAPIKey:
			s.apiKeys.Changed(ch.Key)
		case session.ChangedUser:
			s.apiKeys.ChangedUser(ch.Key)
		}
	}
	if s.signIn != nil {
		s.signIn.sessions.Apply(changes)
	}
	if s.oauth != nil {
		s.oauth.Apply(oauthChanges(changes))
	}
}

func (s *Server) storeAlive(at time.Time) {
	s.apiKeys.Alive(at)
	if s.signIn != nil {
		s.signIn.sessions.Alive(at)
	}
	if s.oauth != nil {
		s.oauth.Alive(at)
	}
}

func (s *Server) storeLost() {
	s.apiKeys.Lost()
	if s.signIn != nil {
		s.signIn.sessions.Lost()
	}
	if s.oauth != nil {
		s.oauth.Lost()
	}
}
