package store

import (
	"context"

	"wavegate/server/audit"
	"wavegate/server/webhook"
)

// A Journal is what is written down with a change, in its transaction: the lines
// of the audit log and the events, with a delivery for each endpoint that wants
// one.
type Journal struct {
	Audit  []audit.Entry
	Events []webhook.Event
}

type journalKey struct{}

// WithJournal returns a context whose change writes a journal down, in its
// transaction. It is for the methods of session.Store that people call for: End and
// SetDisabled. (Package session is not to know of journals; the others take theirs
// as a parameter.) A change of nothing writes none.
func WithJournal(ctx context.Context, j Journal) context.Context {
	return context.WithValue(ctx, journalKey{}, j)
}

// journalOf writes what WithJournal brought.
func (c conn) journalOf(ctx context.Context) error {
	j, _ := ctx.Value(journalKey{}).(Journal)
	return c.journal(ctx, j)
}

// Note writes a journal that belongs to no change of the store's.
func (s *Store) Note(ctx context.Context, j Journal) error {
	if len(j.Audit) == 0 && len(j.Events) == 0 {
		return nil
	}
	return s.write(ctx, "note what happened", func(ctx context.Context, c conn) error {
		return c.journal(ctx, j)
	})
}

// journal is the last that a transaction does. The audit log comes last of all:
// it lets one transaction in at a time, which then must not wait for another.
func (c conn) journal(ctx context.Context, j Journal) error {
	if len(j.Events) > 0 {
		if err := c.emit(ctx, j.Events); err != nil {
			return err
		}
	}
	return c.record(ctx, j.Audit)
}
