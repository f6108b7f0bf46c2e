package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"wavegate/server/store/storetest"
)

const clientsPath = "/v1/auth/clients"

// issuingPolicy declares scopes, so that not everybody may give everything. The
// route leads to %s.
const issuingPolicy = `
upstreams:
  - {route: /, url: "%s"}
scopes:
  streams:read: {description: See streams, risk: low, endpoints: [GET /v1/streams, WS /ws, GET /events]}
  streams:write: {endpoints: [POST /v1/streams]}
  billing:write: {endpoints: [POST /v1/billing]}
roles:
  viewer: {scopes: [streams:read], members: [watcher]}
  editor: {scopes: [streams:read, streams:write], members: ["local|ann", "local|bob"]}
access_keys:
  narrow: {scopes: [streams:read]}
  watcher: {scopes: [streams:read]}
tiers:
  small: {requests_per_minute: 100}
trial: {enabled: true}
webhooks: {allow_networks: [127.0.0.0/8, "::1/128"], allow_http: true}
`

// issue starts a server that issues tokens, in front of socketApp, with the access
// keys root (an administrator's), all (everything), narrow (streams:read) and watcher
// (a viewer's), whose secrets are "secret", and the users ann and bob. Answers to calls
// are compared with the description of the API.
func issue(t *testing.T, change ...func(*Config)) *managed {
	t.Helper()
	return &managed{startServer(t, issuingConfig(t, change...)), readAPI(t)}
}

func issuingConfig(t *testing.T, change ...func(*Config)) Config {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(upstream.Close)
	cfg := testConfig(t)
	withKeys(t, "root:secret", "all:secret", "narrow:secret", "watcher:secret")(&cfg)
	withUsers(t)(&cfg)
	withPolicy(t, fmt.Sprintf(issuingPolicy, upstream.URL))(&cfg)
	cfg.Admins, cfg.PublicURL = []string{"key:root"}, "http://gate.test"
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// issuePair starts two servers on one store, which know each other by it alone.
func issuePair(t *testing.T, url string, change ...func(*Config)) [2]*managed {
	t.Helper()
	secret := writeFile(t, t.TempDir()+"/secret", fmt.Sprintf("%064x\n", time.Now().UnixNano()))
	shared := func(c *Config) { c.Store, c.SecretFile = url, secret }
	change = append(change, shared)
	return [2]*managed{issue(t, change...), issue(t, change...)}
}

// sqlitePair is issuePair on a file.
func sqlitePair(t *testing.T) [2]*managed {
	t.Helper()
	return issuePair(t, storetest.SQLite(t))
}

// A madeClient is a new client as its maker sees it.
type madeClient struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// makeClient makes a client with an access key; the body is that of a POST.
func (m *managed) makeClient(key, body string) madeClient {
	m.t.Helper()
	return clientIn(m.t, m.as(key, "POST", clientsPath, body).want(m.t, 201, ""))
}

func clientIn(t *testing.T, a answer) madeClient {
	t.Helper()
	var v struct {
		Client madeClient `json:"client"`
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.Client.ID == "" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return v.Client
}

// tokensGiven is what the token endpoint answers, as far as tests look at it.
type tokensGiven struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
}

// tokenFor asks the token endpoint with a client's secret, "" for a public client.
func (ts *testServer) tokenFor(c madeClient, form url.Values) answer {
	ts.t.Helper()
	headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if c.Secret == "" {
		form.Set("client_id", c.ID)
	} else {
		headers = append(headers, "Authorization", basic(c.ID, c.Secret))
	}
	return ts.do("POST", "/oauth/token", form.Encode(), headers...)
}

// own is a client's own access token.
func (ts *testServer) own(c madeClient) string {
	ts.t.Helper()
	return issuedIn(ts.t, ts.tokenFor(c, ownGrant())).Access
}

func ownGrant() url.Values { return url.Values{"grant_type": {"client_credentials"}} }

func issuedIn(t *testing.T, a answer) (v tokensGiven) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.want(t, 200, "").body), &v); err != nil || v.Access == "" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return v
}

const (
	appRedirect = "http://127.0.0.1:9/callback"
	verifier    = "a-verifier-of-at-least-forty-three-characters"
)

var hiddenRequest = regexp.MustCompile(`name="request" value="([^"]+)"`)

// allow lets a client act for whoever is signed in in the browser, by its page, and
// returns the tokens.
func (b *browser) allow(c madeClient, scope string) tokensGiven {
	b.t.Helper()
	return issuedIn(b.t, (&testServer{t: b.t, URL: b.base}).redeemed(c, b.allowAndCode(c, scope)))
}

// allowAndCode is allow as far as the code.
func (b *browser) allowAndCode(c madeClient, scope string) string {
	b.t.Helper()
	back := b.decideAbout(c, scope, "allow")
	at, err := back.Location()
	if err != nil || !strings.HasPrefix(at.String(), appRedirect) || at.Query().Get("code") == "" {
		b.t.Fatalf("the decision: %d %s %s", back.StatusCode, back.Header.Get("Location"), back.body)
	}
	return at.Query().Get("code")
}

// decideAbout says something to a client on its page.
func (b *browser) decideAbout(c madeClient, scope, decision string) answer {
	b.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {appRedirect}, "scope": {scope}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	page := b.send("GET", "/oauth/authorize?"+q.Encode(), nil)
	found := hiddenRequest.FindStringSubmatch(page.body)
	if found == nil {
		b.t.Fatalf("no consent page: %d %s %s", page.StatusCode, page.Header.Get("Location"), page.body)
	}
	form := url.Values{"request": {found[1]}, "decision": {decision}, "remember": {"1"}}
	return b.send("POST", decisionPath, form, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
}

// redeemed asks for the tokens of a code.
func (ts *testServer) redeemed(c madeClient, code string) answer {
	ts.t.Helper()
	return ts.tokenFor(c, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appRedirect}, "code_verifier": {verifier}})
}

// refreshed asks for the next tokens.
func (ts *testServer) refreshed(c madeClient, refresh string) answer {
	ts.t.Helper()
	return ts.tokenFor(c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// wantOAuth fails the test unless an answer is that error of RFC 6749, section 5.2.
func (a answer) wantOAuth(t *testing.T, status int, code string) {
	t.Helper()
	if got, _ := a.object(t)["error"].(string); a.StatusCode != status || got != code {
		t.Errorf("%s: %d %s, want %d %s", a.Request.URL, a.StatusCode, a.body, status, code)
	}
}

// streamWith opens a stream of events with a token.
func (ts *testServer) streamWith(token string) open {
	ts.t.Helper()
	return ts.streamAs("Bearer " + token)
}

// streamAs is streamWith for a whole Authorization header.
func (ts *testServer) streamAs(authorization string) open {
	ts.t.Helper()
	ctx, cancel := context.WithCancel(ts.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", ts.URL+"/events", http.NoBody)
	must(ts.t, err)
	req.Header.Set("Authorization", authorization)
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	must(ts.t, err)
	if res.StatusCode != http.StatusOK {
		ts.t.Fatalf("stream: %d", res.StatusCode)
	}
	o := open{ts.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	ts.t.Cleanup(func() { cancel(); <-o.done })
	return o
}
