package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"wavegate/keychain/lookup"
	"wavegate/server/seal"
)

// Config says how long sessions live and who is asked about them. New copies and
// validates it.
type Config struct {
	Lifetime   time.Duration // from sign-in to the end, whatever happens; 0 is 720h
	Idle       time.Duration // without use; 0 is 30m
	Keys       [][]byte      // 32 bytes each, the current one first: they seal tokens and login attempts
	CacheBytes int64         // memory for sessions that are remembered, about; 0 is 64 MB

	// StaleAfter is how long what is remembered is believed when the store cannot
	// be asked or followed; 0 is 1 min.
	StaleAfter time.Duration

	// Renew asks the provider about a session whose RenewAt is reached. An error
	// that is ErrRefused ends the session, any other keeps it and the provider is
	// asked again later. The context allows 15 s. Nil: nobody is ever asked.
	Renew func(ctx context.Context, r Record, t Tokens) (Renewal, error)

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is silence
}

// A Renewal is what the provider says of a session that goes on.
type Renewal struct {
	Claims
	Tokens  Tokens
	RenewAt time.Time // when to ask again; zero is never
}

// ErrRefused is a provider's word that a person's session there has ended.
var ErrRefused = errors.New("the provider ended the session")

// Validate lists every problem of the configuration.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"the lifetime of sessions", c.Lifetime}, {"the idle time of sessions", c.Idle}, {"StaleAfter", c.StaleAfter}} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %v: it cannot be negative", d.name, d.value))
		}
	}
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("CacheBytes is %d: it cannot be negative", c.CacheBytes))
	}
	if len(c.Keys) == 0 {
		errs = append(errs, errors.New("no key to seal tokens with"))
	}
	for i, k := range c.Keys {
		if len(k) != seal.Size {
			errs = append(errs, fmt.Errorf("key %d has %d bytes, want %d", i+1, len(k), seal.Size))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Lifetime = cmp.Or(c.Lifetime, 720*time.Hour)
	c.Idle = cmp.Or(c.Idle, 30*time.Minute)
	c.StaleAfter = cmp.Or(c.StaleAfter, time.Minute)
	c.CacheBytes = cmp.Or(c.CacheBytes, 64<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Manager is the sessions of one process. Several processes may share a store;
// each follows it through Apply, Alive and Lost. All methods may be called by
// any number of goroutines.
//
// What is remembered is believed while the store is followed. A session that
// the store says changed is believed again only when the store has said how.
type Manager struct {
	cfg   Config
	store Store
	seals seal.Keys

	memory    *memory
	loads     loads                  // sessions on their way from the store into memory
	strangers lookup.Gate            // store look-ups for cookies that nobody remembers
	known     lookup.Gate            // store look-ups for sessions that are remembered
	negative  *lookup.Negatives[key] // cookies that the store did not know a moment ago
	renewals  renewals
	outages   outages
	unended   unended
	rechecks  rechecks
	touched   touched
	tasks     lookup.Tasks

	alive atomic.Int64 // when the store was last followed, milliseconds since the epoch
	epoch atomic.Int64 // raised by Lost; sessions of an earlier epoch are not believed
}

const (
	// storeTimeout bounds a question to the store that is nobody's in particular.
	storeTimeout = 5 * time.Second

	strangerLookups = 8
	knownLookups    = 16
)

// New returns a Manager that remembers nothing yet. It starts nothing: Run does
// the work that time brings, and has to be called.
func New(cfg Config, store Store) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	keys, err := seal.New(cfg.Keys)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg:       cfg,
		store:     store,
		seals:     keys,
		strangers: lookup.NewGate(strangerLookups),
		known:     lookup.NewGate(knownLookups),
		loads:     loads{open: make(map[Hash]*load)},
		negative:  lookup.NewNegatives[key](),
		renewals:  renewals{open: make(map[Hash]*flight)},
		outages:   outages{all: make(map[string]*outage)},
		unended:   unended{ids: make(map[string]struct{})},
		rechecks:  rechecks{queued: make(map[Hash]struct{})},
	}
	m.memory = newMemory(cfg.CacheBytes, m.evicted)
	m.alive.Store(m.now())
	return m, nil
}

// Lifetime is how long a session lasts at most.
func (m *Manager) Lifetime() time.Duration { return m.cfg.Lifetime }

// now is the time in milliseconds since the epoch, in which all times are kept.
func (m *Manager) now() int64 { return m.cfg.Now().UnixMilli() }

// idle is the idle time in milliseconds.
func (m *Manager) idle() int64 { return m.cfg.Idle.Milliseconds() }

// unavailable makes an error about the store one that says so. The named errors
// of Store pass as they are.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	for _, named := range []error{ErrNoSession, ErrNoUser, ErrDisabled, ErrAttemptUsed, ErrConflict, ErrUnavailable} {
		if errors.Is(err, named) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Remembered is how many sessions are held in memory, and about how many bytes
// they take.
func (m *Manager) Remembered() (n int, bytes int64) {
	for i := range m.memory.shards {
		sh := &m.memory.shards[i]
		sh.mu.RLock()
		n += len(sh.ring)
		sh.mu.RUnlock()
	}
	return n, m.memory.weight.Load()
}
