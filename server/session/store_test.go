package session_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
)

// onStores runs a test with a store in memory and with a real one.
func onStores(t *testing.T, test func(t *testing.T, s session.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, newFaulty()) })
	t.Run("sqlite", func(t *testing.T) { test(t, openSQLite(t)) })
}

func openSQLite(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: storetest.SQLite(t)})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// faulty is a Store in memory that can be slow, down, or meddled with.
type faulty struct {
	// before is called at the start of each method, with no lock held; its error is
	// the method's. read is called after Session and SignIn have done their work
	// and before they return. Set them before the store is used.
	before func(ctx context.Context, method string) error
	read   func(method string)

	mu       sync.Mutex // guards the rest
	users    []session.User
	sessions map[session.Hash]session.Record
	claims   map[session.Hash]time.Time
	attempts map[session.Hash]time.Time
	calls    map[string]int
	changes  []session.Change
	touches  [][]session.Touch
}

func newFaulty() *faulty {
	return &faulty{
		sessions: map[session.Hash]session.Record{}, claims: map[session.Hash]time.Time{},
		attempts: map[session.Hash]time.Time{}, calls: map[string]int{},
	}
}

var _ session.Store = (*faulty)(nil)

func (f *faulty) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// takeChanges returns the changes since it was last called.
func (f *faulty) takeChanges() []session.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.changes
	f.changes = nil
	return c
}

// edit changes a session behind everybody's back.
func (f *faulty) edit(h session.Hash, change func(*session.Record)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.sessions[h]
	change(&r)
	f.sessions[h] = r
}

func (f *faulty) record(h session.Hash) (session.Record, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.sessions[h]
	return r, ok
}

// dump is everything that the store holds, as text.
func (f *faulty) dump() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for h, r := range f.sessions {
		fmt.Fprintf(&b, "%x %+v %q\n", h, r, r.Sealed)
	}
	fmt.Fprintf(&b, "%+v %x", f.users, f.attempts)
	return b.String()
}

// enter locks the store for a method.
func (f *faulty) enter(ctx context.Context, method string) error {
	f.mu.Lock()
	f.calls[method]++
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(ctx, method); err != nil {
			return err
		}
	}
	f.mu.Lock()
	return nil
}

func (f *faulty) leave(method string) {
	f.mu.Unlock()
	if f.read != nil {
		f.read(method)
	}
}

func (f *faulty) SignIn(ctx context.Context, r session.Record, attempt session.Hash, ends time.Time) (session.User, error) {
	if err := f.enter(ctx, "SignIn"); err != nil {
		return session.User{}, err
	}
	defer f.leave("SignIn")
	if attempt != (session.Hash{}) {
		if _, used := f.attempts[attempt]; used {
			return session.User{}, session.ErrAttemptUsed
		}
		f.attempts[attempt] = ends
	}
	i := slices.IndexFunc(f.users, func(u session.User) bool { return u.Issuer == r.Issuer && u.Subject == r.Subject })
	if i < 0 {
		i = len(f.users)
		f.users = append(f.users, session.User{
			ID: fmt.Sprintf("usr_%d", i), Provider: r.Provider, Issuer: r.Issuer, Subject: r.Subject, CreatedAt: r.CreatedAt,
		})
	}
	u := &f.users[i]
	if !u.DisabledAt.IsZero() {
		return session.User{}, session.ErrDisabled
	}
	u.Claims, u.SeenAt = r.Claims, r.CreatedAt
	r.UserID = u.ID
	f.sessions[r.Hash] = r
	return *u, nil
}

func (f *faulty) Session(ctx context.Context, h session.Hash) (session.Record, error) {
	if err := f.enter(ctx, "Session"); err != nil {
		return session.Record{}, err
	}
	defer f.leave("Session")
	r, ok := f.sessions[h]
	if !ok {
		return session.Record{}, session.ErrNoSession
	}
	return f.withRoles(r), nil
}

func (f *faulty) Sessions(ctx context.Context, filter session.Filter, after string, limit int) ([]session.Record, error) {
	if err := f.enter(ctx, "Sessions"); err != nil {
		return nil, err
	}
	defer f.leave("Sessions")
	var list []session.Record
	for _, r := range f.sessions {
		if chooses(filter, r) {
			list = append(list, f.withRoles(r))
		}
	}
	slices.SortFunc(list, func(a, b session.Record) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list[:min(limit, len(list))], nil
}

func chooses(f session.Filter, r session.Record) bool {
	if f.NotID == r.ID {
		return false
	}
	return f.All || f.ID == r.ID && f.ID != "" || f.UserID == r.UserID && f.UserID != "" ||
		f.Issuer == r.Issuer && f.Issuer != "" && (f.Subject == r.Subject && f.Subject != "" || f.SID == r.SID && f.SID != "")
}

func (f *faulty) Touch(ctx context.Context, touches []session.Touch) error {
	if err := f.enter(ctx, "Touch"); err != nil {
		return err
	}
	defer f.leave("Touch")
	f.touches = append(f.touches, slices.Clone(touches))
	for _, t := range touches {
		if r, ok := f.sessions[t.Hash]; ok && t.SeenAt.After(r.SeenAt) {
			r.SeenAt = t.SeenAt
			f.sessions[t.Hash] = r
		}
	}
	return nil
}

func (f *faulty) ClaimRenewal(ctx context.Context, h session.Hash, version int64, now, until time.Time) (session.Record, bool, error) {
	if err := f.enter(ctx, "ClaimRenewal"); err != nil {
		return session.Record{}, false, err
	}
	defer f.leave("ClaimRenewal")
	r, ok := f.sessions[h]
	if !ok {
		return r, false, session.ErrNoSession
	}
	if r.Version != version || f.claims[h].After(now) {
		return f.withRoles(r), false, nil
	}
	f.claims[h] = until
	return f.withRoles(r), true, nil
}

func (f *faulty) Renew(ctx context.Context, r session.Record) error {
	if err := f.enter(ctx, "Renew"); err != nil {
		return err
	}
	defer f.leave("Renew")
	old, ok := f.sessions[r.Hash]
	switch {
	case !ok:
		return session.ErrNoSession
	case old.Version != r.Version:
		return session.ErrConflict
	}
	old.Claims, old.Sealed, old.RenewAt, old.Version = r.Claims, r.Sealed, r.RenewAt, r.Version+1
	f.sessions[r.Hash] = old
	delete(f.claims, r.Hash)
	f.changed(r.Hash)
	return nil
}

func (f *faulty) changed(h session.Hash) {
	f.changes = append(f.changes, session.Change{Kind: session.ChangedSession, Key: hex.EncodeToString(h[:])})
}

func (f *faulty) End(ctx context.Context, filter session.Filter) (int, error) {
	if err := f.enter(ctx, "End"); err != nil {
		return 0, err
	}
	defer f.leave("End")
	n := 0
	for h, r := range f.sessions {
		if chooses(filter, r) {
			delete(f.sessions, h)
			f.changed(h)
			n++
		}
	}
	return n, nil
}

func (f *faulty) Sweep(ctx context.Context, now, idle time.Time, limit int) (int, error) {
	if err := f.enter(ctx, "Sweep"); err != nil {
		return 0, err
	}
	defer f.leave("Sweep")
	n := 0
	for h, r := range f.sessions {
		if n < limit && (!r.ExpiresAt.After(now) || !r.SeenAt.After(idle)) {
			delete(f.sessions, h)
			n++
		}
	}
	return n, nil
}

func (f *faulty) User(ctx context.Context, id string) (session.User, error) {
	if err := f.enter(ctx, "User"); err != nil {
		return session.User{}, err
	}
	defer f.leave("User")
	for _, u := range f.users {
		if u.ID == id {
			return u, nil
		}
	}
	return session.User{}, session.ErrNoUser
}

func (f *faulty) FindUsers(ctx context.Context, search, after string, limit int) ([]session.User, error) {
	if err := f.enter(ctx, "FindUsers"); err != nil {
		return nil, err
	}
	defer f.leave("FindUsers")
	var list []session.User
	for _, u := range f.users {
		if strings.Contains(u.Username, search) && len(list) < limit {
			list = append(list, u)
		}
	}
	return list, nil
}

func (f *faulty) SetRoles(ctx context.Context, id string, version int64, roles []string) error {
	if err := f.enter(ctx, "SetRoles"); err != nil {
		return err
	}
	defer f.leave("SetRoles")
	i := slices.IndexFunc(f.users, func(u session.User) bool { return u.ID == id })
	switch {
	case i < 0:
		return session.ErrNoUser
	case f.users[i].RolesVersion != version:
		return session.ErrConflict
	}
	f.users[i].Roles, f.users[i].RolesVersion = roles, version+1
	f.changes = append(f.changes, session.Change{Kind: session.ChangedUser, Key: id})
	return nil
}

// withRoles is a session as it is read: with the roles of its user.
func (f *faulty) withRoles(r session.Record) session.Record {
	if i := slices.IndexFunc(f.users, func(u session.User) bool { return u.ID == r.UserID }); i >= 0 {
		r.Roles, r.RolesVersion = f.users[i].Roles, f.users[i].RolesVersion
	}
	return r
}

func (f *faulty) SetDisabled(ctx context.Context, id string, at time.Time) error {
	if err := f.enter(ctx, "SetDisabled"); err != nil {
		return err
	}
	defer f.leave("SetDisabled")
	for i := range f.users {
		if f.users[i].ID != id {
			continue
		}
		f.users[i].DisabledAt = at
		for h, r := range f.sessions {
			if r.UserID == id && !at.IsZero() {
				delete(f.sessions, h)
			}
		}
		f.changes = append(f.changes, session.Change{Kind: session.ChangedUser, Key: id})
		return nil
	}
	return session.ErrNoUser
}

var errDown = errors.New("the database is down")
