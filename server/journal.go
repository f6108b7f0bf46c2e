package server

import (
	"context"
	"time"

	"wavegate/server/audit"
	"wavegate/server/identity"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// A deed is a change that is about to be made: what the audit log will say of it.
type deed struct {
	action  string // "key.create"
	target  string // ID
	owner   string // whose the target is
	details map[string]string
}

// journal is what is written down with a deed of a caller: one line of the audit
// log, and the events.
func (s *Server) journal(ex *exchange, c *apiCaller, d deed, events ...webhook.Event) store.Journal {
	return store.Journal{
		Audit: []audit.Entry{{
			At: time.Now(), Actor: c.actor(), Method: string(c.who.Method), IP: addrString(ex), RequestID: ex.ID,
			Action: d.action, Target: d.target, Owner: d.owner, Outcome: "ok", Details: d.details,
		}},
		Events: events,
	}
}

// withDeed is the context in which sessions and users are changed, so that the deed is
// written down with it.
func (s *Server) withDeed(ex *exchange, who *identity.Principal, d deed) context.Context {
	return store.WithJournal(ex.ctx, s.journal(ex, &apiCaller{who: who, owner: who.Owner}, d))
}

// noteDeed writes a deed down that was just done outside the store, in a file. When
// it cannot be written, the caller is told and asks again: the deeds that it is for
// can be done twice.
func (s *Server) noteDeed(ex *exchange, who *identity.Principal, d deed) error {
	return storeError(s.store.Note(ex.ctx, s.journal(ex, &apiCaller{who: who, owner: who.Owner}, d)))
}

// event makes an event about something of an owner's.
func event(kind, owner string, data map[string]any) webhook.Event {
	return webhook.NewEvent(kind, owner, time.Now(), data)
}

// wrote says that events were written, so that they go out at once.
func (s *Server) wrote() { s.webhooks.Wake() }
