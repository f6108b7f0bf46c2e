package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
)

// A testServer is a running Server on a loopback port, with its log.
type testServer struct {
	*Server
	t    *testing.T
	URL  string
	log  *lockedBuffer
	stop func() error // ends Run and returns its error; safe to call twice
}

// testConfig is a configuration that needs no file but those in a temporary
// folder: one access key, "id" with "secret".
func testConfig(t *testing.T) Config {
	return Config{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(), MaxRequestSize: 5 << 20, ForwardHeaders: []string{"*"},
		ShutdownTimeout: 10 * time.Second,
		Keychain:        keychain.Config{ID: "id", Secret: "secret"},
	}
}

// startServer starts a server, which prepare may change before anybody uses it.
func startServer(t *testing.T, cfg Config, prepare ...func(*Server)) *testServer {
	t.Helper()
	log := &lockedBuffer{}
	s, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prepare {
		p(s)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ts := &testServer{Server: s, t: t, log: log, URL: "http://" + s.Addr().String()}
	if cfg.TLS.Enabled() {
		ts.URL = "https://" + s.Addr().String()
	}
	ts.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := ts.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return ts
}

// guarded starts a server in front of app, at "/".
func guarded(t *testing.T, app http.HandlerFunc, change ...func(*Config)) *testServer {
	t.Helper()
	upstream := httptest.NewServer(app)
	t.Cleanup(upstream.Close)
	cfg := testConfig(t)
	cfg.Upstreams = []string{upstream.URL}
	for _, c := range change {
		c(&cfg)
	}
	return startServer(t, cfg)
}

// hello is an app that answers with what it saw.
func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
}

// An answer is a response whose body was read.
type answer struct {
	*http.Response
	body string
}

// do sends a request. Headers are name, value pairs; "" for the path is "/".
func (ts *testServer) do(method, path, body string, headers ...string) answer {
	ts.t.Helper()
	req, err := http.NewRequest(method, ts.URL+path, strings.NewReader(body))
	if err != nil {
		ts.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       2 * time.Minute,
	}
	res, err := client.Do(req)
	if err != nil {
		ts.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		ts.t.Fatal(err)
	}
	return answer{res, string(data)}
}

// get sends a GET with the good key.
func (ts *testServer) get(path string, headers ...string) answer {
	ts.t.Helper()
	return ts.do("GET", path, "", append([]string{"Authorization", basic("id", "secret")}, headers...)...)
}

// want fails the test unless the answer has the status and, when given, the
// error code.
func (a answer) want(t *testing.T, status int, code string) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s: status %d, want %d; body %q", a.Request.URL, a.StatusCode, status, a.body)
	}
	if code == "" {
		return a
	}
	var e struct {
		Error struct{ Type, Code, Message, RequestID string }
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(a.body, "request_id", "RequestID")), &e); err != nil {
		t.Errorf("body %q: %v", a.body, err)
	}
	if e.Error.Code != code || e.Error.Message == "" || e.Error.Type == "" {
		t.Errorf("error %+v, want code %q", e.Error, code)
	}
	if e.Error.RequestID == "" || e.Error.RequestID != a.Header.Get("X-Request-Id") {
		t.Errorf("request id %q in the body, %q in the header", e.Error.RequestID, a.Header.Get("X-Request-Id"))
	}
	return a
}

// raw sends literal bytes and returns the literal answer until the server
// closes, or until one whole answer without body was read.
func (ts *testServer) raw(request string) string {
	ts.t.Helper()
	conn, err := net.Dial("tcp", ts.Addr().String())
	if err != nil {
		ts.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		ts.t.Fatal(err)
	}
	var got bytes.Buffer
	br := bufio.NewReader(io.TeeReader(conn, &got))
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		return got.String()
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return got.String()
}

// lines returns the log's lines of that message, decoded.
func (ts *testServer) lines(msg string) []map[string]any {
	ts.t.Helper()
	var found []map[string]any
	for line := range strings.Lines(ts.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			ts.t.Errorf("log line %q: %v", line, err)
			continue
		}
		if m["msg"] == msg {
			found = append(found, m)
		}
	}
	return found
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keychainLine is a line of a keychain, cheap to verify.
func keychainLine(t *testing.T, id, secret string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return id + ":" + string(hash) + "\n"
}

// A lockedBuffer is a log that tests read while the server writes.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
