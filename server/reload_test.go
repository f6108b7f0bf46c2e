package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"wavegate/keychain"
)

func TestBadPolicyKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.yaml")
	ts := guarded(t, hello, func(c *Config) {
		c.PolicyFile = writeFile(t, path, "upstreams:\n  - {route: /open, url: "+c.Upstreams[0]+", access: public}\n")
	})
	ts.do("GET", "/open", "").want(t, 200, "")
	writeFile(t, path, "upstreams:\n  - {route: /open, acces: public}\n")
	eventually(t, "the failure is logged", func() bool {
		for _, l := range ts.lines("reload failed, the old one stays") {
			if l["part"] == "policy" && strings.Contains(fmt.Sprint(l["error"]), "policy.yaml:2") {
				return true
			}
		}
		return false
	})
	ts.do("GET", "/open", "").want(t, 200, "")
	writeFile(t, path, "scopes: {}\n")
	eventually(t, "the new policy counts", func() bool { return ts.do("GET", "/open", "").StatusCode == 401 })
}

func TestRunningServerFollowsTheKeychain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kc")
	writeFile(t, path, keychainLine(t, "alice", "a"))
	ts := guarded(t, hello, func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true} })
	status := func(id, secret string) int {
		return ts.do("GET", "/", "", "Authorization", basic(id, secret)).StatusCode
	}
	if status("alice", "a") != 200 {
		t.Fatal("alice is not let in")
	}
	if err := keychain.Set(path, "bob", "b"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob is added", func() bool { return status("bob", "b") == 200 })
	if err := keychain.Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "alice is removed", func() bool { return status("alice", "a") == 401 })
	writeFile(t, filepath.Join(dir, "next"), keychainLine(t, "carol", "c"))
	if err := os.Rename(filepath.Join(dir, "next"), path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is swapped", func() bool { return status("carol", "c") == 200 && status("bob", "b") != 200 })
}

func TestStreamsAndSocketsEndWithTheirKey(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "alice", "a")+keychainLine(t, "bob", "b"))
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true} })

	open := func(id, secret string) (*http.Response, *websocket.Conn) {
		req, _ := http.NewRequest("GET", ts.URL+"/sse", nil)
		req.SetBasicAuth(id, secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		ws, _, err := websocket.Dial(t.Context(), ts.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {basic(id, secret)}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.CloseNow() })
		return res, ws
	}
	echo := func(ws *websocket.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := ws.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			return err
		}
		_, _, err := ws.Read(ctx)
		return err
	}
	aliceStream, aliceSocket := open("alice", "a")
	_, bobSocket := open("bob", "b")
	if err := echo(aliceSocket); err != nil {
		t.Fatal(err)
	}
	if err := keychain.Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(aliceStream.Body); err == nil {
		t.Log("the stream ended cleanly") // an abort shows as an error, both are an end
	}
	if _, _, err := aliceSocket.Read(t.Context()); err == nil {
		t.Error("alice's socket outlived her key")
	}
	if err := echo(bobSocket); err != nil {
		t.Errorf("bob's socket ended too: %v", err)
	}
}

func TestStopDrainsRequestsAndSockets(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			c.Read(r.Context())
			return
		}
		started <- struct{}{}
		<-release
		fmt.Fprint(w, "done")
	}, func(c *Config) { c.ShutdownTimeout = 2 * time.Second })
	ws, _, err := websocket.Dial(t.Context(), ts.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {basic("id", "secret")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	got := make(chan answer, 1)
	go func() { got <- ts.get("/slow") }()
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- ts.stop() }()
	eventually(t, "the server drains", ts.draining.Load)
	close(release)
	if a := <-got; a.body != "done" {
		t.Errorf("the request under way got %q", a.body)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("the socket outlived the server")
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := ts.upgraded.count(); n != 0 {
		t.Errorf("%v sockets are still open", n)
	}
}
