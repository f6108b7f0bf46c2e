package store

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

const (
	million = 1_000_000
	dead    = 100_000 // of them, which a sweep removes
)

// load makes a million sessions of 10,000 people in one transaction.
func load(b *testing.B, s *Store) {
	b.Helper()
	must(b, s.reads.Close()) // no reader is in the way of the log's end
	tx, err := s.writes.BeginTx(b.Context(), nil)
	must(b, err)
	defer tx.Rollback()
	for _, statement := range []string{
		`INSERT INTO users (id, provider, issuer, subject, username, email, group_list, created_at, seen_at)
			WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
			SELECT 'usr_' || i, 'idp', 'https://idp.example.com', 'subject-' || i, 'user ' || i, 'user' || i || '@example.com', '["eng"]', i, i FROM n`,
		fmt.Sprintf(`INSERT INTO sessions (hash, id, client_id, user_id, provider, issuer, subject, sid, stamp, username, email, group_list,
				sealed, version, renew_at, created_at, seen_at, expires_at, ip, user_agent)
			WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			SELECT randomblob(32), 'ses_' || lower(hex(randomblob(13))), lower(hex(randomblob(13))), 'usr_' || (i %% 10000), 'idp',
				'https://idp.example.com', 'subject-' || (i %% 10000), 'sid-' || i, '', 'user', 'user@example.com', '["eng"]',
				randomblob(500), 1, 0, %d + i, %[2]d + i, CASE WHEN i %% %d = 0 THEN 1 ELSE %[2]d + 100000000 + i END, '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64)'
			FROM n`, million-1, start.UnixMilli(), million/dead),
	} {
		_, err := tx.ExecContext(b.Context(), statement)
		must(b, err)
	}
	must(b, tx.Commit())
	must(b, s.writes.Close())
}

// BenchmarkMillionSessions is about a SQLite file of a million sessions: opening
// it, looking one up that is in no memory, sweeping 100,000 that expired, and
// the memory of a process that did the first two.
func BenchmarkMillionSessions(b *testing.B) {
	url := storetest.SQLite(b)
	s, err := Open(b.Context(), Config{URL: url})
	must(b, err)
	load(b, s)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), Config{URL: url})
			must(b, err)
			must(b, s.Close())
		}
	})
	b.Run("lookup", func(b *testing.B) {
		s := open(b, Config{URL: url})
		hashes := sample(b, s)
		i := 0
		for b.Loop() {
			_, err := s.Session(b.Context(), hashes[i%len(hashes)])
			must(b, err)
			i++
		}
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			rss, err := strconv.Atoi(startChild(b, "look", url).line(b))
			must(b, err)
			b.ReportMetric(float64(rss)/1024, "MB")
		}
	})
	b.Run("sweep", func(b *testing.B) {
		s := open(b, Config{URL: url})
		began := time.Now()
		n, err := s.Sweep(b.Context(), start, time.Time{}, dead)
		must(b, err)
		took := time.Since(began)
		if n != dead {
			b.Fatalf("swept %d, want %d", n, dead)
		}
		for b.Loop() { // a second sweep has nothing to do
			_, err := s.Sweep(b.Context(), start, time.Time{}, dead)
			must(b, err)
		}
		b.ReportMetric(took.Seconds(), "s/100k")
		b.ReportMetric(took.Seconds()*1000/(dead/batch), "ms/batch")
	})
}

// sample returns 1,000 of the sessions, from all over the table.
func sample(t testing.TB, s *Store) []session.Hash {
	t.Helper()
	var hashes []session.Hash
	must(t, s.read(context.Background(), "sample", func(ctx context.Context, c conn) (err error) {
		hashes, err = list(ctx, c, func(row scanner) (session.Hash, error) {
			var raw []byte
			if err := row.Scan(&raw); err != nil {
				return session.Hash{}, err
			}
			return parseHash(raw)
		}, "SELECT hash FROM sessions WHERE expires_at > 1 AND rowid % 1000 = 2")
		return err
	}))
	return hashes
}

// look looks up sessions for a second and writes its memory in KB.
func look(s *Store) error {
	hash := session.Hash{}
	for until := time.Now().Add(time.Second); time.Now().Before(until); hash[0]++ {
		list, err := s.Sessions(context.Background(), session.Filter{UserID: fmt.Sprint("usr_", hash[0])}, "", 10)
		if err != nil {
			return err
		}
		for _, r := range list {
			if _, err := s.Session(context.Background(), r.Hash); err != nil {
				return err
			}
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	fmt.Println(strings.Fields(rss)[0])
	return nil
}

func BenchmarkSession(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{URL: url(b)})
			r := signIn(b, s, newRecord("ann", start))
			for b.Loop() {
				_, err := s.Session(b.Context(), r.Hash)
				must(b, err)
			}
		})
	}
}

func BenchmarkSignIn(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{URL: url(b)})
			for b.Loop() {
				_, err := s.SignIn(b.Context(), newRecord("ann", start), newHash(), start)
				must(b, err)
			}
		})
	}
}
