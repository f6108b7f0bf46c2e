package oauthtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// program is wavegate as it is shipped, built by TestMain.
var program string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "wavegate-built-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program = filepath.Join(dir, "wavegate")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "wavegate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of the time they wait for other programs, and for devices that poll
		return 0, err
	}
	return m.Run(), nil
}

// policyText lets ada do what the apps of these tests ask for, and apps register
// themselves.
const policyText = `
upstreams:
  - {route: /api, url: "static://200"}
scopes:
  api:read: {description: Read the measurements, risk: low, endpoints: [GET /api/*]}
  api:write: {description: Change the measurements, risk: high, endpoints: [POST /api/*]}
oauth: {registration: {enabled: true}}
roles:
  observer: {scopes: [api:read, api:write], members: ["local|ada"]}
`

// A gate is a running wavegate with an access key and the user ada.
type gate struct {
	url         string // its issuer
	dir         string // where it was started
	keyID       string
	keySecret   string
	adaPassword string
}

// startGate starts wavegate at an address of this host name, "127.0.0.1" or
// "localhost": a browser keeps the cookies of the two apart. More may come on the
// command line than what every gate has.
func startGate(t *testing.T, host string, args func(origin string) []string) *gate {
	t.Helper()
	g := &gate{dir: t.TempDir()}
	key := regexp.MustCompile(`_ID=(\w+)\n.*_SECRET=(\w+)`).FindStringSubmatch(g.run(t, "-create-access-key"))
	if key == nil {
		t.Fatal("-create-access-key printed no key")
	}
	g.keyID, g.keySecret = key[1], key[2]
	g.adaPassword = strings.TrimSpace(g.run(t, "--create-user", "ada", "--generate"))
	for range 3 { // somebody else may be quicker to take the port
		port := freePort(t)
		g.url = "http://" + host + ":" + port
		line := []string{"--listen", "127.0.0.1:" + port, "--public-url", g.url, "--policy", write(t, g.dir, "policy.yaml", policyText)}
		if args != nil {
			line = append(line, args(g.url)...)
		}
		if g.serve(t, line) {
			return g
		}
	}
	t.Fatal("wavegate does not start")
	return nil
}

// run runs wavegate until it ends by itself, and returns what it printed.
func (g *gate) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = g.dir, []string{"HOME=" + g.dir}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wavegate %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// serve runs wavegate until the end of the test, and reports whether it listens.
func (g *gate) serve(t *testing.T, args []string) bool {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = g.dir, []string{"HOME=" + g.dir}
	p := begin(t, cmd)
	err := p.wait(func(p *process) bool { return strings.Contains(p.log.String(), `"msg":"listening"`) })
	t.Cleanup(func() {
		if code := p.stop(t); code != 0 && err == nil {
			t.Errorf("wavegate ended with %v", cmd.ProcessState)
		}
	})
	if err != nil {
		t.Logf("wavegate %s: %v\n%s", strings.Join(args, " "), err, &p.log)
	}
	return err == nil
}

// newClient registers a client with the access key, and returns its credentials.
func (g *gate) newClient(t *testing.T, registration map[string]any) credentials {
	t.Helper()
	body, err := json.Marshal(registration)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/v1/auth/clients", bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(g.keyID, g.keySecret)
	var answer struct {
		Client struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
	}
	if status := fetch(t, req, &answer); status != http.StatusCreated {
		t.Fatalf("POST /v1/auth/clients with %s answers %d", body, status)
	}
	return credentials{answer.Client.ID, answer.Client.Secret}
}

// freePort returns a loopback port that nobody uses. It is one below those that the
// kernel gives to whoever asks for port 0.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + randv2.IntN(22000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
