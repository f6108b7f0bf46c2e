package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// attackedPolicy declares scopes, tiers and trials. The routes lead to %[1]s; %[2]s
// is more lines.
const attackedPolicy = `
upstreams:
  - {route: /, url: "%[1]s"}
  - {route: /public, url: "%[1]s", access: public}
scopes:
  things:read: {endpoints: [GET /things, "GET /things/*", WS /ws, GET /events]}
  things:write: {endpoints: [POST /things]}
roles:
  reader: {scopes: [things:read]}
  writer: {scopes: [things:read, things:write], members: ["local|ann", "local|bob"]}
tiers:
  narrow: {concurrent: 1}
  drops: {bandwidth_per_month: 64KB}
trial: {enabled: true, role: reader}
webhooks: {allow_networks: [127.0.0.0/8], allow_http: true}
%[2]s
`

// An attacked is a server that is attacked through API keys. Its access keys root
// (an administrator's), ci and other have the secret "secret", its users are ann and
// bob, and the test behind 127.0.0.1 is a proxy that it trusts.
type attacked struct{ *testServer }

// attack starts a server in front of socketApp.
func attack(t *testing.T, change ...func(*Config)) attacked {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(upstream.Close)
	return attackIn(t, upstream.URL, "", change...)
}

// attackIn starts a server in front of an address, with more lines of policy.
func attackIn(t *testing.T, app, more string, change ...func(*Config)) attacked {
	t.Helper()
	return attacked{startServer(t, attackedConfig(t, app, more, change...))}
}

func attackedConfig(t *testing.T, app, more string, change ...func(*Config)) Config {
	t.Helper()
	cfg := testConfig(t)
	withKeys(t, "root:secret", "ci:secret", "other:secret")(&cfg)
	withUsers(t)(&cfg)
	withPolicy(t, fmt.Sprintf(attackedPolicy, app, more))(&cfg)
	cfg.Admins, cfg.TrustedProxies = []string{"root"}, prefixes("127.0.0.0/8")
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// A minted is a new API key as its maker sees it.
type minted struct{ ID, Key, Prefix string }

// mint makes an API key with an access key; fields are those of the body.
func (a attacked) mint(accessKey, fields string) minted {
	a.t.Helper()
	return mintedIn(a.t, a.do("POST", "/v1/auth/keys", `{"name":"x",`+fields+`}`, "Authorization", basic(accessKey, "secret")))
}

func mintedIn(t *testing.T, answered answer) minted {
	t.Helper()
	var v struct {
		Key minted `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(answered.want(t, 201, "").body), &v); err != nil || v.Key.Key == "" {
		t.Fatalf("%d %s", answered.StatusCode, answered.body)
	}
	return v.Key
}

// bearer is the header of a key or token.
func bearer(key string) []string { return []string{"Authorization", "Bearer " + key} }

// things asks the app for what needs things:read, from an address.
func (a attacked) things(key, from string) answer {
	a.t.Helper()
	return a.do("GET", "/things", "", append(bearer(key), "X-Forwarded-For", from)...)
}

// direct asks without a connection between, and returns the status and the code.
func (a attacked) direct(method, path, from string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-For", from)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	var e struct{ Error struct{ Code string } }
	_ = json.Unmarshal(w.Body.Bytes(), &e) // no error has no code
	return w.Code, e.Error.Code
}

// by asks the management API with an access key.
func (a attacked) by(accessKey, method, path, body string) answer {
	a.t.Helper()
	return a.do(method, path, body, "Authorization", basic(accessKey, "secret"))
}

// socket opens a WebSocket with headers.
func (a attacked) socket(headers ...string) open {
	a.t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	ws, _, err := websocket.Dial(a.t.Context(), a.URL+"/ws", &websocket.DialOptions{HTTPHeader: h})
	must(a.t, err)
	o := open{a.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		_, _, _ = ws.Read(context.WithoutCancel(a.t.Context()))
	}()
	a.t.Cleanup(func() { ws.CloseNow(); <-o.done })
	return o
}

// events opens a stream with headers.
func (a attacked) events(headers ...string) open {
	a.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.t.Context()))
	req, err := http.NewRequestWithContext(ctx, "GET", a.URL+"/events", http.NoBody)
	must(a.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	transport := &http.Transport{}
	res, err := transport.RoundTrip(req)
	must(a.t, err)
	if res.StatusCode != 200 {
		a.t.Fatalf("the stream: %d", res.StatusCode)
	}
	o := open{a.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	a.t.Cleanup(func() { cancel(); <-o.done; transport.CloseIdleConnections() })
	return o
}

// atOnce does something n times at the same time, and counts what it returns.
func atOnce[T comparable](n int, do func(i int) T) map[T]int {
	got := map[T]int{}
	var mu sync.Mutex // guards got
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			v := do(i)
			mu.Lock()
			defer mu.Unlock()
			got[v]++
		})
	}
	close(start)
	wg.Wait()
	return got
}

// flipped changes one bit of a text.
func flipped(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}

// otherCase changes the case of one letter; a digit stays.
func otherCase(s string, i int) string {
	c := s[i : i+1]
	if strings.ToUpper(c) != c {
		c = strings.ToUpper(c)
	} else {
		c = strings.ToLower(c)
	}
	return s[:i] + c + s[i+1:]
}

// readPolicyOf returns the text of the policy file.
func readPolicyOf(t *testing.T, a attacked) string {
	t.Helper()
	text, err := os.ReadFile(a.cfg.PolicyFile)
	must(t, err)
	return string(text)
}
