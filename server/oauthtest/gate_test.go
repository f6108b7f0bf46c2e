package oauthtest

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wavegate/server/gatetest"
)

// program is wavegate as it is shipped, built by TestMain.
var program gatetest.Program

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of the time they wait for other programs, and for devices that poll
		panic(err)
	}
	gatetest.Main(m, &program)
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
	g.serve(t, host, func(origin string) []string {
		line := []string{"--policy", write(t, g.dir, "policy.yaml", policyText)}
		if args != nil {
			line = append(line, args(origin)...)
		}
		return line
	})
	return g
}

// run runs wavegate until it ends by itself, and returns what it printed.
func (g *gate) run(t *testing.T, args ...string) string {
	t.Helper()
	return program.Run(t, g.dir, args...)
}

// serve runs wavegate until the end of the test, at an address of a host name.
func (g *gate) serve(t *testing.T, host string, args func(origin string) []string) {
	t.Helper()
	program.Serve(t, g.dir, func(port string) []string {
		g.url = "http://" + host + ":" + port
		return append([]string{"--listen", "127.0.0.1:" + port, "--public-url", g.url}, args(g.url)...)
	})
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
