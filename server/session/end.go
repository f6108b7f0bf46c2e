package session

import (
	"context"
	"time"
)

// End ends the chosen sessions and returns how many there were. The store comes
// first: when End returns nil, no request is let in with one of them by this
// process, its sockets were told, and the other processes hear of it.
func (m *Manager) End(ctx context.Context, f Filter) (int, error) {
	n, err := m.store.End(ctx, f)
	if err != nil {
		m.doubtAll(f.chooses) // some may have ended, or all of them
		return n, unavailable(err)
	}
	m.ended(f)
	return n, nil
}

// ended forgets sessions that the store has ended.
func (m *Manager) ended(f Filter) {
	m.loads.ending(f.chooses)
	if k, ok := keyOf(f.ID); ok { // the usual case needs no look at all of them
		if s := m.memory.get(k); s != nil && f.chooses(s.Record()) {
			m.finish(s)
		}
		return
	}
	m.memory.each(func(s *Session) {
		if f.chooses(s.Record()) {
			m.finish(s)
		}
	})
}

// chooses reports whether f chooses the session.
func (f *Filter) chooses(r *Record) bool {
	byProvider := f.Subject != "" || f.SID != ""
	if byProvider && f.Issuer == "" || !byProvider && !f.All && f.ID == "" && f.UserID == "" {
		return false // nothing was said, only what not, or names without the one who gave them
	}
	is := func(want, got string) bool { return want == "" || want == got }
	return is(f.ID, r.ID) && is(f.UserID, r.UserID) && is(f.Issuer, r.Issuer) && is(f.Subject, r.Subject) &&
		is(f.SID, r.SID) && (f.NotID == "" || f.NotID != r.ID)
}

// Sessions lists sessions, newest first, at most limit, after the session with
// the ID after ("" from the start).
func (m *Manager) Sessions(ctx context.Context, f Filter, after string, limit int) ([]Record, error) {
	list, err := m.store.Sessions(ctx, f, after, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	for i := range list {
		if s := m.memory.get(list[i].Hash.key()); s != nil { // the store is some seconds late
			if seen := time.UnixMilli(s.seen.Load()).UTC(); seen.After(list[i].SeenAt) {
				list[i].SeenAt = seen
			}
		}
	}
	return list, nil
}

// Users lists users, newest first, at most limit, after the user with the ID
// after ("" from the start).
func (m *Manager) Users(ctx context.Context, after string, limit int) ([]User, error) {
	return m.FindUsers(ctx, "", after, limit)
}

// FindUsers is Users for those who have a text in name, address or subject,
// whatever its case.
func (m *Manager) FindUsers(ctx context.Context, search, after string, limit int) ([]User, error) {
	list, err := m.store.FindUsers(ctx, search, after, limit)
	return list, unavailable(err)
}

// User returns one user. Errors: ErrNoUser, ErrUnavailable.
func (m *Manager) User(ctx context.Context, id string) (User, error) {
	u, err := m.store.User(ctx, id)
	return u, unavailable(err)
}

// SetDisabled disables a user at a time and ends their sessions as End does; the
// zero time lets them sign in again. Errors: ErrNoUser, ErrUnavailable.
func (m *Manager) SetDisabled(ctx context.Context, id string, at time.Time) error {
	f := Filter{UserID: id}
	err := m.store.SetDisabled(ctx, id, at)
	switch {
	case err != nil:
		m.doubtAll(f.chooses)
	case !at.IsZero():
		m.ended(f)
	}
	return unavailable(err)
}

// SetRoles makes roles all that an administrator gave to a user whose
// RolesVersion is still version. When it returns, no request of this process is
// let in with what was before; sessions go on. Errors: ErrNoUser, ErrConflict,
// ErrUnavailable.
func (m *Manager) SetRoles(ctx context.Context, id string, version int64, roles []string) error {
	f := Filter{UserID: id}
	err := m.store.SetRoles(ctx, id, version, roles)
	m.doubtAll(f.chooses) // also after an error: it may have been done
	return unavailable(err)
}
