package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/keychain/apikey"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error is %v, want %v", got, want)
	}
}

// secretOf is a secret of 32 equal bytes.
func secretOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newHasher(t testing.TB, secrets ...[]byte) *apikey.Hasher {
	t.Helper()
	if len(secrets) == 0 {
		secrets = [][]byte{secretOf(1)}
	}
	h, err := apikey.NewHasher(secrets)
	must(t, err)
	return h
}

var errDown = errors.New("the database is down")

// fake is a Store in memory that can be slow, down, or meddled with.
type fake struct {
	// before is called at the start of each method, with no lock held; its error is
	// the method's. read is called after ByHash has read and before it returns. Set
	// them before the store is used.
	before func(ctx context.Context, method string) error
	read   func()

	mu       sync.Mutex // guards the rest
	down     bool       // every method fails
	keys     map[[32]byte]apikey.Record
	disabled map[string]bool // user IDs
	calls    map[string]int
	touches  [][]apikey.Touch
}

var _ apikey.Store = (*fake)(nil)

func newFake() *fake {
	return &fake{keys: map[[32]byte]apikey.Record{}, disabled: map[string]bool{}, calls: map[string]int{}}
}

// enter locks the store for a method.
func (f *fake) enter(ctx context.Context, method string) error {
	f.mu.Lock()
	f.calls[method]++
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(ctx, method); err != nil {
			return err
		}
	}
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return errDown
	}
	return nil
}

func (f *fake) ByHash(ctx context.Context, hashes [][32]byte) (apikey.Record, error) {
	if err := f.enter(ctx, "ByHash"); err != nil {
		return apikey.Record{}, err
	}
	r, err := apikey.Record{}, apikey.ErrNotFound
	for _, h := range hashes {
		if found, ok := f.keys[h]; ok && !f.disabled[found.UserID] {
			r, err = found, nil
			break
		}
	}
	f.mu.Unlock()
	if f.read != nil {
		f.read()
	}
	return r, err
}

func (f *fake) HasImported(ctx context.Context) (bool, error) {
	if err := f.enter(ctx, "HasImported"); err != nil {
		return false, err
	}
	defer f.mu.Unlock()
	for r := range maps.Values(f.keys) {
		if r.HashBy == apikey.ImportedSHA256 {
			return true, nil
		}
	}
	return false, nil
}

func (f *fake) TouchKeys(ctx context.Context, touches []apikey.Touch) error {
	if err := f.enter(ctx, "TouchKeys"); err != nil {
		return err
	}
	defer f.mu.Unlock()
	f.touches = append(f.touches, touches)
	for h, r := range f.keys {
		for _, t := range touches {
			if t.ID == r.ID && t.UsedAt.After(r.LastUsedAt) {
				r.LastUsedAt = t.UsedAt
			}
			if t.ID == r.ID {
				r.Networks = slices.Concat(r.Networks, t.Networks)
			}
		}
		f.keys[h] = r
	}
	return nil
}

func (f *fake) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *fake) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fake) setDisabled(user string, disabled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disabled[user] = disabled
}

func (f *fake) put(r apikey.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[r.Hash] = r
}

// edit changes a key and raises its version.
func (f *fake) edit(id string, change func(*apikey.Record)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for h, r := range f.keys {
		if r.ID == id {
			change(&r)
			r.Version++
			f.keys[h] = r
		}
	}
}

func (f *fake) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.keys, func(_ [32]byte, r apikey.Record) bool { return r.ID == id })
}

// touched returns all that was written of a key.
func (f *fake) touched(id string) (list []apikey.Touch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, batch := range f.touches {
		for _, t := range batch {
			if t.ID == id {
				list = append(list, t)
			}
		}
	}
	return list
}

// A bench is a Manager with its store.
type bench struct {
	*apikey.Manager
	store  *fake
	hasher *apikey.Hasher
}

// newBench makes a Manager whose settings may be changed before.
func newBench(t testing.TB, change func(*apikey.Config)) *bench {
	t.Helper()
	cfg := apikey.Config{Hasher: newHasher(t)}
	if change != nil {
		change(&cfg)
	}
	f := newFake()
	m, err := apikey.New(cfg, f)
	must(t, err)
	return &bench{m, f, cfg.Hasher}
}

// create puts a new key into the store.
func (b *bench) create(change func(*apikey.Record)) (secret, id string) {
	secret = apikey.Generate("wave", apikey.Live, false)
	return secret, b.createFor(secret, change)
}

// createFor puts a key with the secret into the store.
func (b *bench) createFor(secret string, change func(*apikey.Record)) (id string) {
	r := apikey.Record{
		ID: apikey.NewID(), Hash: b.hasher.Current(secret), HashBy: b.hasher.Version(), Name: "deploy",
		Environment: apikey.Live, Role: "developer", Scopes: []string{"streams:read", "streams:write"},
		Owner: "sub:ann", UserID: "usr_ann", Version: 1, CreatedAt: time.Now().UTC(),
	}
	r.Account = r.ID
	if change != nil {
		change(&r)
	}
	b.store.put(r)
	return r.ID
}

func (b *bench) lookup(t testing.TB, secret string) *apikey.Key {
	t.Helper()
	k, err := b.Lookup(t.Context(), secret)
	must(t, err)
	return k
}

// hold looks a key up and holds it.
func (b *bench) hold(t testing.TB, secret string) *apikey.Key {
	t.Helper()
	k := b.lookup(t, secret)
	k.Hold()
	return k
}

// run runs the Manager and returns what ends it, which also happens at the end of
// the test.
func (b *bench) run(t testing.TB) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// follow keeps the Manager told that the store is followed, until the test ends.
func (b *bench) follow(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				b.Alive(now)
			case <-ctx.Done():
				return
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func isEnded(k *apikey.Key) bool { return k.Ended().Err() != nil }

// after lets time pass, and what happens then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// leastAllocs is how often f allocates at the least. What pools keep may be
// taken from them at any time, and is under the race detector.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
