package server

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"wavegate/keychain"
	"wavegate/server/policy"
	"wavegate/server/session"
	"wavegate/server/token"
)

// signIn is everything of sign-in in the browser: who can vouch for a person
// (providers, the users file) and what is remembered of those who came in. A
// Server without any of it has none.
type signIn struct {
	users     *keychain.Keychain // local users; it may hold nobody
	sessions  *session.Manager   // nil in a dry run
	tokens    *token.Signer
	handles   handleKeys
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

// openSignIn opens the users file and makes what remembers people. A dry run
// remembers nobody.
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
	in.sessions, err = session.New(session.Config{
		Lifetime: s.cfg.SignIn.Lifetime, Idle: s.cfg.SignIn.Idle, Keys: sealing, Log: s.log, Renew: s.renewSession,
	}, s.store)
	return err
}

func (in *signIn) close() {
	for _, p := range in.providers.Load().all() {
		p.Close()
	}
}
