package provider

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wavegate/keychain/lookup"
)

// The algorithms that tokens are signed with, access tokens with the first.
const (
	algES256 = "ES256"
	algRS256 = "RS256"
)

func algorithms() []string { return []string{algES256, algRS256} }

const (
	storeTimeout = 5 * time.Second // bounds a question to the store that is nobody's in particular
	keyRest      = 5 * time.Second // between two looks into the store for keys that nobody may have
)

// keyring holds the signing keys: those of the store that could be opened. It is
// filled when it is first needed, and again when the store says that they changed.
type keyring struct {
	p       *Provider
	present atomic.Pointer[keyset] // nil before they were read; is replaced, never changed
	stale   atomic.Bool            // the store has others
	asked   atomic.Int64           // when the store was last asked, milliseconds since the epoch
	failed  atomic.Int64           // when it last did not answer
	tasks   lookup.Tasks

	loading flight
	tending map[string]*flight // by algorithm

	reading sync.Mutex      // held while the keys are read, so that present never goes back; guards refused
	refused map[string]bool // IDs of keys that could not be opened, which was logged
}

// A keyset is what the store had at one time, oldest first.
type keyset struct {
	ids  []string // of all keys
	keys []*signer
	byID map[string]*signer
}

func newKeyring(p *Provider) *keyring {
	k := &keyring{p: p, tending: map[string]*flight{}, refused: map[string]bool{}}
	for _, alg := range algorithms() {
		k.tending[alg] = &flight{}
	}
	return k
}

func (k *keyring) ms() int64 { return k.p.now().UnixMilli() }

// sign returns a JWT with the claims, signed by the current key of an algorithm
// (ES256 or RS256). Where there is none yet it waits until there is.
func (k *keyring) sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	key, err := k.current(ctx, alg)
	if err != nil {
		return "", err
	}
	head, ok := key.heads[typ]
	if !ok {
		head = encodeHeader(header{Algorithm: alg, KeyID: key.ID, Type: typ})
	}
	return signJWT(key.private, head, claims)
}

// current returns the key that signs, which is made where there is none.
func (k *keyring) current(ctx context.Context, alg string) (*signer, error) {
	set, err := k.get(ctx)
	if err != nil {
		return nil, err
	}
	if key := set.current(alg, k.p.now()); key != nil {
		return key, nil
	}
	if err := k.tend(ctx, alg); err != nil {
		return nil, err
	}
	if key := k.present.Load().current(alg, k.p.now()); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("there is no %s key to sign with, though one was made", alg)
}

// get returns the keys, which are read from the store where that is not done. Those
// that were read before will do while the store cannot be asked.
func (k *keyring) get(ctx context.Context) (*keyset, error) {
	set := k.present.Load()
	if set != nil && (!k.stale.Load() || k.ms()-k.failed.Load() < keyRest.Milliseconds()) {
		return set, nil
	}
	err := k.load(ctx)
	if k.stale.Load() && err == nil { // they changed while they were read
		err = k.load(ctx)
	}
	if set = k.present.Load(); set != nil {
		return set, nil
	}
	return nil, err
}

// load reads the keys from the store, once for all who want that at the same time.
func (k *keyring) load(ctx context.Context) error {
	return k.loading.do(ctx, &k.tasks, func() error {
		return lookup.Safely(k.p.log, "signing keys were read", func() error {
			_, err := k.read()
			return err
		})
	})
}

// read reads the keys from the store.
func (k *keyring) read() (*keyset, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	k.asked.Store(k.ms())
	k.stale.Store(false)
	rows, err := k.p.store.SigningKeys(ctx, k.p.now())
	if err != nil {
		k.stale.Store(true)
		k.failed.Store(k.ms())
		return nil, fmt.Errorf("the signing keys cannot be read: %w", err)
	}
	set := k.open(rows)
	k.present.Store(set)
	return set, nil
}

// open opens the keys that are new, and takes over those that are known.
func (k *keyring) open(rows []SigningKey) *keyset {
	old, set := k.present.Load(), &keyset{byID: map[string]*signer{}}
	for _, row := range rows {
		set.ids = append(set.ids, row.ID)
		key, err := k.openKey(row, old)
		if err != nil {
			k.logOnce(row.ID, err)
			continue
		}
		set.keys = append(set.keys, key)
		set.byID[row.ID] = key
	}
	return set
}

func (k *keyring) openKey(row SigningKey, old *keyset) (*signer, error) {
	if old != nil && old.byID[row.ID] != nil {
		same := *old.byID[row.ID]
		same.SigningKey = row
		return &same, nil
	}
	plain, err := k.p.cfg.Open(row.ID, row.Sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	private, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errors.New("it is no private key") // the error may show some of it
	}
	return newSigner(row, private)
}

// logOnce says that a key cannot be used, the first time.
func (k *keyring) logOnce(id string, err error) {
	if !k.refused[id] {
		k.refused[id] = true
		k.p.log.Error("a signing key of the store cannot be opened and is left out; was the master secret that sealed it removed?", "kid", id, "error", err)
	}
}

// rows returns the keys of an algorithm, as rotation takes them.
func (s *keyset) rows(alg string) (rows []SigningKey) {
	for _, k := range s.keys {
		if k.Algorithm == alg {
			rows = append(rows, k.SigningKey)
		}
	}
	return rows
}

// current returns the key that signs, or nil.
func (s *keyset) current(alg string, now time.Time) *signer {
	var best *signer
	for _, k := range s.keys {
		if k.Algorithm == alg && !k.retired(now) && (best == nil || k.before(best.SigningKey, now)) {
			best = k
		}
	}
	return best
}

// known returns a key that verifies, if it was read from the store before, or nil.
func (k *keyring) known(id string) *signer {
	set := k.present.Load()
	if set == nil {
		return nil
	}
	if key := set.byID[id]; key != nil && !key.retired(k.p.now()) {
		return key
	}
	return nil
}

// find is known, and looks into the store for a key that is not, now and then.
func (k *keyring) find(ctx context.Context, id string) (*signer, error) {
	if _, err := k.get(ctx); err != nil {
		return nil, err
	}
	if key := k.known(id); key != nil || k.ms()-k.asked.Load() < keyRest.Milliseconds() {
		return key, nil
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	return k.known(id), nil
}

// published returns the keys that verify, newest first, and the set they are of.
// There is a key of every algorithm among them.
func (k *keyring) published(ctx context.Context) ([]*signer, *keyset, error) {
	for _, alg := range algorithms() {
		if _, err := k.current(ctx, alg); err != nil {
			return nil, nil, err
		}
	}
	set, now := k.present.Load(), k.p.now()
	list := slices.DeleteFunc(slices.Clone(set.keys), func(s *signer) bool { return s.retired(now) })
	slices.Reverse(list)
	return list, set, nil
}
