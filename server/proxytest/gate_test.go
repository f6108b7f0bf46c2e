//go:build linux

package proxytest

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
	"wavegate/server"
)

// policyText is what the scenarios are decided by. Nothing is proxied by
// wavegate itself: the targets are fixed answers.
const policyText = `
upstreams:
  - {route: app.example.com, url: "static://404", identity_headers: [wave, remote], unlisted: allow}
  - {route: app.example.com/public, url: "static://404", access: public}
  - {route: app.example.com/admin, url: "static://404", identity_headers: [wave, remote], require: {scopes: [admin]}}
  - {route: open.example.com, url: "static://404", access: public}
scopes:
  admin: {description: Everything, risk: high}
  look: {description: Read, risk: low, endpoints: ["GET /live"]}
  live: {description: Watch, risk: low, endpoints: ["WS /live"]}
access_keys:
  reader: {scopes: [look]}
  listener: {scopes: [live]}
  watcher: {scopes: [look, live]}
`

// keys are the access keys of the keychain: "secret" is the secret of each.
// boss is not named in the policy and so holds every scope.
var keys = []string{"reader", "listener", "watcher", "boss"}

// A gate is a running wavegate.
type gate struct {
	t    *testing.T
	addr string
	log  *lockedBuffer
	stop func()
}

// startGate starts a wavegate that trusts 127.0.0.1 to speak for clients.
func startGate(t *testing.T, change ...func(*server.Config)) *gate {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for _, id := range keys {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		lines.WriteString(id + ":" + string(hash) + "\n")
	}
	cfg := server.Config{
		Listen: "127.0.0.1:0", DataDir: filepath.Join(dir, "data"), ForwardHeaders: []string{"*"},
		MaxRequestSize: 5 << 20, ShutdownTimeout: 5 * time.Second,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Keychain:       keychain.Config{Path: writeFile(t, filepath.Join(dir, "keychain"), lines.String()), Required: true},
		PolicyFile:     writeFile(t, filepath.Join(dir, "policy.yaml"), policyText),
	}
	for _, c := range change {
		c(&cfg)
	}
	return runGate(t, cfg)
}

func runGate(t *testing.T, cfg server.Config) *gate {
	t.Helper()
	log := &lockedBuffer{}
	s, err := server.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	g := &gate{t: t, addr: s.Addr().String(), log: log}
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("wavegate: %v", err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

// lastRequest returns the newest line of the request log for a path.
func (g *gate) lastRequest(path string) map[string]any {
	g.t.Helper()
	found := map[string]any{}
	for line := range strings.Lines(g.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			g.t.Errorf("log line %q: %v", line, err)
		}
		if m["msg"] == "request" && m["path"] == path {
			found = m
		}
	}
	return found
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a loopback port that nobody uses. A proxy's configuration
// wants a number, and port 0 is no number to connect to: so it is one below
// those that the kernel gives to whoever asks for port 0.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(22000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
}

// A lockedBuffer is a log that tests read while others write.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
