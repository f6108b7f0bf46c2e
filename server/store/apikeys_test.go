package store

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// newKey is a key of an owner, made at a time, in which everything is filled in.
func newKey(owner string, at time.Time) apikey.Record {
	id := "key_" + strings.ToLower(rand.Text())
	return apikey.Record{
		ID: id, Hash: sha256.Sum256([]byte(id)), HashBy: "12ab34cd", Prefix: "wave_live_" + id[4:12], Account: id,
		Name: "CI Ümlaut", Description: "for\nbuilds", Environment: apikey.Live, Role: "developer",
		Scopes:     []string{"streams:read", `odd "scope", \ and more`},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Metadata:   []byte(`{"team": "ü", "n": 1}`), Tier: "pro", OpsLimit: 1000, Budget: apikey.Budget{PerDay: 10, PerMonth: 100},
		Owner: owner, CreatedAt: at, ExpiresAt: at.Add(24 * time.Hour), Version: 1,
	}
}

// noted is a journal with one entry about a thing.
func noted(action, target string) Journal {
	return Journal{Audit: []audit.Entry{{At: start, Actor: "sub:ann", Action: action, Target: target, Owner: "sub:ann", Outcome: "ok"}}}
}

// addKey stores a key.
func addKey(t testing.TB, s *Store, r apikey.Record) apikey.Record {
	t.Helper()
	added, err := s.AddKey(t.Context(), r, Idempotency{}, Journal{})
	must(t, err)
	return added
}

func ofKey(id string) session.Change { return session.Change{Kind: ChangedAPIKey, Key: id} }

// actions are the kinds and targets of the audit log, the oldest first.
func actions(t testing.TB, s *Store) []string {
	t.Helper()
	var all []string
	for e, err := range s.AuditAll(t.Context(), AuditFilter{}, 0) {
		must(t, err)
		all = append(all, e.Action+" "+e.Target)
	}
	return all
}

func TestAddKeyKeepsEverything(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		whole := newKey("sub:ann", start)
		whole.UserID = signIn(t, s, newRecord("ann", start)).UserID
		whole.LastUsedAt, whole.DeprecatedAt, whole.RevokedAt, whole.ReplacedBy = start.Add(time.Millisecond), start.Add(2*time.Millisecond), start.Add(3*time.Millisecond), "key_x"
		bare := apikey.Record{ID: "key_1", Hash: newHash(), Prefix: "p", Environment: apikey.Trial, Owner: "trial", CreatedAt: start, Version: 1}
		for _, r := range []apikey.Record{whole, bare} {
			added, err := s.AddKey(t.Context(), r, Idempotency{}, noted("key.create", r.ID))
			must(t, err)
			wantSame(t, "added", added, r)
			got, err := s.Key(t.Context(), r.ID)
			must(t, err)
			wantSame(t, "by ID", got, r)
			got, err = s.ByHash(t.Context(), [][32]byte{r.Hash})
			must(t, err)
			wantSame(t, "by hash", got, r)
		}
		wantSame(t, "audit", actions(t, s), []string{"key.create " + whole.ID, "key.create key_1"})
		wantSame(t, "changes", changes(t, s), []session.Change{ofKey(whole.ID), ofKey("key_1")})
		_, err := s.Key(t.Context(), "key_none")
		wantErr(t, "none", err, apikey.ErrNotFound)
		_, err = s.Key(t.Context(), "\xff\x00")
		wantErr(t, "no text", err, apikey.ErrNotFound)
	})
}

// TestKeyTextsThatDecideAreNotMended: what is only shown is mended.
func TestKeyTextsThatDecideAreNotMended(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		shown := newKey("sub:ann", start)
		shown.Name, shown.Description = "a\x00b", "\xff"
		got := addKey(t, s, shown)
		wantSame(t, "name", got.Name+got.Description, "a\uFFFDb\uFFFD")
		for name, change := range map[string]func(*apikey.Record){
			"owner":    func(r *apikey.Record) { r.Owner = "sub:\xff" },
			"role":     func(r *apikey.Record) { r.Role = "a\x00" },
			"scope":    func(r *apikey.Record) { r.Scopes = []string{"\xff"} },
			"metadata": func(r *apikey.Record) { r.Metadata = []byte("\xff") },
		} {
			r := newKey("sub:ann", start)
			change(&r)
			_, err := s.AddKey(t.Context(), r, Idempotency{}, Journal{})
			wantErr(t, name, err, session.ErrUnavailable)
		}
		wantSame(t, "keys", count(t, s, "api_keys"), 1)
	})
}

func TestIdempotentRequestMakesOneKey(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		idem := Idempotency{Owner: "sub:ann", Key: "once", Content: [32]byte{1}}
		first, err := s.AddKey(t.Context(), newKey("sub:ann", start), idem, noted("key.create", "1"))
		must(t, err)
		again, err := s.AddKey(t.Context(), newKey("sub:ann", start), idem, noted("key.create", "2"))
		wantErr(t, "again", err, apikey.ErrReplayed)
		wantSame(t, "the first record", again, first)
		other := idem
		other.Content[0]++
		none, err := s.AddKey(t.Context(), newKey("sub:ann", start), other, noted("key.create", "3"))
		wantErr(t, "other content", err, apikey.ErrReused)
		wantSame(t, "no record", none, apikey.Record{})
		other.Owner = "sub:bob" // may use the same word
		_, err = s.AddKey(t.Context(), newKey("sub:bob", start), other, noted("key.create", "4"))
		must(t, err)
		wantSame(t, "audit", actions(t, s), []string{"key.create 1", "key.create 4"})
		wantSame(t, "keys", count(t, s, "api_keys"), 2)

		run(t, s, "UPDATE key_requests SET at = at - ? WHERE owner = 'sub:ann'", keepRequests.Milliseconds()+1)
		_, err = s.Sweep(t.Context(), start, time.Time{}, 10)
		must(t, err)
		wantSame(t, "requests after a day", count(t, s, "key_requests"), 1)
		_, err = s.AddKey(t.Context(), newKey("sub:ann", start), idem, Journal{})
		must(t, err)
	})
}

// TestFiftyEqualRequestsMakeOneKey has two processes be asked at once.
func TestFiftyEqualRequestsMakeOneKey(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		var made, replayed atomic.Int32
		var mu sync.Mutex
		seen := map[string]bool{}
		together(50, func(i int) {
			r, err := stores[i%2].AddKey(t.Context(), newKey("sub:ann", start), Idempotency{Owner: "sub:ann", Key: "k"}, noted("key.create", "x"))
			switch err {
			case nil:
				made.Add(1)
			case apikey.ErrReplayed:
				replayed.Add(1)
			default:
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[r.ID] = true
		})
		if made.Load() != 1 || replayed.Load() != 49 || len(seen) != 1 || count(t, s, "api_keys") != 1 || count(t, s, "audit_log") != 1 {
			t.Errorf("%d made, %d replayed, %d IDs", made.Load(), replayed.Load(), len(seen))
		}
	})
}

func TestChangeKey(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		was := addKey(t, s, newKey("sub:ann", start))
		run(t, s, "DELETE FROM changes")
		r := was
		r.Name, r.Description, r.Role, r.Tier, r.OpsLimit = "new", "", "viewer", "", 5
		r.Scopes, r.AllowedIPs, r.Metadata, r.Budget = nil, nil, nil, apikey.Budget{PerMonth: 7}
		r.ExpiresAt, r.DeprecatedAt, r.RevokedAt, r.ReplacedBy = time.Time{}, start.Add(time.Hour), start.Add(2*time.Hour), "key_n"
		want := r
		want.Version = 2
		// What stays, whatever the record says.
		r.Hash, r.HashBy, r.Prefix, r.Account, r.Owner, r.UserID, r.CreatedAt, r.LastUsedAt = [32]byte{1}, "x", "x", "x", "x", "x", start.Add(1e9), start
		got, err := s.ChangeKey(t.Context(), r, noted("key.revoke", r.ID))
		must(t, err)
		wantSame(t, "changed", got, want)
		got, err = s.Key(t.Context(), r.ID)
		must(t, err)
		wantSame(t, "stored", got, want)
		wantSame(t, "changes", changes(t, s), []session.Change{ofKey(r.ID)})

		_, err = s.ChangeKey(t.Context(), was, noted("key.change", r.ID))
		wantErr(t, "of an older version", err, apikey.ErrConflict)
		was.Version = 3
		_, err = s.ChangeKey(t.Context(), was, noted("key.change", r.ID))
		wantErr(t, "of a version that is not there yet", err, apikey.ErrConflict)
		was.ID = "key_none"
		_, err = s.ChangeKey(t.Context(), was, noted("key.change", r.ID))
		wantErr(t, "of none", err, apikey.ErrNotFound)
		wantSame(t, "audit", actions(t, s), []string{"key.revoke " + r.ID})
		wantSame(t, "changes", len(changes(t, s)), 1)
	})
}

// deprecated is a key as rotation leaves it.
func deprecated(r apikey.Record, next string) apikey.Record {
	r.DeprecatedAt, r.ExpiresAt, r.ReplacedBy = start.Add(time.Hour), start.Add(2*time.Hour), next
	return r
}

func TestRotateKey(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		old, next := addKey(t, s, newKey("sub:ann", start)), newKey("sub:ann", start.Add(time.Hour))
		next.Account = old.Account
		run(t, s, "DELETE FROM changes")
		idem := Idempotency{Owner: "sub:ann", Key: "r", Content: [32]byte{1}}
		got, err := s.RotateKey(t.Context(), deprecated(old, next.ID), next, idem, noted("key.rotate", old.ID))
		must(t, err)
		wantSame(t, "new key", got, next)
		want := deprecated(old, next.ID)
		want.Version = 2
		stored, err := s.Key(t.Context(), old.ID)
		must(t, err)
		wantSame(t, "old key", stored, want)
		wantSame(t, "changes", changes(t, s), []session.Change{ofKey(old.ID), ofKey(next.ID)})

		again, err := s.RotateKey(t.Context(), deprecated(old, "key_2"), newKey("sub:ann", start), idem, noted("key.rotate", "2"))
		wantErr(t, "the request again", err, apikey.ErrReplayed)
		wantSame(t, "the first record", again, next)
		none, err := s.RotateKey(t.Context(), deprecated(old, "key_3"), newKey("sub:ann", start), Idempotency{}, noted("key.rotate", "3"))
		wantErr(t, "rotated before", err, apikey.ErrConflict)
		wantSame(t, "no record", none, apikey.Record{})
		wantSame(t, "audit", actions(t, s), []string{"key.rotate " + old.ID})
		wantSame(t, "keys", count(t, s, "api_keys"), 2)
	})
}

func TestOfRacingRotationsOneWins(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		old := addKey(t, s, newKey("sub:ann", start))
		var won, lost atomic.Int32
		together(50, func(i int) {
			next := newKey("sub:ann", start)
			_, err := stores[i%2].RotateKey(t.Context(), deprecated(old, next.ID), next, Idempotency{}, noted("key.rotate", old.ID))
			switch err {
			case nil:
				won.Add(1)
			case apikey.ErrConflict:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || lost.Load() != 49 || count(t, s, "api_keys") != 2 || count(t, s, "audit_log") != 1 {
			t.Errorf("%d won, %d lost, %d keys", won.Load(), lost.Load(), count(t, s, "api_keys"))
		}
	})
}

func TestImportKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		there := addKey(t, s, newKey("sub:ann", start))
		run(t, s, "DELETE FROM changes")
		var all []apikey.Record
		for i := range 250 {
			r := newKey("sub:bob", start.Add(time.Duration(i)*time.Second))
			r.HashBy = apikey.ImportedSHA256
			all = append(all, r)
		}
		twice, known := all[7], newKey("sub:bob", start)
		twice.ID, known.Hash = "key_twice", there.Hash
		has, err := s.HasImported(t.Context())
		wantSame(t, "imported ones before", fmt.Sprint(has, err), "false <nil>")
		n, err := s.ImportKeys(t.Context(), append(all, twice, known), noted("key.import", ""))
		wantSame(t, "added", fmt.Sprint(n, err), "250 <nil>")
		has, err = s.HasImported(t.Context())
		wantSame(t, "imported ones", fmt.Sprint(has, err), "true <nil>")
		got, err := s.Key(t.Context(), there.ID)
		must(t, err)
		wantSame(t, "what was there", got, there)
		got, err = s.ByHash(t.Context(), [][32]byte{all[249].Hash})
		must(t, err)
		wantSame(t, "an imported one", got, all[249])
		wantSame(t, "changes", len(changes(t, s)), 250)
		wantSame(t, "audit", actions(t, s), []string{"key.import "})

		fresh := newKey("sub:eve", start)
		double := newKey("sub:eve", start)
		double.ID = there.ID // another key's
		n, err = s.ImportKeys(t.Context(), []apikey.Record{fresh, double}, noted("key.import", ""))
		wantErr(t, "one is not possible", err, session.ErrUnavailable)
		wantSame(t, "added, keys", []int{n, count(t, s, "api_keys"), count(t, s, "audit_log")}, []int{0, 251, 1})
	})
}

// TestOtherProcessesHearOfChangedKeys follows a store that another one writes to.
func TestOtherProcessesHearOfChangedKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		l, _ := follow(t, open(t, Config{URL: url, Poll: 5 * time.Millisecond}))
		l.lived(t)
		r := addKey(t, s, newKey("sub:ann", start))
		l.until(t, "heard of the new key", func() bool { return l.heard(ofKey(r.ID)) == 1 })
		r.RevokedAt = start
		_, err := s.ChangeKey(t.Context(), r, Journal{})
		must(t, err)
		l.until(t, "heard of its end", func() bool { return l.heard(ofKey(r.ID)) == 2 })
	})
}
