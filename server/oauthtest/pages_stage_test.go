package oauthtest

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"wavegate/server/portal/browsertest"
)

// A pageStage is a gate with the policy of an example, apps on two sites of their own,
// and a real browser that has windows for several people.
type pageStage struct {
	*gate
	passwords map[string]string // of ada, who may do everything, and boris, who may less
	browser   *browsertest.Browser
	web       *httptest.Server // apps on https
	local     *httptest.Server // apps on the person's own machine

	mu      sync.Mutex      // guards checked
	checked map[string]bool // pages whose look was checked, by title and look
}

// webHost is where the apps on https are: another site than the gate's.
const webHost = "starplot.localhost"

func newPageStage(t *testing.T) *pageStage {
	t.Helper()
	s := &pageStage{
		gate: &gate{dir: t.TempDir()}, passwords: map[string]string{}, checked: map[string]bool{},
		web: httptest.NewUnstartedServer(http.HandlerFunc(appPage)), local: httptest.NewServer(http.HandlerFunc(appPage)),
	}
	s.web.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.web.StartTLS()
	t.Cleanup(s.web.Close)
	t.Cleanup(s.local.Close)
	s.startWith(t, examplePolicy(t))
	s.browser = browsertest.Start(t, browsertest.Trusting(s.web.Certificate()))
	return s
}

// examplePolicy is the one that the documentation shows, with the people of these
// tests in its roles.
func examplePolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../examples/keys/wave.yaml")
	must(t, err)
	policy := strings.NewReplacer(`["local|you"]`, `["local|boris"]`, `[admin@example.com]`, `["local|ada"]`).Replace(string(text))
	if !strings.Contains(policy, "local|ada") || !strings.Contains(policy, "local|boris") {
		t.Fatal("the example has no such members any more")
	}
	return policy
}

// startWith starts the gate with a policy, an access key, and the two people.
func (s *pageStage) startWith(t *testing.T, policy string) {
	t.Helper()
	key := regexp.MustCompile(`_ID=(\w+)\n.*_SECRET=(\w+)`).FindStringSubmatch(s.run(t, "-create-access-key"))
	if key == nil {
		t.Fatal("-create-access-key printed no key")
	}
	s.keyID, s.keySecret = key[1], key[2]
	for _, name := range []string{"ada", "boris"} {
		s.passwords[name] = strings.TrimSpace(s.run(t, "--create-user", name, "--generate"))
	}
	s.serve(t, "127.0.0.1", func(string) []string { return []string{"--policy", write(t, s.dir, "policy.yaml", policy)} })
}

// appPage is every page of the apps: a link to where the query says, and where the
// browser has come to.
func appPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>The app</title><link rel="icon" href="data:,"><h1>The app</h1>`)
	if to, err := url.Parse(r.URL.Query().Get("to")); err == nil && to.Host != "" {
		fmt.Fprintf(w, `<a id="go" href="%s">Sign in</a>`, strings.ReplaceAll(to.String(), "&", "&amp;"))
	}
}

// A pageApp is an app of these tests, as it knows itself.
type pageApp struct {
	*pageStage
	name   string
	origin string
	config oauth2.Config
}

// webApp registers a confidential client on https.
func (s *pageStage) webApp(t *testing.T, name string, scopes ...string) *pageApp {
	t.Helper()
	return s.newApp(t, strings.Replace(s.web.URL, "127.0.0.1", webHost, 1), scopes, map[string]any{
		"name": name, "type": "confidential", "grant_types": grantsOfWeb, "client_uri": "https://starplot.example",
	})
}

// localApp registers a public client on a loopback address, which nobody can tell
// from another.
func (s *pageStage) localApp(t *testing.T, name string, scopes ...string) *pageApp {
	t.Helper()
	return s.newApp(t, s.local.URL, scopes, map[string]any{"name": name, "type": "public", "grant_types": grantsOfWeb})
}

// deviceApp registers a public client of devices.
func (s *pageStage) deviceApp(t *testing.T, name string, scopes ...string) *pageApp {
	t.Helper()
	return s.newApp(t, s.local.URL, scopes, map[string]any{"name": name, "type": "public", "grant_types": []string{deviceGrant, "refresh_token"}})
}

func (s *pageStage) newApp(t *testing.T, origin string, scopes []string, registration map[string]any) *pageApp {
	t.Helper()
	a := &pageApp{pageStage: s, name: registration["name"].(string), origin: origin}
	registration["scopes"] = scopes
	if registration["grant_types"].([]string)[0] == "authorization_code" {
		registration["redirect_uris"], registration["post_logout_redirect_uris"] = []string{origin + "/callback"}, []string{origin + "/bye"}
	}
	client := s.newClient(t, registration)
	a.config = oauth2.Config{
		ClientID: client.id, ClientSecret: client.secret, RedirectURL: origin + "/callback", Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: s.url + "/oauth/authorize", TokenURL: s.url + "/oauth/token", DeviceAuthURL: s.url + "/oauth/device"},
	}
	return a
}

// A quest is one request of an app, with what it has to remember of it.
type quest struct {
	*pageApp
	state, verifier string
	address         string // where the browser is sent
}

func (a *pageApp) begin(more ...oauth2.AuthCodeOption) *quest {
	q := &quest{pageApp: a, state: oauth2.GenerateVerifier(), verifier: oauth2.GenerateVerifier()}
	q.address = a.config.AuthCodeURL(q.state, append(more, oauth2.S256ChallengeOption(q.verifier))...)
	return q
}

// link is a page of the app with a link to the request.
func (q *quest) link() string { return q.origin + "/?to=" + url.QueryEscape(q.address) }

// redeem gets the tokens for a code.
func (q *quest) redeem(t *testing.T, code string) *oauth2.Token {
	t.Helper()
	tokens, err := q.config.Exchange(t.Context(), code, oauth2.VerifierOption(q.verifier))
	must(t, err)
	return tokens
}

// about asks the gate whom an access token is about.
func (s *pageStage) about(t *testing.T, token string) any {
	t.Helper()
	who := &stage{issuer: s.url}
	return who.userInfo(t, token)["preferred_username"]
}

// opens reports whether an access token lets somebody in to the API.
func (s *pageStage) opens(t *testing.T, token string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/streams", http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	status := fetch(t, req, nil)
	if status != http.StatusOK && status != http.StatusUnauthorized {
		t.Errorf("/v1/streams answers %d", status)
	}
	return status == http.StatusOK
}
