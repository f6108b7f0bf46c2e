package portaltest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"wavegate/server/gatetest"
	"wavegate/server/store/storetest"
)

// policyText is that of a small streaming service: the app's URL comes first.
const policyText = `
upstreams:
  - {route: /, url: %[1]q, access: authenticated, unlisted: allow}
  - {route: /public, url: %[1]q, access: public}
  - {route: /v1, url: %[1]q, access: authenticated}
scopes:
  streams:read: {description: See the streams and whether they are live, risk: low, endpoints: [GET /v1/streams, "GET /v1/streams/:id"]}
  streams:write: {description: "Create, change, start and stop streams", risk: medium, endpoints: [POST /v1/streams, "PATCH /v1/streams/:id"]}
  streams:delete: {description: "Delete streams, for good", risk: high, endpoints: ["DELETE /v1/streams/:id"]}
  recordings:read: {description: List and download recordings, risk: low, endpoints: [GET /v1/recordings]}
  recordings:delete: {description: "Delete recordings, for good", risk: high, endpoints: ["DELETE /v1/recordings/:id"]}
  analytics:read: {description: View viewer numbers and reports, risk: low, endpoints: [GET /v1/analytics/*]}
  billing:read: {description: View invoices and the subscription, risk: medium, endpoints: [GET /v1/billing]}
  billing:write: {description: Change the subscription and the ways of payment, risk: high, endpoints: [PUT /v1/billing]}
roles:
  viewer: {scopes: [streams:read, recordings:read, analytics:read]}
  operator: {scopes: [streams:read, streams:write, recordings:read]}
  trial: {scopes: [streams:read]}
  developer:
    scopes: [streams:read, streams:write, streams:delete, recordings:read, recordings:delete, analytics:read, billing:read]
    members: ["local|ada", "local|bob"]
  account_admin: {scopes: ["*"], members: ["local|grace"]}
tiers:
  starter: {requests_per_minute: 60, burst_per_second: 5, concurrent: 2, bandwidth_per_month: 1GB}
  business: {requests_per_minute: 5000, burst_per_second: 1000, concurrent: 100, bandwidth_per_month: 1TB}
defaults: {tier: business}
trial: {enabled: true}
webhooks: {allow_networks: [127.0.0.0/8], allow_http: true}
`

// people are the local users: two developers, and grace, who is an administrator.
func people() []string { return []string{"ada", "bob", "grace"} }

// password is what somebody signs in with.
func password(name string) string { return name + "-password" }

// A gate is a running wavegate with an app behind it.
type gate struct {
	*gatetest.Process
	*site
	url       string // its origin
	dir       string // where it was started; the data folder is data
	storeURL  string // "" is SQLite in the data folder
	keyID     string // of an access key, which is no administrator
	keySecret string
	args      []string
}

// An option changes the gate before it starts.
type option func(*testing.T, *gate)

// onPostgres gives the gate an empty PostgreSQL database.
func onPostgres(t *testing.T, g *gate) {
	t.Helper()
	g.storeURL = storetest.Postgres(t)
}

// with adds arguments to the command line.
func with(args ...string) option {
	return func(_ *testing.T, g *gate) { g.args = append(g.args, args...) }
}

// newGate starts a gate for the test.
func newGate(t *testing.T, options ...option) *gate {
	t.Helper()
	g := &gate{site: newSite(t), dir: t.TempDir()}
	for _, change := range options {
		change(t, g)
	}
	key := regexp.MustCompile(`_ID=(\w+)\n.*_SECRET=(\w+)`).FindStringSubmatch(program.Run(t, g.dir, "-create-access-key"))
	if key == nil {
		t.Fatal("-create-access-key printed no key")
	}
	g.keyID, g.keySecret = key[1], key[2]
	g.write(t, "policy.yaml", fmt.Sprintf(policyText, g.app.URL))
	g.write(t, "users", userLines(t))
	g.start(t)
	return g
}

// start starts the process; a gate that was stopped comes back at the same address.
func (g *gate) start(t *testing.T) {
	t.Helper()
	g.Process = program.Serve(t, g.dir, func(port string) []string {
		if g.Process == nil {
			g.url = "http://127.0.0.1:" + port
		}
		line := []string{
			"--listen", strings.TrimPrefix(g.url, "http://"), "--public-url", g.url,
			"--policy", "policy.yaml", "--users-file", "users", "--admins", "local|grace",
		}
		if g.storeURL != "" {
			line = append(line, "--store", g.storeURL)
		}
		return slices.Concat(line, g.args)
	})
}

func (g *gate) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600))
}

// userLines is a users file whose passwords are quick to check.
func userLines(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for _, name := range people() {
		hash, err := bcrypt.GenerateFromPassword([]byte(password(name)), bcrypt.MinCost)
		must(t, err)
		fmt.Fprintf(&lines, "%s:%s\n", name, hash)
	}
	return lines.String()
}
