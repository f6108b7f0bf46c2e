package apikey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"wavegate/keychain/lookup"
)

// A Touch says that a key was used, and from which networks for the first time.
type Touch struct {
	ID       string
	UsedAt   time.Time
	Networks []netip.Prefix
}

// A Store keeps API keys. Every method may be called by any number of goroutines
// and processes. Errors that are not named mean ErrUnavailable.
type Store interface {
	// ByHash returns the key that has one of the hashes, with its networks. Keys
	// whose user is disabled are not found. Error: ErrNotFound.
	ByHash(ctx context.Context, hashes [][32]byte) (Record, error)

	// HasImported reports whether any key's HashBy is ImportedSHA256.
	HasImported(ctx context.Context) (bool, error)

	// TouchKeys moves last uses forward, never back, and remembers networks, at
	// most MaxNetworks a key.
	TouchKeys(ctx context.Context, touches []Touch) error
}

// Config is what a Manager needs to know.
type Config struct {
	Hasher *Hasher
	Most   int // keys that are remembered; 0 is 50,000

	// StaleAfter is how long what is remembered is believed when the store cannot
	// be asked or followed; 0 is 1 min.
	StaleAfter time.Duration

	// Evicted is told of each key that is not remembered any more. It must not
	// block. Nil is nobody.
	Evicted func(Record)

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is silence
}

// Validate lists every problem of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Hasher == nil {
		errs = append(errs, errors.New("no Hasher for API keys"))
	}
	if c.Most < 0 {
		errs = append(errs, fmt.Errorf("the number of API keys to remember is %d: it cannot be negative", c.Most))
	}
	if c.StaleAfter < 0 {
		errs = append(errs, fmt.Errorf("StaleAfter is %v: it cannot be negative", c.StaleAfter))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Most = cmp.Or(c.Most, 50_000)
	c.StaleAfter = cmp.Or(c.StaleAfter, time.Minute)
	if c.Evicted == nil {
		c.Evicted = func(Record) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Manager is the API keys of one process: it finds the key behind a secret, and
// remembers those that are in use, a bounded number. Several processes may share
// a store; each follows it through Changed, Alive and Lost.
//
// What is remembered is believed while the store is followed. A key that the
// store says changed is believed again only when the store has said how.
type Manager struct {
	cfg   Config
	store Store

	memory    *memory
	loads     loads                       // keys on their way from the store into memory
	strangers lookup.Gate                 // store look-ups for keys that nobody remembers
	known     lookup.Gate                 // store look-ups for keys that are remembered
	negatives *lookup.Negatives[[32]byte] // hashes that the store did not know a moment ago
	imported  imported
	doubts    doubts
	uses      uses
	tasks     lookup.Tasks

	alive atomic.Int64 // when the store was last followed, milliseconds since the epoch
	epoch atomic.Int64 // raised by Lost; keys of an earlier epoch are not believed
}

const (
	// storeTimeout bounds a question to the store that is nobody's in particular.
	storeTimeout = 5 * time.Second

	strangerLookups = 8
	knownLookups    = 16
)

// New returns a Manager that remembers nothing yet. Run does the work that time
// brings, and has to be called.
func New(cfg Config, store Store) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	m := &Manager{
		cfg:       cfg,
		store:     store,
		memory:    newMemory(cfg.Most),
		loads:     loads{open: make(map[[32]byte]*load)},
		strangers: lookup.NewGate(strangerLookups),
		known:     lookup.NewGate(knownLookups),
		negatives: lookup.NewNegatives[[32]byte](),
		doubts:    doubts{open: make(map[*Key]*doubt)},
		uses:      uses{most: 2*cfg.Most + touchBatch},
	}
	m.alive.Store(m.now())
	return m, nil
}

// now is the time in milliseconds since the epoch, in which all times are kept.
func (m *Manager) now() int64 { return m.cfg.Now().UnixMilli() }

// Remembered is how many keys are held in memory.
func (m *Manager) Remembered() int { return m.memory.size() }

// unavailable makes an error about the store one that says so. ErrNotFound
// passes as it is.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
