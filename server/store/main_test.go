package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wavegate/server/audit"
	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// TestMain runs the tests, or is one of the processes that they start.
func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_ROLE"); role != "" {
		playRole(role, os.Getenv("STORE_TEST_URL"))
		return
	}
	flag.Set("rapid.nofailfile", "true") // nothing is written into the source tree
	storetest.Main(m)
}

// start is when the time of the tests begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testChain is the chain of every store of the tests.
func testChain() *audit.Chain {
	chain, err := audit.NewChain([][]byte{bytes.Repeat([]byte("s"), 32)})
	if err != nil {
		panic(err)
	}
	return chain
}

// open opens a store that is closed with the test.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Chain == nil {
		cfg.Chain = testChain()
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, s *Store, url string)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) { f(t, open(t, Config{URL: url}), url) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}

func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func newHash() (h session.Hash) {
	rand.Read(h[:])
	return h
}

// newRecord is a session of a person, begun at a time.
func newRecord(subject string, at time.Time) session.Record {
	id := strings.ToLower(rand.Text())
	return session.Record{
		ID: "ses_" + id, Hash: sha256.Sum256([]byte(id)), ClientID: "client-" + id,
		Provider: "google", Issuer: "https://idp.example.com", Subject: subject, SID: "sid-" + subject,
		Claims:  session.Claims{Username: subject, Email: subject + "@example.com", Groups: []string{"eng", "on call, weekends"}},
		Sealed:  []byte{0, 1, 2, 255},
		Version: 1, RenewAt: at.Add(time.Hour), CreatedAt: at, SeenAt: at, ExpiresAt: at.Add(24 * time.Hour),
		IP: "2001:db8::1", UserAgent: "Mozilla/5.0",
	}
}

// signIn stores a session and returns it as it then is.
func signIn(t testing.TB, s *Store, r session.Record) session.Record {
	t.Helper()
	u, err := s.SignIn(t.Context(), r, session.Hash{}, time.Time{})
	must(t, err)
	r.UserID = u.ID
	return r
}

// there returns which of the sessions are in the store.
func there(t testing.TB, s *Store, records ...session.Record) []bool {
	t.Helper()
	found := make([]bool, len(records))
	for i, r := range records {
		_, err := s.Session(t.Context(), r.Hash)
		if err != nil {
			wantErr(t, "look up", err, session.ErrNoSession)
		}
		found[i] = err == nil
	}
	return found
}

// ids are the public names of records.
func ids(records []session.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.ID)
	}
	return all
}

// together runs fn in n goroutines that start at once.
func together(n int, fn func(i int)) {
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-gate
			fn(i)
		})
	}
	close(gate)
	all.Wait()
}

// count asks how many rows a condition has.
func count(t testing.TB, s *Store, from string, args ...any) int {
	t.Helper()
	n := 0
	must(t, s.read(context.Background(), "count", func(ctx context.Context, c conn) error {
		return c.row(ctx, "SELECT count(*) FROM "+from, args...).Scan(&n)
	}))
	return n
}

// run runs a statement of the test's own.
func run(t testing.TB, s *Store, statement string, args ...any) int {
	t.Helper()
	n := 0
	must(t, s.write(context.Background(), "test", func(ctx context.Context, c conn) (err error) {
		n, err = c.exec(ctx, statement, args...)
		return err
	}))
	return n
}
