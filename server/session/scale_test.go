package session_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"wavegate/server/session"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
)

// BenchmarkMillionSessions has a million sessions in the store and a hundred
// thousand in memory.
func BenchmarkMillionSessions(b *testing.B) {
	const stored, used = 1_000_000, 100_000
	url := storetest.SQLite(b)
	s, err := store.Open(b.Context(), store.Config{URL: url})
	must(b, err)
	b.Cleanup(func() { must(b, s.Close()) })
	big := func(c *session.Config) { c.CacheBytes = 1 << 30 }
	_, first := signIn(b, newManager(b, s, big), person("ann"))
	cookies := multiply(b, strings.TrimPrefix(url, "sqlite:"), first.Record().ID, stored)[:used]

	m := newManager(b, s, big)
	ctx := b.Context()
	b.Run("first use", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, err := m.Get(ctx, cookies[i%used]); err != nil {
				b.Fatal(err)
			}
			if i++; i%used == 0 { // all are remembered
				m = newManager(b, s, big)
			}
		}
	})
	m = newManager(b, s, big)
	before := heap()
	for _, c := range cookies {
		if _, err := m.Get(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
	each := float64(heap()-before) / used
	_, weighed := m.Remembered()
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := m.Get(ctx, cookies[i%used]); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
		b.ReportMetric(each, "B/session")
		b.ReportMetric(float64(weighed)/used, "B/session-weighed")
	})
	runtime.KeepAlive(m)
}

// multiply copies a session in a SQLite file until there are n, and returns their
// cookies.
func multiply(b *testing.B, path, id string, n int) (cookies []string) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	must(b, err)
	defer db.Close()
	tx, err := db.BeginTx(b.Context(), nil)
	must(b, err)
	defer func() { must(b, tx.Commit()) }()
	const same = `client_id, user_id, provider, issuer, subject, sid, stamp, username, email, group_list, sealed, version,
		renew_at, created_at, seen_at, expires_at, ip, user_agent`
	insert, err := tx.PrepareContext(b.Context(), "INSERT INTO sessions (id, hash, "+same+") SELECT ?, ?, "+same+" FROM sessions WHERE id = ?")
	must(b, err)
	for i := range n {
		cookie := rand.Text()
		h := hashOf(cookie)
		_, err := insert.ExecContext(b.Context(), fmt.Sprintf("ses_%026d", i), h[:], id)
		must(b, err)
		cookies = append(cookies, cookie)
	}
	return cookies
}

// BenchmarkWatch is what Run does each second with a hundred thousand sessions.
func BenchmarkWatch(b *testing.B) {
	m := newManager(b, newFaulty(), func(c *session.Config) { c.CacheBytes = 1 << 30 })
	for range 100_000 {
		_, _, err := m.SignIn(b.Context(), person("ann"))
		must(b, err)
	}
	for b.Loop() {
		m.Watch()
	}
}
