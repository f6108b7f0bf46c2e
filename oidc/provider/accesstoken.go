package provider

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of Lookup.
var (
	ErrForeign = errors.New("not an access token of this server") // another kind, or somebody else's
	ErrInvalid = errors.New("the access token is not valid")      // broken, or ended
	ErrExpired = errors.New("the access token has expired")

	// ErrRevoked is ErrInvalid of a token that is genuine: whoever shows it does not
	// guess.
	ErrRevoked = fmt.Errorf("%w: it was revoked, or what it stands for has ended", ErrInvalid)
)

// An AccessToken is an access token that was verified and has not been revoked.
// There is one for a token as long as anybody uses it. Nothing that it says
// changes.
type AccessToken struct {
	ID        string // "jti"
	ClientID  string
	GrantID   string // "" for a client's own token
	UserID    string // "" for a client's own token
	Subject   string
	Scopes    []string
	Audience  []string
	IssuedAt  time.Time
	ExpiresAt time.Time

	provider *Provider
	hash     Hash  // of the token itself
	expires  int64 // ExpiresAt, milliseconds since the epoch

	epoch     atomic.Int64 // of the memory, when the store last said that the token stands; -1 is not to be believed
	confirmed atomic.Int64 // when the store last said so, milliseconds since the epoch
	refs      atomic.Int64 // who holds the token; letGo is added while the memory does not have it
	hot       atomic.Bool  // used since the memory last looked for what to forget
	over      atomic.Bool  // ended, and perhaps another one takes its place
	changes   atomic.Int64 // of its client or its person that were heard of

	ended  context.Context
	end    context.CancelFunc
	made   atomic.Pointer[made]
	making sync.Mutex // held while a Value is made
	places atomic.Pointer[[]place]

	slot int // place in the memory's ring, -1 for none; guarded by the memory
	due  int // place among those that expire, -1 for none; guarded by the memory
}

// letGo is far below what Hold could make up for.
const letGo = -1 << 40

// A made is what was made of a token under a thing, after so many changes.
type made struct {
	under, value any
	changes      int64
}

func (m *made) fits(under any, changes int64) bool {
	return m != nil && m.under == under && m.changes == changes
}

// Hold keeps the token known, so that its end reaches whoever uses it, until
// Release. Neither waits for the store nor allocates. Who finds Ended cancelled
// right after Hold was late, and looks the token up again.
func (t *AccessToken) Hold() {
	m := t.provider.tokens
	if t.refs.Add(1) <= 0 && !m.takeBack(t) {
		t.end()
	}
	if t.epoch.Load() != m.epoch.Load() { // what changed meanwhile was asked about only for who held it
		t.provider.recheck(t)
	}
}

// Release is the counterpart of Hold.
func (t *AccessToken) Release() { t.refs.Add(-1) }

func (t *AccessToken) held() bool { return t.refs.Load() > 0 }

// Ended is cancelled when the token expires or is revoked. Only whoever holds the
// token is told for sure.
func (t *AccessToken) Ended() context.Context { return t.ended }

// Value returns what make makes of the token, once for each value of under, which
// has to be comparable, and anew once its client or its person was changed. Nil is
// not kept.
func (t *AccessToken) Value(under any, make func(*AccessToken) any) any {
	if p := t.made.Load(); p.fits(under, t.changes.Load()) {
		return p.value
	}
	t.making.Lock()
	defer t.making.Unlock()
	changes := t.changes.Load()
	if p := t.made.Load(); p.fits(under, changes) {
		return p.value
	}
	value := make(t)
	if value != nil {
		t.made.Store(&made{under, value, changes})
	}
	return value
}

// anew returns a token that says the same and that nobody uses.
func (t *AccessToken) anew(userID string) *AccessToken {
	n := &AccessToken{
		ID: t.ID, ClientID: t.ClientID, GrantID: t.GrantID, UserID: userID, Subject: t.Subject,
		Scopes: t.Scopes, Audience: t.Audience, IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt,
		provider: t.provider, hash: t.hash, expires: t.expires, slot: -1, due: -1,
	}
	n.ended, n.end = context.WithCancel(context.Background())
	return n
}

// EndUnless ends the remembered tokens for which stands is false: what decided that
// they open something is not in the store. They are looked up again by whoever
// comes next, who has to decide anew.
func (p *Provider) EndUnless(stands func(*AccessToken) bool) {
	for _, t := range p.tokens.all() {
		if !stands(t) {
			p.tokens.finish(t)
		}
	}
}
