package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"wavegate/server/store/storetest"
)

// A keyMade is a new API key as its maker sees it.
type keyMade struct{ ID, Key, Prefix string }

// ask sends a request to a process with a credential, "" for the access key.
func (g *gate) ask(method, path, body, key string) (reply, error) {
	req, err := http.NewRequest(method, "http://gate.test"+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if key == "" {
		req.SetBasicAuth("id", "secret")
	} else {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := (&http.Client{Transport: g.transport, Timeout: patience}).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res, string(text)}, err
}

// must is ask for a request that must be answered, with this status.
func (g *gate) must(status int, method, path, body, key string) reply {
	g.t.Helper()
	a, err := g.ask(method, path, body, key)
	must(g.t, err)
	if a.StatusCode != status {
		g.t.Fatalf("%s %s: %d %s\nwant %d; log:\n%s", method, path, a.StatusCode, a.body, status, g.Log)
	}
	return a
}

// newKey makes an API key of the access key's.
func (g *gate) newKey() keyMade {
	g.t.Helper()
	var made struct {
		Key keyMade `json:"api_key"`
	}
	must(g.t, json.Unmarshal([]byte(g.must(http.StatusCreated, "POST", "/v1/auth/keys", `{"name":"x"}`, "").body), &made))
	return made.Key
}

// keySocket opens a WebSocket with an API key. The context ends when it is closed.
func (g *gate) keySocket(key string) context.Context {
	g.t.Helper()
	c, _, err := websocket.Dial(g.t.Context(), "ws://gate.test/socket", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: g.transport}, HTTPHeader: http.Header{"X-Api-Key": {key}},
	})
	must(g.t, err)
	g.t.Cleanup(func() { c.CloseNow() })
	return c.CloseRead(g.t.Context())
}

// untilDead asks again and again until a process refuses a key, and returns how long
// after since that was.
func (g *gate) untilDead(key string, since time.Time) time.Duration {
	g.t.Helper()
	for {
		a, err := g.ask("GET", "/app", "", key)
		must(g.t, err)
		switch {
		case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden:
			return time.Since(since)
		case a.StatusCode != http.StatusOK:
			g.t.Fatalf("%d %s", a.StatusCode, a.body)
		case time.Since(since) > patience:
			g.t.Fatalf("the key still opens after %v", patience)
		}
	}
}

// TestAKeyThatEndsAtOneReplicaEndsAtTheOther: two processes of one store, of which one
// is told.
func TestAKeyThatEndsAtOneReplicaEndsAtTheOther(t *testing.T) {
	for name, database := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			s, a, b := pair(t, database(t))
			within := 2 * time.Second // half of one, and more at times for a machine that does much else
			if name == "PostgreSQL" {
				untilListening(t, s.store, 2)
				within = time.Second
			}
			bob := newPerson(t)
			bob.signIn(a, "bob")
			_, user := bob.session(a)
			other := a.newKey()
			stays := b.keySocket(other.Key)
			for what, end := range map[string]func(k keyMade){
				"revoked": func(k keyMade) { a.must(http.StatusNoContent, "DELETE", "/v1/auth/keys/"+k.ID, "", "") },
				"rotated at once": func(k keyMade) {
					a.must(http.StatusOK, "POST", "/v1/auth/keys/"+k.ID+"/rotate", `{"grace_period_hours":0}`, "")
				},
				"kept to another address": func(k keyMade) {
					a.must(http.StatusOK, "PATCH", "/v1/auth/keys/"+k.ID, `{"allowed_ips":["192.0.2.1"]}`, "")
				},
				"revoked on the command line": s.revoke,
				"its owner was disabled": func(keyMade) {
					byAdministrator(a, "PATCH", "/v1/auth/users/"+user, `{"disabled": true}`)
				},
			} {
				k := a.newKey()
				if strings.HasPrefix(what, "its owner") {
					var made struct {
						Key keyMade `json:"api_key"`
					}
					body := fmt.Sprintf(`{"name":"x","owner":%q}`, user)
					must(t, json.Unmarshal([]byte(a.must(http.StatusCreated, "POST", "/v1/auth/keys", body, "").body), &made))
					k = made.Key
				}
				b.must(http.StatusOK, "GET", "/app", "", k.Key) // the other knows it at once, and remembers it
				socket := b.keySocket(k.Key)
				end(k)
				ended := time.Now()
				out := b.untilDead(k.Key, ended)
				select {
				case <-socket.Done():
				case <-time.After(patience):
					t.Fatalf("%s: the socket stays open", what)
				}
				shut := time.Since(ended)
				t.Logf("%s: refused after %v, socket closed after %v", what, out, shut)
				if out >= within || shut >= within {
					t.Errorf("%s: refused after %v, socket closed after %v, want less than %v", what, out, shut, within)
				}
				if a.untilDead(k.Key, ended) > patience {
					t.Errorf("%s: it opens where it ended", what)
				}
			}
			b.must(http.StatusOK, "GET", "/app", "", other.Key)
			if stays.Err() != nil {
				t.Error("the socket of another key was closed")
			}
		})
	}
}

// revoke ends a key on the command line, beside the processes that serve.
func (s *site) revoke(k keyMade) {
	s.t.Helper()
	code, _, stderr := runToEnd(s.t, s.dir, func(*exec.Cmd) {}, "--revoke-api-key", k.ID, "--store", s.store, "--secret-file", filepath.Join(s.dir, "secret"))
	if code != exitOK {
		s.t.Fatalf("--revoke-api-key: %d %s", code, stderr)
	}
}
