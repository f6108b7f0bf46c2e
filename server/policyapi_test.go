package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const policyPath = "/v1/auth/policy"

func (m *managed) policyNow() (v policyView) {
	m.t.Helper()
	a := m.as("root", "GET", policyPath, "").want(m.t, 200, "")
	must(m.t, json.Unmarshal([]byte(a.body), &v))
	return v
}

func TestPolicyIsShownAsItWasLoaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := manage(t, withKeys(t, "root:secret"), withPolicy(t, `
upstreams:
  - {route: api.example.com/v1, url: "http://127.0.0.1:3000/base", require: {roles: [reader], groups: [eng]}, methods: [GET, POST], unlisted: allow}
  - {route: /files, url: "file://`+dir+`", access: public}
  - {route: /gone, url: "static://410", access: keys, require: {scopes: ["*"]}}
scopes: {streams:read: {description: Look, risk: low, endpoints: [GET /v1/streams]}}
roles: {reader: {scopes: [streams:read], members: [jane@example.com, "key:ci"], groups: [eng], tier: pro}}
access_keys: {ci: {scopes: [streams:read], register: [/ci/*]}}
issuers: [{issuer: "https://clerk.example.com", audience: gate, role: reader}]
defaults: {role: reader, tier: free, key_lifetime: 30d}
oauth: {access_token_lifetime: 5m, resources: ["https://mcp.example.com/x"], registration: {enabled: true, scopes: [streams:read], most: 7}}
webhooks: {allow_networks: [10.0.0.0/8]}
`), func(c *Config) { c.Admins, c.PublicURL = []string{"key:root"}, "http://gate.test" })
	v := m.policyNow()
	at, err := time.Parse(time.RFC3339, v.LoadedAt)
	if must(t, err); time.Since(at) > time.Minute || !slices.Equal(v.Files, []string{m.cfg.PolicyFile}) {
		t.Errorf("loaded at %s from %v", v.LoadedAt, v.Files)
	}
	line := func(n int) string { return fmt.Sprintf("%s:%d", m.cfg.PolicyFile, n) }
	text := func(s string) *string { return &s }
	none, gone := []string{}, 410
	want := policyView{
		Routes: []routeView{
			{
				Host: text("api.example.com"), Path: "/v1", Origin: line(3), Access: "authenticated", Methods: []string{"GET", "HEAD", "POST"}, Scopes: none,
				Roles: []string{"reader"}, Groups: []string{"eng"}, AllowUnlisted: true, Upstream: text("http://127.0.0.1:3000/base"),
			},
			{Path: "/files", Origin: line(4), Access: "public", Methods: none, Scopes: none, Roles: none, Groups: none, Folder: &dir},
			{Path: "/gone", Origin: line(5), Access: "keys", Methods: none, Scopes: []string{"*"}, Roles: none, Groups: none, Status: &gone},
		},
		Scopes:     []policyScope{{"streams:read", "Look", text("low"), []string{"GET /v1/streams"}}},
		AccessKeys: []policyKey{{"ci", line(8), []string{"streams:read"}, none, []string{"/ci/*"}}},
		Providers:  []policyProvider{},
		Issuers:    []policyIssuer{{"clerk-example-com", "https://clerk.example.com", "gate", text("reader"), nil}},
		OAuth: policyOAuth{
			true, text("http://gate.test"), 300, 30 * 86400, 365 * 86400, 30 * 86400,
			[]string{"https://mcp.example.com/x"},
			policyRegistration{true, []string{"streams:read"}, 5, 7},
		},
		Webhooks: policyWebhooks{[]string{"10.0.0.0/8"}, false},
	}
	role := policyRole{"reader", text(line(7)), []string{"streams:read"}, v.Roles[0].Permissions, []string{"jane@example.com", "key:ci"}, []string{"eng"}, text("pro")}
	if diff := cmp.Diff(role, v.Roles[0]); diff != "" || len(v.Roles) != 5 || v.Roles[4].Origin != nil {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if d := v.Defaults; *d.Role != "reader" || *d.Expires != 30 || d.Tier != "free" || d.UserTier != "unlimited" || len(v.Tiers) != 5 {
		t.Errorf("defaults %+v, %d tiers", d, len(v.Tiers))
	}
	v.Files, v.LoadedAt, v.Roles, v.Defaults, v.Tiers = nil, "", nil, policyDefaults{}, nil
	if diff := cmp.Diff(want, v, cmp.AllowUnexported(policyDefaults{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPolicyShowsAppsThatAnnouncedThemselves(t *testing.T) {
	t.Parallel()
	m := manage(t, withPolicy(t, "branding: {name: Gate}"), withKeys(t, "root:secret", "dev:secret"), func(c *Config) { c.Admins = []string{"root"} })
	if v := m.policyNow(); len(v.Routes) != 0 {
		t.Errorf("got %+v", v.Routes)
	}
	m.do("POST", "/", `{"register_app":{"mode":"unicast","route":"/demo","address":"http://127.0.0.1:1","key_id":"a","key_secret":"b"}}`,
		"Authorization", basic("dev", "secret"), "Content-Type", "application/json").want(t, 200, "")
	dev, address, none := "dev", "http://127.0.0.1:1", []string{}
	want := []routeView{{
		Path: "/demo", Origin: "app registered by dev", Access: "authenticated", Methods: none, Scopes: none, Roles: none, Groups: none,
		Upstream: &address, RegisteredBy: &dev,
	}}
	if diff := cmp.Diff(want, m.policyNow().Routes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNoSecretOfThePolicyOrTheSettingsIsShown puts secrets wherever there can be one,
// and looks for them in everything that administrators are shown of the server.
func TestNoSecretOfThePolicyOrTheSettingsIsShown(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	idp, dir := newIDP(t), t.TempDir()
	clientSecret := writeFile(t, filepath.Join(dir, "client"), "file-"+canary)
	hs256 := writeFile(t, filepath.Join(dir, "hs256"), "0123456789abcdef0123456789abcdef-"+canary)
	headers := writeFile(t, filepath.Join(dir, "headers"), "X-Internal: "+canary+"\r\n\r\n")
	m := manage(t, withKeys(t, "root:secret", "dev:"+canary), withUsers(t), withProvider(t, idp), withPolicy(t, `
upstreams:
  - {route: /x, url: "http://127.0.0.1:1/", response_headers: {set: {X-Token: `+canary+`}}}
providers:
  - {name: one, issuer: "https://one.example.com", client_id: gate, client_secret: inline-`+canary+`, redirect_url: "http://gate.test/_auth/callback", auth_url_params: {api_key: `+canary+`}}
  - {name: two, issuer: "https://two.example.com", client_id: gate, client_secret_file: `+clientSecret+`, redirect_url: "http://gate.test/_auth/callback"}
session_tokens: {secret_file: `+hs256+`}
`), func(c *Config) {
		c.Admins, c.HeadersFile = []string{"key:root"}, headers
		c.SecretFile = writeFile(t, filepath.Join(dir, "secret"), strings.Repeat("ab", 32)+"\n")
		c.SignIn.ClientSecret = "flag-" + canary
	})
	m.do("POST", "/", `{"register_app":{"mode":"unicast","route":"/demo","address":"http://127.0.0.1:1","key_id":"a","key_secret":"`+canary+`"}}`,
		"Authorization", basic("dev", canary), "Content-Type", "application/json").want(t, 200, "")
	v := m.policyNow()
	if names := []string{v.Providers[0].Name, v.Providers[1].Name, v.Providers[2].Name}; !slices.Equal(names, []string{"main", "one", "two"}) || len(v.Routes) != 2 || len(v.Files) != 3 {
		t.Errorf("%v, %d routes, files %v: the test looks at too little", names, len(v.Routes), v.Files)
	}
	secret, err := os.ReadFile(m.cfg.SecretFile)
	must(t, err)
	for _, call := range []struct{ method, path, body string }{
		{"GET", policyPath, ""}, {"GET", "/v1/auth/system", ""}, {"GET", catalogPath, ""}, {"POST", explainPath, explainBody("/x", "root")}, {"POST", explainPath, explainBody("/demo", "dev")},
	} {
		a := m.as("root", call.method, call.path, call.body).want(t, 200, "")
		for _, hidden := range []string{canary, strings.TrimSpace(string(secret)), "0123456789abcdef", "$2a$"} {
			if strings.Contains(a.body, hidden) {
				t.Errorf("%s shows a secret: %s", call.path, a.body)
			}
		}
	}
	if strings.Contains(m.log.String(), canary) {
		t.Error("the log shows a secret")
	}
}

func TestAddressesAreShownWithoutWhatMayBeASecret(t *testing.T) {
	for in, want := range map[string]string{
		"http://u:p@a.example:1/x%2Fy?k=v#f": "http://a.example:1/x%2Fy", "https://a.example": "https://a.example", "h2c://a:1": "h2c://a:1",
		"": "", "::": "", "/only": "",
	} {
		if got := bareURL(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
