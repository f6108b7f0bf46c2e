package oidctest

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

//go:embed provider/provider.mjs
var providerScript []byte

// NodeConfig describes a provider in a process of its own.
type NodeConfig struct {
	Clients []Client
	Users   map[string]Claims // by subject, which is also the name to sign in with

	// ClaimsInIDToken puts e-mail and names into the ID token. Otherwise they are
	// at userinfo alone, as OpenID Connect has it for the code flow.
	ClaimsInIDToken bool
}

// A NodeProvider is the npm package oidc-provider, a certified OpenID Connect
// provider, in a process of its own. It has a form with a user name and any
// password, remembers who signed in with a cookie, rotates refresh tokens, asks
// before it signs out and sends logout tokens.
type NodeProvider struct {
	URL string // the issuer

	t   testing.TB
	cfg NodeConfig
	run *nodeRun
}

// A nodeRun is one process.
type nodeRun struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
	log    *safeBuffer
}

// StartNode starts a provider, which ends with the test; its log is shown when
// the test has failed. Without Node.js or the package the test is skipped, and
// fails in continuous integration.
func StartNode(t testing.TB, cfg NodeConfig) *NodeProvider {
	t.Helper()
	n := &NodeProvider{t: t, cfg: cfg}
	t.Cleanup(n.stop)
	n.start("0")
	return n
}

// Restart ends the process and starts another at the same address: with new
// keys, and without anything that the old one knew of sign-ins.
func (n *NodeProvider) Restart() {
	n.t.Helper()
	u, err := url.Parse(n.URL)
	if err != nil {
		n.t.Fatal(err)
	}
	n.stop()
	n.start(u.Port())
}

// SetUsers replaces the users. Whoever is gone is refused when tokens are
// renewed.
func (n *NodeProvider) SetUsers(users map[string]Claims) {
	n.t.Helper()
	n.cfg.Users = users
	n.run.send(n.t, Claims{"users": users})
}

func (n *NodeProvider) start(port string) {
	n.t.Helper()
	node, folder := findNode(n.t)
	script := filepath.Join(n.t.TempDir(), "provider.mjs")
	if err := os.WriteFile(script, providerScript, 0o600); err != nil {
		n.t.Fatal(err)
	}
	run, err := begin(exec.Command(node, script, folder))
	if err != nil {
		n.t.Fatal(err)
	}
	n.run = run
	number, err := strconv.Atoi(port)
	if err != nil {
		n.t.Fatal(err)
	}
	ready := n.run.send(n.t, Claims{
		"port": number, "users": n.cfg.Users, "clients": registrations(n.cfg.Clients), "claimsInIDToken": n.cfg.ClaimsInIDToken,
	})
	n.URL = strings.TrimPrefix(ready, "ready ")
}

func (n *NodeProvider) stop() {
	if n.run == nil { // it was never started
		return
	}
	n.run.input.Close()
	if err := n.run.cmd.Wait(); err != nil {
		n.t.Errorf("oidc-provider: %v", err)
	}
	if n.t.Failed() {
		n.t.Logf("oidc-provider wrote:\n%s", n.run.log)
	}
}

func begin(cmd *exec.Cmd) (*nodeRun, error) {
	r := &nodeRun{cmd: cmd, log: new(safeBuffer)}
	cmd.Stderr = r.log
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.input, r.output = input, bufio.NewScanner(output)
	return r, cmd.Start()
}

// send writes one line to the process and returns the line that it answers.
func (r *nodeRun) send(t testing.TB, v any) string {
	t.Helper()
	if _, err := fmt.Fprintf(r.input, "%s\n", marshal(v)); err != nil {
		t.Fatalf("oidc-provider: %v\n%s", err, r.log)
	}
	if !r.output.Scan() {
		t.Fatalf("oidc-provider has ended: %v\n%s", r.output.Err(), r.log)
	}
	return r.output.Text()
}

// registrations are the clients in the words of OpenID Connect Dynamic Client
// Registration 1.0.
func registrations(clients []Client) []Claims {
	list := make([]Claims, 0, len(clients))
	for _, c := range clients {
		r := Claims{
			"client_id": c.ID, "redirect_uris": c.RedirectURLs,
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"post_logout_redirect_uris": append([]string{}, c.PostLogoutRedirectURLs...),
		}
		if c.Secret != "" {
			r["client_secret"] = c.Secret
		}
		if c.BackchannelURI != "" {
			r["backchannel_logout_uri"] = c.BackchannelURI
			r["backchannel_logout_session_required"] = true
		}
		maps.Copy(r, c.Metadata)
		list = append(list, r)
	}
	return list
}

// findNode returns the paths of Node.js and of the folder with the package. The
// environment can name the latter.
func findNode(t testing.TB) (node, folder string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "Node.js 20 or newer is missing: install the package nodejs")
	}
	folder = os.Getenv("WAVEGATE_OIDC_PROVIDER")
	if folder == "" {
		folder = filepath.Join(root(t), ".tools", "oidc-provider")
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err != nil {
		missing(t, "the npm package oidc-provider is missing: install the packages nodejs and npm, then run `make deps`")
	}
	return node, folder
}

// root returns the folder of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, found := os.Stat(filepath.Join(dir, "go.mod")); found == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod in any folder above")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

func missing(t testing.TB, text string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// A safeBuffer is written by a process and read by its test.
type safeBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
