package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// keyPolicy declares scopes, so that not everything is open to every key. The
// route leads to %s.
const keyPolicy = `
upstreams:
  - {route: /, url: "%s"}
scopes:
  streams:read: {endpoints: [GET /v1/streams, WS /ws, GET /events]}
  streams:write: {endpoints: [POST /v1/streams]}
  billing:write: {endpoints: [POST /v1/billing]}
roles:
  reader: {scopes: [streams:read]}
  editor: {scopes: [streams:read, streams:write], members: [local|ann, local|bob]}
access_keys:
  narrow: {scopes: [streams:read]}
  nobody: {scopes: []}
tiers:
  small: {requests_per_minute: 100}
  people: {requests_per_minute: 9000}
defaults: {user_tier: people}
trial: {enabled: true}
`

// keyServer starts a server in front of socketApp, with the access keys root (an
// administrator's), all (everything), narrow and nobody, and the users ann and
// bob. Each access key's secret is "secret".
func keyServer(t *testing.T, change ...func(*Config)) *testServer {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(upstream.Close)
	cfg := testConfig(t)
	withKeys(t, "root:secret", "all:secret", "narrow:secret", "nobody:secret")(&cfg)
	withUsers(t)(&cfg)
	withPolicy(t, fmt.Sprintf(keyPolicy, upstream.URL))(&cfg)
	cfg.Admins = []string{"root"}
	for _, c := range change {
		c(&cfg)
	}
	return startServer(t, cfg)
}

// by is the credential of an access key of keyServer, or of an API key.
func by(credential string) []string {
	if strings.ContainsAny(credential, "_.") {
		return []string{"Authorization", "Bearer " + credential}
	}
	return []string{"Authorization", basic(credential, "secret")}
}

// A madeKey is a new key as its maker sees it.
type madeKey struct {
	ID     string `json:"id"`
	Key    string `json:"key"`
	Prefix string `json:"prefix"`
}

// makeKey makes a key with the body of a POST.
func (ts *testServer) makeKey(credential, body string) madeKey {
	ts.t.Helper()
	return madeBy(ts.t, ts.do("POST", "/v1/auth/keys", body, by(credential)...))
}

// madeBy reads the answer to making a key.
func madeBy(t *testing.T, a answer) madeKey {
	t.Helper()
	var v struct {
		Key madeKey `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(a.want(t, 201, "").body), &v); err != nil || v.Key.ID == "" || v.Key.Key == "" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return v.Key
}

// stored is a key as the store has it.
func (ts *testServer) stored(id string) apikey.Record {
	ts.t.Helper()
	rec, err := ts.store.Key(ts.t.Context(), id)
	must(ts.t, err)
	return rec
}

// storedKeys are all keys that the store has.
func (ts *testServer) storedKeys() []apikey.Record {
	ts.t.Helper()
	list, err := ts.store.Keys(ts.t.Context(), store.KeyFilter{All: true}, noTime.AddDate(1, 0, 0), "", 1000)
	must(ts.t, err)
	return list
}

// audited returns how often the audit log has an action about a target.
func (ts *testServer) audited(action, target string) int {
	ts.t.Helper()
	list, err := ts.store.Audit(ts.t.Context(), store.AuditFilter{Action: action, Target: target}, 0, 200)
	must(ts.t, err)
	return len(list)
}

// subscribe makes a webhook of root's for everything, and told counts the events
// of a type on their way to it.
func (ts *testServer) subscribe() (told func(kind string) int) {
	ts.t.Helper()
	e := webhook.Endpoint{ID: "whk_" + strings.Repeat("a", 26), Owner: "key:root", All: true, URL: "https://192.0.2.1/", Version: 1}
	must(ts.t, ts.store.AddEndpoint(ts.t.Context(), e, 10, store.Journal{}))
	return func(kind string) int {
		ts.t.Helper()
		list, err := ts.store.Deliveries(ts.t.Context(), e.ID, "", "", 200)
		must(ts.t, err)
		n := 0
		for _, d := range list {
			if d.EventType == kind {
				n++
			}
		}
		return n
	}
}

// socketWith opens a WebSocket with an API key.
func (ts *testServer) socketWith(key string) open {
	ts.t.Helper()
	ws, _, err := websocket.Dial(ts.t.Context(), ts.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	must(ts.t, err)
	o := open{ts.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		_, _, _ = ws.Read(context.WithoutCancel(ts.t.Context()))
	}()
	ts.t.Cleanup(func() { ws.CloseNow(); <-o.done })
	return o
}

// race sends n requests at the same time and returns how many had each status.
func race(n int, send func() answer) (statuses map[int]int, answers []answer) {
	statuses = map[int]int{}
	var mu sync.Mutex // guards both
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			a := send()
			mu.Lock()
			defer mu.Unlock()
			statuses[a.StatusCode]++
			answers = append(answers, a)
		})
	}
	close(start)
	wg.Wait()
	return statuses, answers
}

func sha(key string) [32]byte { return sha256.Sum256([]byte(key)) }

func samePrefix(a, b netip.Prefix) bool { return a == b }
