package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wavegate/tlsconf"
)

func TestHealth(t *testing.T) {
	ts := guarded(t, hello)
	ts.do("GET", "/_health/live", "").want(t, 200, "")
	if a := ts.do("GET", "/_health/ready", "").want(t, 200, ""); !strings.Contains(a.body, `"keychain":"ok"`) {
		t.Errorf("body %q", a.body)
	}
	ts.draining.Store(true)
	ts.do("GET", "/_health/ready", "").want(t, 503, "")
	ts.do("GET", "/_health/live", "").want(t, 200, "")
	ts.do("POST", "/_health/live", "").want(t, 405, "method_not_allowed")
	ts.do("GET", "/_health/other", "").want(t, 404, "not_found") // own paths never reach the app
}

func TestJWKSHoldsTheKeyOfEverySecret(t *testing.T) {
	ts := guarded(t, hello, func(c *Config) {
		c.SecretFile = writeFile(t, filepath.Join(t.TempDir(), "secret"), strings.Repeat("n", 32)+"\n"+strings.Repeat("o", 32)+"\n")
	})
	var set struct {
		Keys []struct{ Kid, Kty, D string }
	}
	if err := json.Unmarshal([]byte(ts.do("GET", "/oauth/jwks", "").want(t, 200, "").body), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 || set.Keys[0].Kid == set.Keys[1].Kid || set.Keys[0].D+set.Keys[1].D != "" {
		t.Errorf("keys %+v", set.Keys)
	}
}

func TestMetricsAreOnTheirOwnListenerAndHoldNoWordOfStrangers(t *testing.T) {
	ts := guarded(t, hello, func(c *Config) { c.MetricsListen = "127.0.0.1:0" })
	ts.get("/x")
	ts.do("CANARY", "/canary", "", "Authorization", basic("canary", "canary"), "User-Agent", "canary")
	ts.do("GET", "/metrics", "").want(t, 401, "credential_required") // the app's own, guarded
	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for _, want := range []string{
		`wavegate_requests_total{code="200",method="GET",route="/"} 1`, `wavegate_authentications_total{method="access-key",result="wrong"} 1`,
		"wavegate_build_info", "go_goroutines", "wavegate_request_duration_seconds_bucket",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(strings.ToLower(string(body)), "canary") {
		t.Error("a stranger's word is a label")
	}
}

func TestTLSServesHTTP2AndHTTP1AndRedirects(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
	}, func(c *Config) {
		c.TLS = tlsconf.Config{SelfSigned: true}
		c.RedirectListen = "127.0.0.1:0"
	})
	for _, h2 := range []bool{true, false} {
		var p http.Protocols
		p.SetHTTP1(!h2)
		p.SetHTTP2(h2)
		client := http.Client{Transport: &http.Transport{Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		req, _ := http.NewRequest("GET", ts.URL+"/", nil)
		req.SetBasicAuth("id", "secret")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || string(body) != "https" || (res.ProtoMajor == 2) != h2 {
			t.Errorf("h2=%v: %s %d %q", h2, res.Proto, res.StatusCode, body)
		}
	}
	plain, err := http.Get("http://" + ts.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 400 {
		t.Errorf("plain HTTP on the TLS port: %d", plain.StatusCode)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{
		"/a/b?c=d": "/a/b?c=d", "//evil.example/x": "//evil.example/x", `/\evil.example`: "/%5Cevil.example",
	} {
		req, _ := http.NewRequest("GET", "http://"+ts.RedirectAddr().String(), nil)
		req.URL.Opaque = "//" + ts.RedirectAddr().String() + strings.ReplaceAll(path, `\`, "%5C")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Location"); res.StatusCode != 308 || !strings.HasPrefix(got, "https://127.0.0.1") || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %d to %q", path, res.StatusCode, got)
		}
	}
}

func TestSlowClientsAreLetGo(t *testing.T) {
	ts := guarded(t, hello)
	srv := ts.httpServer(context.Background(), ts)
	if srv.ReadHeaderTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 || srv.HTTP2.WriteByteTimeout <= 0 {
		t.Errorf("a timeout or limit is missing: %+v", srv)
	}
	if got := ts.raw("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("huge header: %.60q", got)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	for range 2 { // the second start finds the first one's file
		ts := guarded(t, hello, func(c *Config) { c.Listen = "unix:" + path })
		client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
		req, _ := http.NewRequest("GET", "http://gate/x", nil)
		req.SetBasicAuth("id", "secret")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		client.CloseIdleConnections()
		if res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
		if err := ts.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBaseURLMovesOwnEndpoints(t *testing.T) {
	ts := guarded(t, hello, func(c *Config) { c.BaseURL = "/gate/" })
	ts.do("GET", "/gate/_health/live", "").want(t, 200, "")
	ts.do("GET", "/_health/live", "").want(t, 401, "credential_required") // the app's
	if page := ts.do("GET", "/", "", "Accept", "text/html"); !strings.Contains(page.body, `"/gate/_auth/assets/`) {
		t.Error("the page does not find its style")
	}
}

func TestPortInUseSaysWhatToDo(t *testing.T) {
	first := guarded(t, hello)
	cfg := testConfig(t)
	cfg.Listen = first.Addr().String()
	s, err := New(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another program holds it") || !strings.Contains(err.Error(), "-listen") {
		t.Errorf("error %v", err)
	}
}

// TestSocketActivation starts this test binary again as systemd would: with the
// listening socket as descriptor 3.
func TestSocketActivation(t *testing.T) {
	if os.Getenv("WAVEGATE_TEST_ACTIVATED") != "" {
		serveActivated(t)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	conn, notify := unixgram(t)
	// LISTEN_PID is the pid that exec keeps.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestSocketActivation$'`, os.Args[0])
	cmd.Env = append(os.Environ(), "WAVEGATE_TEST_ACTIVATED=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=http", "NOTIFY_SOCKET="+notify)
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if got := receive(t, conn); got != "READY=1" {
		t.Errorf("first notification %q", got)
	}
	res, err := http.Get("http://" + ln.Addr().String() + "/_health/live")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	cmd.Process.Signal(os.Interrupt)
	if got := receive(t, conn); got != "STOPPING=1" {
		t.Errorf("last notification %q", got)
	}
}

// serveActivated is the other side of TestSocketActivation.
func serveActivated(t *testing.T) {
	cfg := testConfig(t)
	cfg.Listen = ""
	s, err := New(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}
