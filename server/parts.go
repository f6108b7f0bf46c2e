package server

import (
	"context"
	"fmt"
	"time"
)

// A part is something that the server works with, and how it is.
type part struct {
	Name    string         `json:"name"`
	Status  partStatus     `json:"status"`
	Message string         `json:"message"` // what it is, and what to do where it is not ok
	Details map[string]any `json:"details,omitempty"`

	short string // the same for readiness; "" is well
}

// A partStatus says how a part is.
type partStatus string

const (
	partOK      partStatus = "ok"
	partWarning partStatus = "warning" // it works, or others do without it, but somebody should look
	partFailed  partStatus = "failed"
	partOff     partStatus = "off" // not in use
)

// partTime bounds what a look at the parts waits for the store, in all.
const partTime = 2 * time.Second

// vitals are the parts on which readiness depends, or which it names: one that
// failed makes the server not ready.
func (s *Server) vitals(ctx context.Context) []part {
	return append([]part{s.storePart(ctx), s.keychainPart()}, s.providerParts()...)
}

func (s *Server) storePart(ctx context.Context) part {
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	p := part{Name: "store", Status: partOK, Message: "Sessions, keys and the audit log are kept in " + s.store.String() + "."}
	if err := s.store.Ping(ctx); err != nil {
		s.log.Error("readiness", "error", err)
		p.Status, p.short = partFailed, "not usable: see the log"
		p.Message = "The store " + s.store.String() + " cannot be used: what is not in memory is answered with 503. See the log for the database's error, and bring it back."
	}
	return p
}

func (s *Server) keychainPart() part {
	n := s.keychain.Len()
	p := part{Name: "keychain", Status: partOK, Details: map[string]any{"access_keys": n}}
	p.Message = counted(n, "access key opens what the policy lets it open.", "access keys open what the policy lets them open.")
	switch {
	case n == 0:
		p.Status, p.short = partWarning, "empty: no access key opens anything"
		p.Message = "The keychain is empty, so no access key opens anything: make one with -create-access-key."
	case s.keychain.Published():
		p.Status = partWarning
		p.Message = "The published pair is in use, from this machine alone: make an access key of your own with -create-access-key."
	}
	return s.reloaded(p, "keychain")
}

// providerParts are the providers at which people sign in.
func (s *Server) providerParts() []part {
	if s.signIn == nil {
		return nil
	}
	var parts []part
	for _, from := range s.signIn.providers.Load().all() {
		p := part{Name: "provider " + from.Name(), Status: partOK, Message: "People sign in at " + from.Issuer() + "."}
		if from.Status() != nil {
			p.Status, p.short = partWarning, "not reachable: signing in does not work, sessions go on"
			p.Message = "The provider " + from.Issuer() + " cannot be reached or says something wrong: signing in there does not work, sessions go on. The log says why."
		}
		parts = append(parts, p)
	}
	return parts
}

// reloaded is a part whose settings may have been bad when they were read again. What
// is already worse stays so.
func (s *Server) reloaded(p part, name string) part {
	bad, ok := s.badReloads.of(name)
	if !ok {
		return p
	}
	if p.Details == nil {
		p.Details = map[string]any{}
	}
	p.Details["reload_failed_at"], p.Details["reload_error"] = rfc3339(bad.at), bad.text
	if p.Status != partFailed {
		p.Status = partWarning
		p.Message = "The last change could not be read, so the old one stays in force: mend what the error says. It is read again by itself."
	}
	return p
}

// counted is a number and what it counts, in words.
func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
