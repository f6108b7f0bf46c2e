package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"wavegate/keychain"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/token"
)

// signIn is everything of sign-in in the browser: who can vouch for a person
// (providers, the users file) and what is remembered of those who came in. A
// Server without any of it has none.
type signIn struct {
	users     *keychain.Keychain // local users; it may hold nobody
	store     *store.Store       // nil in a dry run
	sessions  *session.Manager
	tokens    *token.Signer
	handles   handleKeys
	admins    policy.Admins
	providers atomic.Pointer[providerSet] // swapped by a reload of the policy
	codes     codeGate
}

// wantsSignIn reports whether anybody could sign in here: a provider in the
// flags or in the policy, or a users file.
func (s *Server) wantsSignIn(p *policy.Policy) (bool, error) {
	if s.cfg.SignIn.Issuer != "" || len(p.Providers()) > 0 || s.cfg.Users.Required {
		return true, nil
	}
	if s.cfg.Users.Path == "" {
		return false, nil
	}
	_, err := os.Stat(s.cfg.Users.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// openSignIn opens the users file and the store and makes what needs them. A dry
// run reads and touches no store.
func (s *Server) openSignIn(dry bool) error {
	p, err := s.readPolicy()
	if err != nil {
		return err
	}
	wanted, err := s.wantsSignIn(p)
	if err != nil || !wanted {
		return err
	}
	in := &signIn{}
	if in.admins, err = policy.NewAdmins(s.cfg.Admins); err != nil {
		return SettingsError{fmt.Errorf("--admins: %w", err)}
	}
	if in.users, err = keychain.Open(s.cfg.Users); err != nil {
		return err
	}
	if err := s.openSessions(in, dry); err != nil {
		return err
	}
	s.signIn = in
	return nil
}

// openSessions makes what remembers people, from keys that the master secret
// gives: one line each, so that replicas that share the file agree.
func (s *Server) openSessions(in *signIn, dry bool) error {
	sealing, err := s.secret.keys("sessions")
	if err != nil {
		return err
	}
	handles, err := s.secret.keys("session handles")
	if err != nil {
		return err
	}
	signing, err := s.secret.signingKeys("session tokens")
	if err != nil {
		return err
	}
	in.handles = handles
	if in.tokens, err = token.New(token.Config{Issuer: s.issuer(), Keys: signing}); err != nil {
		return err
	}
	if dry {
		return nil
	}
	if in.store, err = store.Open(context.Background(), s.storeConfig()); err != nil {
		return err
	}
	in.sessions, err = session.New(session.Config{
		Lifetime: s.cfg.SignIn.Lifetime, Idle: s.cfg.SignIn.Idle, Keys: sealing, Log: s.log, Renew: s.renewSession,
	}, in.store)
	if err != nil {
		return errors.Join(err, in.store.Close())
	}
	return nil
}

func (s *Server) storeConfig() store.Config {
	return store.Config{URL: s.cfg.Store, Dir: s.cfg.DataDir, Log: s.log}
}

// run keeps the memory of sessions true until ctx ends: it follows the store,
// ends what time ended, and writes down who was seen.
func (in *signIn) run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.store.Follow(ctx, store.Follower{Apply: in.sessions.Apply, Alive: in.sessions.Alive, Lost: in.sessions.Lost})
	}()
	err := in.sessions.Run(ctx)
	<-done
	return err
}

func (in *signIn) close() error {
	for _, p := range in.providers.Load().all() {
		p.Close()
	}
	if in.store == nil {
		return nil
	}
	return in.store.Close()
}

// checks names the parts of sign-in and how they are, for readiness. The error is
// of the store, without which no session can be looked up.
func (in *signIn) checks(ctx context.Context, into map[string]string) error {
	for _, p := range in.providers.Load().all() {
		into["provider "+p.Name()] = "ok"
		if p.Status() != nil {
			into["provider "+p.Name()] = "not reachable: signing in does not work, sessions go on"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	into["store"] = "ok"
	err := in.store.Ping(ctx)
	if err != nil {
		into["store"] = "not usable: see the log"
	}
	return err
}
