package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/bcrypt"

	"wavegate/oidc/oidctest"
	"wavegate/server/gatetest"
)

// patience is how long something may take that must happen.
const patience = 30 * time.Second

// tests are the tests of this package. The program that some of them built is
// removed when they are over.
type tests struct{ *testing.M }

// Run implements testscript.TestingM.
func (m tests) Run() int {
	code := m.M.Run()
	if err := shipped.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shipped is the program as it is shipped, built for the first test that asks.
var shipped binary

// A binary is built once.
type binary struct {
	once   sync.Once
	built  gatetest.Program
	delete func() error // nil if nobody asked
	err    error
}

func (b *binary) program(t *testing.T) gatetest.Program {
	t.Helper()
	b.once.Do(func() { b.built, b.delete, b.err = gatetest.Build() })
	must(t, b.err)
	return b.built
}

func (b *binary) remove() error {
	if b.delete == nil {
		return nil
	}
	return b.delete()
}

// A site is what the processes of one address share: the app behind them, the
// files, the people and the provider.
type site struct {
	t     *testing.T
	dir   string // every process runs here
	users string // users file: ann, bob and carl, with their names and "-password"
	store string // URL; "" is SQLite in the data folder
	app   *httptest.Server
	idp   *oidctest.Provider // knows dora by her subject 1001
}

func newSite(t *testing.T, store string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), store: store}
	s.users = filepath.Join(s.dir, "users")
	var lines strings.Builder
	for _, name := range []string{"ann", "bob", "carl"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+"-password"), bcrypt.MinCost)
		must(t, err)
		fmt.Fprintf(&lines, "%s:%s\n", name, hash)
	}
	must(t, os.WriteFile(s.users, []byte(lines.String()), 0o600))
	secret := make([]byte, 32)
	rand.Read(secret)
	must(t, os.WriteFile(filepath.Join(s.dir, "secret"), []byte(hex.EncodeToString(secret)+"\n"), 0o600))
	s.app = httptest.NewServer(http.HandlerFunc(serveApp))
	t.Cleanup(s.app.Close)
	s.idp = oidctest.New(t, oidctest.Config{
		Clients: []oidctest.Client{{ID: "wavegate", Secret: "client-secret", RedirectURLs: []string{"http://gate.test/_auth/callback"}}},
		Users:   map[string]oidctest.Claims{"1001": {"preferred_username": "dora"}},
	})
	s.idp.Login("1001")
	return s
}

// serveApp says who asks, and holds WebSockets open.
func serveApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/socket" {
		_, _ = io.WriteString(w, r.Header.Get("Wave-Username"))
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	_, _, _ = c.Read(context.Background()) // until it is closed from there
}

// A gate is a running process, with the access key id:secret, which is an
// administrator's.
type gate struct {
	*gatetest.Process
	t         *testing.T
	transport *http.Transport // to this process, whatever the URL's host
}

// start starts a process of the site.
func (s *site) start(more ...string) *gate {
	s.t.Helper()
	args := []string{
		"--upstream", s.app.URL, "--users-file", s.users, "--admins", "key:id",
		"--secret-file", filepath.Join(s.dir, "secret"), "-oidc-provider-url", s.idp.URL, "-oidc-client-id", "wavegate",
		"-oidc-client-secret", "client-secret", "-oidc-redirect-url", "http://gate.test/_auth/callback",
	}
	if s.store != "" {
		args = append(args, "--store", s.store)
	}
	return launch(s.t, s.dir, append(args, more...)...)
}

// launch starts the program in a folder and waits until it listens. It is
// stopped at the end of the test.
func launch(t *testing.T, dir string, args ...string) *gate {
	t.Helper()
	cmd := shipped.program(t).Command(dir, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(cmd.Env, "WAVEGATE_ACCESS_KEY_ID=id", "WAVEGATE_ACCESS_KEY_SECRET=secret")
	p, err := gatetest.Begin(t, cmd)
	must(t, err)
	g := &gate{Process: p, t: t}
	g.transport = &http.Transport{MaxIdleConnsPerHost: 100, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "gate.test:80" {
			addr = g.Addr
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	t.Cleanup(g.transport.CloseIdleConnections)
	return g
}

// stop ends the process as a service manager does.
func (g *gate) stop() {
	g.t.Helper()
	g.Stop(g.t)
}

// runToEnd runs the program until it ends by itself.
func runToEnd(t *testing.T, dir string, change func(*exec.Cmd), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, string(shipped.program(t)), args...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	cmd.Stdout, cmd.Stderr = &out, &errs
	if change != nil {
		change(cmd)
	}
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || ctx.Err() != nil {
		t.Fatalf("%q: %v\n%s", args, err, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
