package server

import (
	"context"
	"sync"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// The kinds of suspicious activity.
const (
	suspicionNetwork  = "new_network"        // a network that the key was never used from
	suspicionRefusals = "burst_of_refusals"  // many refusals in a short time
	suspicionRotated  = "use_after_rotation" // the grace period is over, and somebody still has it
	suspicionRevoked  = "use_after_revocation"
)

const (
	burstOf       = 20              // refusals …
	burstIn       = 5 * time.Minute // … in that time are a burst
	suspicionRest = time.Hour       // until the same is told again of the same key
	maxSuspects   = 10_000          // keys that are remembered
)

// suspicions remembers of which keys what was told, so that one cause makes one
// event. Strangers cannot fill it: only keys that exist are in it.
type suspicions struct {
	mu       sync.Mutex // guards the rest
	told     map[suspect]time.Time
	refusals map[string]*burst // by key ID
}

type suspect struct{ keyID, kind string }

// A burst counts refusals of one key since a time.
type burst struct {
	since time.Time
	n     int
}

// first reports whether a kind is to be told of a key now.
func (s *suspicions) first(keyID, kind string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = map[suspect]time.Time{}
	}
	at := suspect{keyID, kind}
	if last, ok := s.told[at]; ok && now.Sub(last) < suspicionRest {
		return false
	}
	if len(s.told) >= maxSuspects {
		for k, last := range s.told {
			if now.Sub(last) >= suspicionRest || len(s.told) >= maxSuspects {
				delete(s.told, k)
			}
		}
	}
	s.told[at] = now
	return true
}

// refused counts a refusal of a key and reports whether it makes a burst.
func (s *suspicions) refused(keyID string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusals == nil {
		s.refusals = map[string]*burst{}
	}
	b := s.refusals[keyID]
	if b == nil || now.Sub(b.since) >= burstIn {
		if len(s.refusals) >= maxSuspects {
			clear(s.refusals) // counting begins anew
		}
		b = &burst{since: now}
		s.refusals[keyID] = b
	}
	b.n++
	return b.n == burstOf
}

// suspect tells a key's owner that something about it is strange.
func (s *Server) suspect(ex *exchange, rec *apikey.Record, kind string) {
	if !s.suspicions.first(rec.ID, kind, ex.start) {
		return
	}
	s.log.Warn("suspicious activity", "request_id", ex.ID, "key", rec.ID, "kind", kind, "client_ip", addrString(ex))
	s.noteLater(store.Journal{
		Audit: []audit.Entry{{
			At: ex.start, Actor: "api_key:" + rec.ID, IP: addrString(ex), RequestID: ex.ID,
			Action: "key.suspicious", Target: rec.ID, Owner: rec.Owner, Outcome: kind,
		}},
		Events: []webhook.Event{event(webhook.SuspiciousActivity, rec.Owner, map[string]any{
			"key_id": rec.ID, "prefix": rec.Prefix, "kind": kind, "ip": addrString(ex), "request_id": ex.ID,
		})},
	})
}

// A note is a journal that is written later, and made then: its owner may have to
// be looked up.
type note func(context.Context) store.Journal

// noteLater writes a journal that belongs to no change, without holding up the
// request that caused it: the notes wait in a queue of bounded length.
func (s *Server) noteLater(j store.Journal) {
	s.queueNote(func(context.Context) store.Journal { return j })
}

func (s *Server) queueNote(n note) {
	select {
	case s.notes <- n:
	default:
		s.log.Error("an event was lost: too many at once")
	}
}

// maxNotes is how many notes may wait.
const maxNotes = 1000

// runNotes writes what noteLater queued, until ctx ends and the queue is empty. A
// store that does not answer is asked again.
func (s *Server) runNotes(ctx context.Context) error {
	for {
		select {
		case n := <-s.notes:
			s.writeNote(ctx, n)
		case <-ctx.Done():
			for {
				select {
				case n := <-s.notes:
					s.writeNote(ctx, n)
				default:
					return nil
				}
			}
		}
	}
}

// writeNote tries for as long as the server runs, and once when it stops.
func (s *Server) writeNote(ctx context.Context, n note) {
	j := n(context.WithoutCancel(ctx))
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := s.store.Note(context.WithoutCancel(ctx), j)
		if err == nil {
			s.wrote()
			return
		}
		s.log.Warn("events could not be written", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			s.log.Error("events were lost: the store does not answer", "events", len(j.Events))
			return
		}
	}
}
