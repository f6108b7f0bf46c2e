package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/server/session"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error is %v, want %v", got, want)
	}
}

// secretKey is a key of 32 equal bytes.
func secretKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// newManager makes a Manager whose settings may be changed before.
func newManager(t testing.TB, s session.Store, change func(*session.Config)) *session.Manager {
	t.Helper()
	cfg := session.Config{Keys: [][]byte{secretKey(1)}}
	if change != nil {
		change(&cfg)
	}
	m, err := session.New(cfg, s)
	must(t, err)
	return m
}

// run runs a Manager and returns what ends it, which also happens at the end of
// the test.
func run(t testing.TB, m *session.Manager) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// person is a login of somebody at a provider.
func person(name string) session.Login {
	return session.Login{
		Provider: "corp", Issuer: "https://idp.example.com", Subject: "sub-" + name, SID: "sid-" + name,
		Claims: session.Claims{Username: name, Email: name + "@example.com", Groups: []string{"staff"}},
		Tokens: session.Tokens{ID: "idtoken-" + name, Access: "access-" + name, Refresh: "refresh-" + name},
		IP:     "192.0.2.1", UserAgent: "Browser/1",
	}
}

func signIn(t testing.TB, m *session.Manager, l session.Login) (string, *session.Session) {
	t.Helper()
	cookie, s, err := m.SignIn(t.Context(), l)
	must(t, err)
	return cookie, s
}

func hashOf(cookie string) session.Hash { return sha256.Sum256([]byte(cookie)) }

// eventually waits for a condition, and fails when it does not come true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

func isEnded(ctx context.Context) bool { return ctx.Err() != nil }

// collect runs the garbage collector until a condition is true.
func collect(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		runtime.GC()
		return ok()
	})
}

// noLeak fails the test when goroutines of this package are left at its end.
func noLeak(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		eventually(t, "all goroutines of the package end", func() bool {
			buf := make([]byte, 1<<20)
			return !strings.Contains(string(buf[:runtime.Stack(buf, true)]), "session.(*Manager)")
		})
	})
}

// logBuffer collects a log.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// down makes a faulty store fail while it is set.
type down struct{ set atomic.Bool }

func (d *down) before(context.Context, string) error {
	if d.set.Load() {
		return errDown
	}
	return nil
}
