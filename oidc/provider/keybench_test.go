package provider

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const keyIssuer = "https://gate.example"

// A keyBench is a provider with a store that keeps what access tokens and keys need.
type keyBench struct {
	*Provider
	store *keyStore
	log   *lockedLog
	rules Rules
}

// newKeyBench returns a provider, with a store of its own where that is nil.
func newKeyBench(store *keyStore) *keyBench {
	b := &keyBench{store: store, log: &lockedLog{}, rules: Rules{
		AccessLifetime: 10 * time.Minute, RefreshLifetime: 30 * 24 * time.Hour,
		GrantLifetime: 90 * 24 * time.Hour, KeyLifetime: 90 * 24 * time.Hour,
	}}
	if store == nil {
		b.store = newKeyStore()
	}
	b.Provider = &Provider{
		cfg: Config{
			Issuer: keyIssuer, Seal: sealKey, Open: unsealKey,
			Rules: func() *Rules { r := b.rules; return &r },
		},
		store: b.store, log: slog.New(slog.NewTextHandler(b.log, nil)), now: time.Now,
	}
	b.keys, b.tokens, b.apps = newKeyring(b.Provider), newMemory(), newClients()
	return b
}

// sealKey is no encryption, but it tells names apart.
func sealKey(name string, plain []byte) ([]byte, error) {
	return append([]byte(name+"\n"), plain...), nil
}

func unsealKey(name string, sealed []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, []byte(name+"\n"))
	if !ok {
		return nil, errors.New("sealed under another name")
	}
	return bytes.Clone(plain), nil
}

// A keyStore is the part of a Store that keys and access tokens use. The rest
// panics.
type keyStore struct {
	Store
	mu     sync.Mutex
	keys   []SigningKey
	states map[string]TokenState // by jti
	err    error                 // of every method
	reads  int                   // of SigningKeys
	writes int                   // of AddSigningKeys
	asked  map[string]int        // TokenState, by jti

	answering func(ctx context.Context, jti string) // called before TokenState answers what it read; nil is nobody
}

// rsaRow is an RSA key that signs since a while and was made once for all tests: that
// takes long.
var rsaRow = sync.OnceValue(func() SigningKey {
	b := newKeyBench(nil)
	row, err := b.keys.generate(algRS256)
	if err != nil {
		panic(err)
	}
	return row
})

// withRSA returns a store that has an RSA key.
func withRSA() *keyStore {
	s, row, now := newKeyStore(), rsaRow(), time.Now()
	row.CreatedAt, row.UseAt, row.RetireAt = now, now, now.Add(200*24*time.Hour)
	s.keys = []SigningKey{row}
	return s
}

func newKeyStore() *keyStore {
	return &keyStore{states: map[string]TokenState{}, asked: map[string]int{}}
}

func (s *keyStore) SigningKeys(_ context.Context, now time.Time) (list []SigningKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.err != nil {
		return nil, s.err
	}
	for _, k := range s.keys {
		if k.RetireAt.After(now) {
			list = append(list, k)
		}
	}
	return list, nil
}

func (s *keyStore) AddSigningKeys(_ context.Context, known []string, added, changed []SigningKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.writes++
	var now time.Time
	for _, k := range added {
		now = k.CreatedAt
	}
	s.keys = slices.DeleteFunc(s.keys, func(k SigningKey) bool { return k.retired(now) })
	ids := []string{}
	for _, k := range s.keys {
		ids = append(ids, k.ID)
	}
	if !slices.Equal(slices.Sorted(slices.Values(ids)), slices.Sorted(slices.Values(known))) {
		return ErrConflict
	}
	for _, c := range changed {
		if at := slices.Index(ids, c.ID); at >= 0 {
			s.keys[at].UseAt, s.keys[at].RetireAt = c.UseAt, c.RetireAt
		}
	}
	s.keys = append(s.keys, added...)
	return nil
}

func (b *keyBench) claims(change func(*accessClaims)) accessClaims {
	now := b.now()
	c := accessClaims{
		Issuer: keyIssuer, Expiry: now.Add(10 * time.Minute).Unix(), Audience: audience{keyIssuer}, Subject: "sub:ann",
		ClientID: "client_a", IssuedAt: now.Unix(), ID: "jti_" + strings.Repeat("a", 22), Scope: "streams:read streams:write", GrantID: "grt_a",
	}
	if change != nil {
		change(&c)
	}
	return c
}

// TokenState implements Store.
func (s *keyStore) TokenState(ctx context.Context, jti, _, _ string, _ time.Time) (TokenState, error) {
	s.mu.Lock()
	s.asked[jti]++
	state, err, hook := s.states[jti], s.err, s.answering
	s.mu.Unlock()
	if hook != nil {
		hook(ctx, jti)
	}
	return state, err
}

// set changes what the store says.
func (s *keyStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// questions is how often the store was asked about a token.
func (s *keyStore) questions(jti string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[jti]
}

func (b *keyBench) mint(t testing.TB, change func(*accessClaims)) string {
	t.Helper()
	raw, err := b.mintAccess(context.Background(), b.claims(change))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (b *keyBench) lookup(t testing.TB, raw string) *AccessToken {
	t.Helper()
	token, err := b.Lookup(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantLookup(t *testing.T, b *keyBench, raw string, want error) {
	t.Helper()
	token, err := b.Lookup(context.Background(), raw)
	if !errors.Is(err, want) || (token == nil) != (err != nil) {
		t.Errorf("Lookup: %v, %v; want the error %v", token != nil, err, want)
	}
}

// A lockedLog is what was logged.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
