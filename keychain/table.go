package keychain

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
)

// A Key is one access key, or one user, of a running server. It does not
// change; a key whose line changes is another Key.
type Key struct {
	ID string

	// Stamp is 16 hex digits that stand for the line of the file: ID and stored
	// hash; for the pair from Config, ID and secret. What lasts longer than this
	// process, such as a user's session, keeps it and ends when Keychain.Stamp has
	// another one. All processes make the same. It is "" for the published pair
	// where that stands in for missing keys.
	Stamp string

	// Published is set for the pair that the documentation prints and everybody
	// knows, however it got in. Accept it from this machine only.
	Published bool

	ended context.Context
	end   context.CancelFunc
}

func newKey(id, stamp string, published bool) *Key {
	k := &Key{ID: id, Stamp: stamp, Published: published}
	k.ended, k.end = context.WithCancel(context.Background())
	return k
}

// Ended returns a context that is cancelled when the key is removed or its hash
// changes. What was opened with the key must end with it.
func (k *Key) Ended() context.Context { return k.ended }

// stampOf returns the Stamp of a line. Neither part can hold the ':' between
// them.
func stampOf(id, hash string) string {
	sum := sha256.Sum256([]byte(id + ":" + hash))
	return hex.EncodeToString(sum[:8])
}

// stampRounds make a guess at a secret by its stamp cost some milliseconds.
const stampRounds = 1 << 14

// stampOfPair returns the Stamp of the pair from Config. There is no stored hash
// of it, and a quick one of the secret would help to guess it.
func stampOfPair(id, secret string) string {
	sum, err := pbkdf2.Key(sha256.New, secret, []byte("wavegate stamp:"+id), stampRounds, sha256.Size)
	if err != nil {
		return "" // not reached: the sizes are fixed, and good in FIPS mode too
	}
	return hex.EncodeToString(sum[:8])
}

// An entry is a key in the table with what is needed to verify it. A nil entry
// is a key that does not exist.
type entry struct {
	key  *Key
	hash string
	last atomic.Pointer[tag] // of the pair that was right, nil before there was one
}

// remembers reports whether the pair was found right before. An entry has one
// right secret, so one tag is enough and guesses can push nothing out.
func (e *entry) remembers(t *tag) bool {
	if e == nil {
		return false
	}
	last := e.last.Load()
	return last != nil && last.equal(t)
}

func (e *entry) remember(t tag) {
	if e != nil {
		e.last.Store(&t)
	}
}

// A table is everything that verifications read. It is never changed: Reload
// makes another one and swaps the pointer.
type table struct {
	entries   map[string]*entry
	costs     []uint8 // one for each key of the file, sorted
	standIns  *standIns
	published bool // the published pair is one of the entries
}

// find returns the entry of an ID and the hash to compare with; for an unknown
// ID that is nil and a hash that nothing matches.
func (t *table) find(id string) (*entry, string) {
	if e := t.entries[id]; e != nil {
		return e, e.hash
	}
	return nil, t.standIns.hash(id, t.costs)
}

// standIns holds the hashes of keys that do not exist, one for each cost.
type standIns struct {
	seed   maphash.Seed
	byCost [maxCost + 1]string
}

func newStandIns() *standIns {
	s := &standIns{seed: maphash.MakeSeed()}
	for cost := minCost; cost <= maxCost; cost++ {
		s.byCost[cost] = unmatchable(cost)
	}
	return s
}

// hash returns the stand-in for an ID. It costs what the keys of the file cost.
// Where they differ, each cost comes up as often as it does in the file, and an
// ID always gets the same: neither one answer nor many tell who exists.
func (s *standIns) hash(id string, costs []uint8) string {
	if len(costs) == 0 {
		return s.byCost[bcrypt.DefaultCost]
	}
	if costs[0] == costs[len(costs)-1] {
		return s.byCost[costs[0]]
	}
	return s.byCost[costs[maphash.String(s.seed, id)%uint64(len(costs))]]
}

// newTable makes the table of the file's records and of the pair from the
// flags. Entries of old whose line did not change are kept as they are.
func (c *Keychain) newTable(records []record, old *table) *table {
	t := &table{entries: make(map[string]*entry, len(records)+1), standIns: c.standIns}
	for _, r := range records {
		e := old.entries[r.id]
		if e == nil || e.hash != r.hash {
			e = &entry{hash: r.hash, key: newKey(r.id, stampOf(r.id, r.hash), c.isPublished(r))}
		}
		t.entries[r.id] = e
		t.published = t.published || e.key.Published
		t.costs = append(t.costs, uint8(costOf(r.hash)))
	}
	slices.Sort(t.costs)
	return t
}

// isPublished reports whether a line holds the published pair, which is none of
// a person's.
func (c *Keychain) isPublished(r record) bool {
	return c.cfg.Kind == AccessKeys && r.id == DefaultID && c.checks.compare(r.hash, DefaultSecret)
}

// addPair puts a pair into the table whose secret is known here. It is
// remembered from the start and never compared: its hash is one that nothing
// matches, and makes a wrong guess cost what it costs for any other ID.
func (c *Keychain) addPair(t *table, key *Key, secret string) {
	e := &entry{key: key, hash: c.standIns.hash(key.ID, t.costs)}
	e.remember(c.tags.of(e.hash, key.ID, secret))
	t.entries[key.ID] = e
	t.published = t.published || key.Published
}

// endMissing ends the keys of old that the new table does not hold any more.
func (t *table) endMissing(old *table) {
	for id, e := range old.entries {
		if now := t.entries[id]; now == nil || now.key != e.key {
			e.key.end()
		}
	}
}
