//go:build linux

package bench

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wavegate/server/store"
)

// A population is how many sessions are stored.
type population struct {
	sessions, users int
	used            int // sessions of which the cookies are known
	expired         int
}

func (p plan) population() population {
	if p.full {
		return population{sessions: 1_000_000, users: 100_000, used: 20_000, expired: 100_000}
	}
	return population{sessions: 1000, users: 100, used: 20, expired: 600}
}

// benchStored measures the program with many sessions in its store: start and
// memory, the first use of a session, and the removal of those that expired.
func benchStored(t *testing.T, p plan, tb *table, binary string, upstream process) {
	guard, pop := writeGuard(t, upstream.addr, p.cost), p.population()
	writePeople(t, guard)
	file := filepath.Join(t.TempDir(), "sessions.db")
	t.Run("first session", func(t *testing.T) { // in a test of its own, so that the program ends
		signIn(t, startGate(t, binary, guard, "sqlite:"+file).process)
	})
	cookies := fill(t, file, pop)
	size, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	tb.notes = append(tb.notes, fmt.Sprintf("%d stored sessions of %d users are a file of %d MB.", pop.sessions, pop.users, size.Size()>>20))

	key := get("/v1/streams/str_1", keyID, keySecret)
	var starts, memory []float64
	if p.full {
		t.Run("starts", func(t *testing.T) {
			for range 7 {
				d := startGate(t, binary, guard, "sqlite:"+file)
				newFleet(t, target{name: "wavegate", process: d.process, request: key, answer: upstreamBody}, 1)
				starts = append(starts, time.Since(d.started).Seconds())
				memory = append(memory, d.residentMB(t))
			}
		})
		tb.atMost("with 1M stored sessions: start to the first guarded answer", spreadOf(starts).median, 0.3, "%.2f s")
		tb.atMost("memory then", spreadOf(memory).median, 30, "%.0f MB")
	}
	t.Run("uses", func(t *testing.T) { benchUses(t, tb, startGate(t, binary, guard, "sqlite:"+file), cookies) })
	benchSweep(t, tb, file, pop)
}

// benchUses asks with each session twice, on one connection: the first time it
// is read from the store, the second time it is remembered.
func benchUses(t *testing.T, tb *table, gate daemon, cookies []string) {
	c, err := dial(gate.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	var rounds [2][]float64 // milliseconds
	for i := range rounds {
		for _, cookie := range cookies {
			request := visit("/v1/streams/str_1", "wavegate="+cookie)
			begin := time.Now()
			if got := c.ask(t, request); !strings.HasSuffix(got, upstreamBody) {
				t.Fatalf("answered\n%s", got)
			}
			rounds[i] = append(rounds[i], time.Since(begin).Seconds()*1000)
		}
	}
	first, again := slices.Sorted(slices.Values(rounds[0])), slices.Sorted(slices.Values(rounds[1]))
	n := len(cookies)
	tb.atMost("request with a session that has to be looked up, median", first[n/2], 2, "%.2f ms")
	tb.atMost("its p99", first[n*99/100], 10, "%.2f ms")
	tb.add(row{what: "for comparison: with one that is remembered, median", measured: fmt.Sprintf("%.2f ms", again[n/2])})
	if n > 1000 {
		tb.add(row{what: fmt.Sprintf("memory with %d sessions in use", n), measured: fmt.Sprintf("%.0f MB", gate.residentMB(t))})
	}
}

// benchSweep removes expired sessions in the batches in which the program does.
// Nobody can sign in while a batch is removed, so its time counts.
func benchSweep(t *testing.T, tb *table, file string, pop population) {
	expire(t, file, pop.expired)
	s, err := store.Open(context.Background(), store.Config{URL: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var batches []float64 // milliseconds
	for swept, n := 0, 1; n > 0; swept += n {
		begin := time.Now()
		n, err = s.Sweep(context.Background(), time.UnixMilli(farPast+1), time.Time{}, 500)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			batches = append(batches, time.Since(begin).Seconds()*1000)
		} else if swept != pop.expired {
			t.Fatalf("%d sessions were swept, want %d", swept, pop.expired)
		}
	}
	slices.Sort(batches)
	total := 0.0
	for _, ms := range batches {
		total += ms
	}
	tb.add(row{what: fmt.Sprintf("sweep of %d expired sessions", pop.expired), measured: fmt.Sprintf("%.1f s of work", total/1000)})
	tb.add(row{what: "its batches of 500, median and p99", measured: fmt.Sprintf("%.0f and %.0f ms", batches[len(batches)/2], batches[len(batches)*99/100])})
}

// farPast is when expired sessions ended, in milliseconds.
const farPast = 1_000_000

// expire lets sessions that nobody used end long ago: here and there, as they do.
func expire(t *testing.T, file string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const some = "(SELECT rowid FROM sessions WHERE provider = 'main' ORDER BY id LIMIT ?)"
	if _, err := db.Exec("UPDATE sessions SET expires_at = ? WHERE rowid IN "+some, farPast, n); err != nil {
		t.Fatal(err)
	}
}

// fill copies the one session in the store until there are as many as pop says,
// and returns the cookies of some.
func fill(t *testing.T, file string, pop population) (cookies []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	do := func(query string, args ...any) {
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	indices := column(t, tx, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'sessions' AND sql IS NOT NULL")
	for _, name := range column(t, tx, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'sessions' AND sql IS NOT NULL") {
		do("DROP INDEX " + name) // made anew below, which is much faster than row by row
	}
	const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
	do("CREATE TEMP TABLE one AS SELECT * FROM sessions")
	do("INSERT INTO users (id, provider, issuer, subject, username, email, group_list, created_at, seen_at) "+numbers+
		`SELECT printf('usr_%026d', i), 'main', 'https://id.example.com', i, 'user' || i, 'user' || i || '@example.com', '["staff"]', u.created_at, u.seen_at FROM n, users u`, pop.users)
	// Ages of up to 10 minutes, so that none is idle for too long. Hashes and
	// names begin with a number that grows, so that they go to the end of their index.
	const add = "INSERT INTO sessions (hash, id, client_id, user_id, provider, issuer, subject, sid, stamp, username, email, group_list, sealed, version, renew_at, created_at, seen_at, expires_at, ip, user_agent) "
	const rest = "version, renew_at, created_at - abs(random()) % 600000, seen_at - abs(random()) % 600000, expires_at, ip, user_agent FROM "
	do(add+numbers+`SELECT unhex(printf('%08x', i * 4000) || hex(randomblob(28))), printf('ses_%08x', i) || lower(hex(randomblob(9))), hex(randomblob(13)),
		printf('usr_%026d', 1 + abs(random()) % ?), 'main', 'https://id.example.com', i, hex(randomblob(8)), '', 'user' || i, 'user' || i || '@example.com',
		'["staff"]', randomblob(1000), `+rest+"n, one", pop.sessions-pop.used-1, pop.users)
	own, err := tx.Prepare(add + "SELECT ?, ?, client_id, user_id, provider, issuer, subject, sid, stamp, username, email, group_list, sealed, " +
		rest + "one")
	if err != nil {
		t.Fatal(err)
	}
	for i := range pop.used {
		cookie, hash, id := numbered(i)
		if _, err := own.Exec(hash, id); err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, cookie)
	}
	for _, index := range indices {
		do(index)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	return cookies
}

// column returns the texts that a query gives.
func column(t *testing.T, tx *sql.Tx, query string) (texts []string) {
	t.Helper()
	rows, err := tx.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return texts
}

// numbered returns the cookie of a session, and under what it is stored.
func numbered(i int) (cookie string, hash []byte, id string) {
	seed := sha256.Sum256(fmt.Append(nil, "session ", i))
	cookie = base32.StdEncoding.EncodeToString(seed[:])[:26]
	sum := sha256.Sum256([]byte(cookie))
	return cookie, sum[:], "ses_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
