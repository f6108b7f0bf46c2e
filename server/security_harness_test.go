package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/keychain"
)

// corpus reads the lines of a file in testdata. A line is taken byte for byte,
// but that \xNN is the byte NN; comments and empty lines are left out.
func corpus(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		var b strings.Builder
		for i := 0; i < len(line); i++ {
			if i+3 < len(line) && line[i] == '\\' && line[i+1] == 'x' {
				if n, err := strconv.ParseUint(line[i+2:i+4], 16, 8); err == nil {
					b.WriteByte(byte(n))
					i += 3
					continue
				}
			}
			b.WriteByte(line[i])
		}
		out = append(out, b.String())
	}
	if len(out) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return out
}

// escapeAll writes every byte as an escape, and only the slashes as they are.
func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '/' {
			b.WriteByte('/')
			continue
		}
		b.WriteString("%" + strconv.FormatUint(uint64(s[i])+0x100, 16)[1:])
	}
	return b.String()
}

// A rawApp is an app that keeps the literal bytes of each request that reaches
// it, trailers included, and answers 200.
type rawApp struct {
	url string

	mu   sync.Mutex // guards seen
	seen []string
}

func newRawApp(t *testing.T) *rawApp {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := &rawApp{url: "http://" + ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { app.answer(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return app
}

func (a *rawApp) answer(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var got bytes.Buffer
	r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &got)))
	if err == nil {
		io.Copy(io.Discard, r.Body)
	}
	a.mu.Lock()
	a.seen = append(a.seen, got.String())
	a.mu.Unlock()
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}

// take returns what has arrived since the last call. A request has arrived
// before its client has the answer.
func (a *rawApp) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.seen
	a.seen = nil
	return out
}

// targets returns the request targets of what has arrived.
func (a *rawApp) targets() []string {
	var out []string
	for _, request := range a.take() {
		line, _, _ := strings.Cut(request, "\r\n")
		target, _, _ := strings.Cut(line[strings.IndexByte(line, ' ')+1:], " ")
		out = append(out, target)
	}
	return out
}

// wire sends literal bytes to an address and returns the answer, nil where the
// connection ended without one.
func wire(t *testing.T, addr net.Addr, request string) *answer {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		return nil
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	body, _ := io.ReadAll(res.Body) // the server may reset what it refused to read
	res.Request = &http.Request{URL: &url.URL{Opaque: strconv.Quote(request)}}
	return &answer{res, string(body)}
}

// plainGet is a GET with literal bytes for the target and more header lines.
func plainGet(target, host string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// withPolicy makes a policy file the only source of routes.
func withPolicy(t *testing.T, yaml string) func(*Config) {
	path := writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), yaml)
	return func(c *Config) { c.PolicyFile, c.Upstreams = path, nil }
}

// withKeys makes a file of pairs, cheap to verify, the only source of keys. A
// pair is an ID and its secret, with a colon between.
func withKeys(t *testing.T, pairs ...string) func(*Config) {
	t.Helper()
	var lines strings.Builder
	for _, pair := range pairs {
		id, secret, _ := strings.Cut(pair, ":")
		lines.WriteString(keychainLine(t, id, secret))
	}
	path := writeFile(t, filepath.Join(t.TempDir(), "keychain"), lines.String())
	return func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true} }
}

// configured starts a server with the plain configuration, changed; its key is
// in a file, so that wrong pairs are cheap to refuse.
func configured(t *testing.T, change ...func(*Config)) *testServer {
	t.Helper()
	cfg := testConfig(t)
	withKeys(t, "id:secret")(&cfg)
	for _, c := range change {
		c(&cfg)
	}
	return startServer(t, cfg)
}
