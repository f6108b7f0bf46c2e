package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/store/storetest"
)

// loadKeys makes a million keys of 10,000 people in one transaction.
func loadKeys(b *testing.B, s *Store) {
	b.Helper()
	must(b, s.reads.Close()) // no reader is in the way of the log's end
	_, err := s.writes.ExecContext(b.Context(), fmt.Sprintf(`INSERT INTO api_keys (`+keyColumns+`, search)
		WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT 'key_' || lower(hex(randomblob(13))), randomblob(32), '12ab34cd', 'wave_live_' || lower(hex(randomblob(4))), 'key_' || i,
			'CI', '', 'live', 'developer', '["streams:read"]', '[]', '', '', 0, 0, 0, 'sub:' || (i %% 10000), '',
			%[2]d + i, %[2]d + 100000000 + i, 0, 0, 0, '', 1, 'ci'
		FROM n`, million-1, start.UnixMilli()))
	must(b, err)
	must(b, s.writes.Close())
}

// BenchmarkMillionKeys is about a SQLite file of a million keys: opening it, the
// first use of a key that is in no memory, a wrong key, and a list.
func BenchmarkMillionKeys(b *testing.B) {
	url := storetest.SQLite(b)
	s, err := Open(b.Context(), Config{URL: url})
	must(b, err)
	loadKeys(b, s)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), Config{URL: url})
			must(b, err)
			must(b, s.Close())
		}
	})
	s = open(b, Config{URL: url})
	hashes := sampleKeys(b, s)
	b.Run("first use", func(b *testing.B) {
		i := 0
		for b.Loop() {
			_, err := s.ByHash(b.Context(), [][32]byte{hashes[i%len(hashes)], newHash()})
			must(b, err)
			i++
		}
	})
	b.Run("wrong key", func(b *testing.B) {
		for b.Loop() {
			_, err := s.ByHash(b.Context(), [][32]byte{newHash(), newHash()})
			wantErr(b, "wrong", err, apikey.ErrNotFound)
		}
	})
	b.Run("list of an owner", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Keys(b.Context(), KeyFilter{Owner: "sub:77"}, start, "", 50)
			must(b, err)
		}
	})
}

// sampleKeys returns the hashes of 1,000 of the keys, from all over the table.
func sampleKeys(t testing.TB, s *Store) [][32]byte {
	t.Helper()
	var hashes [][32]byte
	must(t, s.read(context.Background(), "sample", func(ctx context.Context, c conn) (err error) {
		hashes, err = list(ctx, c, func(row scanner) (h [32]byte, err error) {
			var raw []byte
			err = row.Scan(&raw)
			copy(h[:], raw)
			return h, err
		}, "SELECT hash FROM api_keys WHERE rowid % 1000 = 2")
		return err
	}))
	return hashes
}

func BenchmarkKeys(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		s := open(b, Config{URL: url(b)})
		r, err := s.AddKey(b.Context(), newKey("sub:ann", start), Idempotency{}, Journal{})
		must(b, err)
		b.Run("ByHash/"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.ByHash(b.Context(), [][32]byte{r.Hash, newHash()})
				must(b, err)
			}
		})
		b.Run("AddKey/"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.AddKey(b.Context(), newKey("sub:ann", start), Idempotency{}, noted("key.create", "x"))
				must(b, err)
			}
		})
		b.Run("Draw/"+name, func(b *testing.B) {
			for b.Loop() {
				_, _, err := s.Draw(b.Context(), r.ID, "ops", 1<<60, 10, start)
				must(b, err)
			}
		})
		b.Run("Note/"+name, func(b *testing.B) {
			for b.Loop() {
				must(b, s.Note(b.Context(), noted("credential.refused", "")))
			}
		})
		b.Run("ImportKeys of 1000/"+name, func(b *testing.B) {
			for b.Loop() {
				all := make([]apikey.Record, 1000)
				for i := range all {
					all[i] = newKey("sub:ann", start.Add(time.Duration(i)))
				}
				_, err := s.ImportKeys(b.Context(), all, Journal{})
				must(b, err)
			}
		})
	}
}
