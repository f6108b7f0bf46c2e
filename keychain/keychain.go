// Package keychain owns the access keys and the local users: the files of
// ID:bcrypt-hash lines, their reading and their durable, locked changing, and
// the verification of pairs by a running server. The keychain and the users
// file have the same form and differ in a Kind. It decides nothing about what a
// key or a user may do, counts no failures, and knows nothing of HTTP.
package keychain

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The published pair: the one that the documentation prints, for a first try on
// one's own machine.
const (
	DefaultID     = "access_key_id"
	DefaultSecret = "access_key_secret"
)

const defaultQueue = 256

// grace is how long keys outlive their file: a swap that is no single rename
// leaves a moment without one.
const grace = 5 * time.Second

// ErrNoKeys is returned by Open when a file is required and holds no key or, if
// it is one of users, no user.
var ErrNoKeys = errors.New("holds no keys")

// Config says which keys a Keychain holds. Its zero value is a keychain that
// holds none and refuses everything.
type Config struct {
	Kind     Kind   // of the file: access keys or users
	Path     string // the file; "" for none
	Required bool   // the operator named Path: it is an error when it is missing or empty

	// ID and Secret are one more pair, beside the file; "" for none. The file may
	// hold it too, and then its line stands. Taking that line away does not take
	// the pair away, because it is still given here. Not for users.
	ID, Secret string

	// AllowPublished lets the published pair in while there is no other key. It
	// is for a server that was given neither a keychain nor a pair. Once keys
	// were seen, the published pair does not come back. Not for users.
	AllowPublished bool

	Workers int // bcrypt comparisons at once; 0 is half of GOMAXPROCS, at least 1
	Queue   int // comparisons that may wait; 0 is 256

	compare func(hash, secret string) bool // for tests; nil is bcrypt
}

// Validate reports every problem of c at once. It opens nothing.
func (c Config) Validate() error {
	var problems []error
	w := c.Kind.words()
	add := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(w.file+": "+format, args...))
		}
	}
	add(c.Required && c.Path == "", "it is required, but no file is named")
	add(c.Kind == LocalUsers && (c.ID != "" || c.AllowPublished), "users come from the file alone")
	switch {
	case c.ID == "" && c.Secret == "":
	case c.ID == "":
		add(true, "an access key secret is given without its ID")
	case c.Secret == "":
		add(true, "an access key ID is given without its secret")
	default:
		reason := idProblem(c.ID)
		add(reason != "", "the access key ID %s", reason)
		reason = secretProblem(c.Secret)
		add(reason != "", "the access key secret %s", reason)
	}
	add(c.Workers < 0, "%d workers: at least 0", c.Workers)
	add(c.Queue < 0, "a queue of %d: at least 0", c.Queue)
	return errors.Join(problems...)
}

// A Keychain verifies access keys, or the users of a users file, who are its
// keys then. It is safe for concurrent use and needs no closing.
type Keychain struct {
	cfg      Config
	file     File // of cfg
	tags     *tagger
	standIns *standIns
	checks   *checker
	pair     *Key // the pair from Config, or nil

	table atomic.Pointer[table] // swapped by Reload, read by everybody

	reload   sync.Mutex // held by Reload; guards those below
	sawFile  bool       // the file has been there
	sawKeys  bool       // the file has held keys
	missing  time.Time  // since when the file that was there is not; zero: it is
	gone     bool       // missing for longer than grace: it counts as empty
	fallback *Key       // the published pair while it stands in for missing keys
}

// Open reads the keychain. Errors: those of Validate; LineErrors for bad lines;
// ErrNoKeys, or fs.ErrNotExist, when a required file has no keys or is missing.
func Open(cfg Config) (*Keychain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.compare == nil {
		cfg.compare = compareBcrypt
	}
	workers := cmp.Or(cfg.Workers, max(1, runtime.GOMAXPROCS(0)/2))
	c := &Keychain{
		cfg:      cfg,
		file:     File{Path: cfg.Path, Kind: cfg.Kind},
		tags:     newTagger(),
		standIns: newStandIns(),
		checks:   newChecker(workers, cmp.Or(cfg.Queue, defaultQueue), cfg.compare),
	}
	if cfg.ID != "" {
		c.pair = newKey(cfg.ID, stampOfPair(cfg.ID, cfg.Secret), cfg.ID == DefaultID && cfg.Secret == DefaultSecret)
	}
	c.table.Store(&table{standIns: c.standIns})
	err, w := c.Reload(), cfg.Kind.words()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", err, w.fill)
	case err != nil:
		return nil, err
	case cfg.Required && !c.sawKeys:
		return nil, &wordedError{ErrNoKeys, fmt.Sprintf("%s %s holds no %ss: %s", w.file, cfg.Path, w.entry, w.fill)}
	}
	return c, nil
}

// Reload reads the file again. Keys whose line did not change stay, with all
// that is remembered of them; the others end before it returns. A file without
// a key in it takes all of its keys away, and so does one that was there and is
// missing for some seconds: a MissingError says that they will end, and once
// more that they did. On every other error nothing changes.
func (c *Keychain) Reload() error {
	c.reload.Lock()
	defer c.reload.Unlock()
	records, found, err := c.read()
	ended, err := c.judge(err)
	if err != nil {
		return err
	}
	old := c.table.Load()
	t := c.newTable(records, old)
	if err := c.addGiven(t, records); err != nil {
		return err
	}
	c.sawFile = c.sawFile || found
	c.sawKeys = c.sawKeys || len(records) > 0
	if c.cfg.AllowPublished && c.pair == nil && !c.cfg.Required && !c.sawKeys {
		if c.fallback == nil {
			c.fallback = newKey(DefaultID, "", true)
		}
		c.addPair(t, c.fallback, DefaultSecret)
	}
	c.table.Store(t)
	t.endMissing(old)
	if ended {
		return &MissingError{file: c.file}
	}
	return nil
}

// judge lets a missing file count as empty when it was there and grace is over.
// Ended is true for the first such reading.
func (c *Keychain) judge(err error) (ended bool, _ error) {
	if !c.sawFile || !errors.Is(err, fs.ErrNotExist) {
		c.missing, c.gone = time.Time{}, false
		return false, err
	}
	if c.missing.IsZero() {
		c.missing = time.Now()
	}
	if left := grace - time.Since(c.missing); left > 0 {
		return false, &MissingError{Left: left, file: c.file}
	}
	ended, c.gone = !c.gone, true
	return ended, nil
}

// A MissingError is returned by Reload for a file that was there and is missing.
// It is an fs.ErrNotExist.
type MissingError struct {
	Left time.Duration // until the keys end: read the file again then; 0: they have ended

	file File
}

// Error says what becomes of the keys.
func (e *MissingError) Error() string {
	w := e.file.Kind.words()
	if e.Left > 0 {
		return fmt.Sprintf("%s %s: %v: unless it comes back, its %ss end in some seconds", w.file, e.file.Path, syscall.ENOENT, w.entry)
	}
	return fmt.Sprintf("the %s %s is gone: its %ss open nothing any more; put it back", w.file, e.file.Path, w.entry)
}

// Unwrap returns fs.ErrNotExist.
func (e *MissingError) Unwrap() error { return fs.ErrNotExist }

// addGiven puts the pair from Config into the table. Where the file has its ID,
// the line must be of the same secret: it stands then, under the pair's Key, so
// that nothing ends when the line comes or goes.
func (c *Keychain) addGiven(t *table, records []record) error {
	if c.pair == nil {
		return nil
	}
	e := t.entries[c.pair.ID]
	switch {
	case e == nil:
		c.addPair(t, c.pair, c.cfg.Secret)
		return nil
	case e.key == c.pair: // the line did not change since it was compared
		return nil
	case c.checks.compare(e.hash, c.cfg.Secret):
		e.key = c.pair // nobody else has this entry yet
		e.remember(c.tags.of(e.hash, c.pair.ID, c.cfg.Secret))
		return nil
	}
	at := slices.IndexFunc(records, func(r record) bool { return r.id == c.pair.ID })
	return &LineError{Path: c.cfg.Path, Line: records[at].line, Reason: fmt.Sprintf(
		"the access key %s is given in the settings too, but with another secret: correct -access-key-secret, or remove this line with -remove-access-key %[1]s", c.pair.ID)}
}

// read returns the records of the file and whether there is one. A file that
// was never there is no error unless it is required.
func (c *Keychain) read() (records []record, found bool, err error) {
	if c.cfg.Path == "" {
		return nil, false, nil
	}
	data, err := readFile(c.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) && !c.cfg.Required && !c.sawFile {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, c.file.readError(err)
	}
	records, err = c.file.parse(data)
	return records, true, err
}

// readError says what to do about a file that could not be read. A missing one
// is for the caller to judge.
func (f File) readError(err error) error {
	w := f.Kind.words()
	p, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return fmt.Errorf("%s: %w", w.file, err)
	}
	advice := "check the path given with " + w.flag
	info, statErr := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w", w.file, f.Path, p.Err)
	case errors.Is(err, fs.ErrPermission):
		advice = "let the user that runs wavegate read it"
	case statErr == nil && !info.Mode().IsRegular():
		advice = "name a file with " + w.flag
	}
	return fmt.Errorf("%s %s: %w: %s", w.file, f.Path, p.Err, advice)
}

// Key returns the key of this ID, or nil. It is for who was verified before: see
// Key.Ended and Key.Stamp.
func (c *Keychain) Key(id string) *Key {
	if e := c.table.Load().entries[id]; e != nil {
		return e.key
	}
	return nil
}

// Stamp returns the Stamp of the key of this ID, and whether there is one. Who
// has just been verified should take that of the Key instead: the line may have
// changed meanwhile.
func (c *Keychain) Stamp(id string) (string, bool) {
	key := c.Key(id)
	if key == nil {
		return "", false
	}
	return key.Stamp, key.Stamp != ""
}

// Has reports whether there is a key of this ID.
func (c *Keychain) Has(id string) bool { return c.table.Load().entries[id] != nil }

// IDs returns the IDs of all keys, sorted.
func (c *Keychain) IDs() []string { return slices.Sorted(maps.Keys(c.table.Load().entries)) }

// Len returns the number of keys, the pair from Config and the published one
// included.
func (c *Keychain) Len() int { return len(c.table.Load().entries) }

// Published reports whether the published pair is among the keys.
func (c *Keychain) Published() bool { return c.table.Load().published }
