package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// fakeCA is a CA that answers nothing useful and counts who asks.
func fakeCA(t *testing.T, handle http.HandlerFunc) (cfg Config, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handle(w, r)
	}))
	srv.Config.ErrorLog = nullLog()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	return Config{
		ACMEDomains:      []string{"gate.example.test", "Other.Example.Test."},
		ACMEDirectoryURL: srv.URL,
		ACMECAFile:       write(t, dir, "ca.pem", pemOf("CERTIFICATE", srv.Certificate().Raw)),
		DataDir:          filepath.Join(dir, "data"),
	}, asked
}

// hello is a modern client's handshake for name.
func hello(name string, protos ...string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: name, SupportedProtos: protos,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

func TestHandshakesForOtherNamesFailWithoutAskingTheCA(t *testing.T) {
	cfg, asked := fakeCA(t, http.NotFound)
	s := newSource(t, cfg)
	addr := serve(t, s, "127.0.0.1:0")
	names := []string{
		"", "evil.test", "example.test", "a.gate.example.test", "xgate.example.test", "gate.example.test.evil.test",
		"gate.example.tes", "gate-example.test", "*.example.test", "127.0.0.1", "../acme_account+key",
	}
	for _, name := range names {
		for _, protos := range [][]string{{"h2"}, {acme.ALPNProto}} {
			if _, err := s.acme.certificate(hello(name, protos...)); !errors.Is(err, errHost) {
				t.Errorf("%q %q: got %v, want %v", name, protos, err, errHost)
			}
			if conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protos}); err == nil {
				conn.Close()
				t.Errorf("%q %q: a real handshake got through", name, protos)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the CA was asked %d times, want never", n)
	}
	if _, err := s.acme.certificate(hello("GATE.example.test")); err == nil || asked.Load() == 0 {
		t.Errorf("a listed name: got error %v after %d requests, want the CA's refusal", err, asked.Load())
	}
	if files, err := os.ReadDir(filepath.Join(cfg.DataDir, acmeFolder)); err != nil || len(files) != 1 {
		t.Errorf("got files %v, %v, want the account key alone", files, err)
	}
}

func TestHandshakesThatWaitForACertificateAreBounded(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{})
	var once sync.Once
	cfg, asked := fakeCA(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(started) })
		<-release
		http.NotFound(w, r)
	})
	s := newSource(t, cfg)
	var waiters sync.WaitGroup
	for range maxWaiting {
		waiters.Go(func() {
			if _, err := s.acme.certificate(hello("gate.example.test")); err == nil {
				t.Error("got a certificate from a CA that gives none")
			}
		})
	}
	<-started
	for s.acme.domains["gate.example.test"].waiting.Load() < maxWaiting {
		runtime.Gosched() // until all of them are inside
	}
	if _, err := s.acme.certificate(hello("gate.example.test")); !errors.Is(err, errWaiting) {
		t.Errorf("one more: got %v, want %v", err, errWaiting)
	}
	if _, err := s.acme.certificate(hello("gate.example.test", acme.ALPNProto)); errors.Is(err, errWaiting) {
		t.Error("the CA's own validation was shut out")
	}
	if s.acme.domains["other.example.test"].waiting.Load() != 0 {
		t.Error("another domain is touched")
	}
	close(release)
	waiters.Wait()
	if n := asked.Load(); n > 2 {
		t.Errorf("the CA was asked %d times for %d handshakes", n, maxWaiting)
	}
	if _, err := s.acme.certificate(hello("gate.example.test")); errors.Is(err, errWaiting) {
		t.Error("places were not given back")
	}
}

func TestChallengePathIsForListedHostsAndTellsNothingElse(t *testing.T) {
	cfg, asked := fakeCA(t, http.NotFound)
	s := newSource(t, cfg)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := s.ChallengeHandler(next)
	const prefix = "/.well-known/acme-challenge/"
	if err := s.acme.cache.Put(t.Context(), "tok_en-1+http-01", []byte("answer")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host, path string
		code       int
		body       string
	}{
		{"gate.example.test", prefix + "tok_en-1", http.StatusOK, "answer"},
		{"GATE.example.test.:8080", prefix + "tok_en-1", http.StatusOK, "answer"},
		{"evil.test", prefix + "tok_en-1", http.StatusForbidden, ""},
		{"gate.example.test.evil.test", prefix + "tok_en-1", http.StatusForbidden, ""},
		{"gate.example.test", prefix + "unknown", http.StatusNotFound, ""},
		{"gate.example.test", prefix + strings.Repeat("a", 300), http.StatusNotFound, ""},
		{"gate.example.test", prefix + "../acme_account+key", http.StatusNotFound, ""},
		{"gate.example.test", prefix, http.StatusNotFound, ""},
		{"gate.example.test", prefix + "a%00b", http.StatusNotFound, ""},
		{"gate.example.test", "/else", http.StatusTeapot, ""},
		{"evil.test", "/else", http.StatusTeapot, ""},
	} {
		r := httptest.NewRequest("GET", tt.path, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.code || tt.body != "" && w.Body.String() != tt.body {
			t.Errorf("%s%s: got %d %q, want %d %q", tt.host, tt.path, w.Code, w.Body, tt.code, tt.body)
		}
		if body := w.Body.String(); strings.Contains(body, cfg.DataDir) || strings.Contains(body, "evil") {
			t.Errorf("%s%s: the answer says too much: %q", tt.host, tt.path, body)
		}
	}
	if asked.Load() != 0 {
		t.Error("the CA was asked")
	}
}

func TestACMECacheKeepsOnlyKeysThatCanExist(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "acme")
	c, err := newACMECache(dir, map[string]*acmeDomain{"gate.example.test": {}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "stray", []byte("x"))
	write(t, dir, "st.ray+http-01", []byte("x"))
	for _, key := range []string{"stray", "gate.example.test+rsa", "st.ray+http-01", "+http-01", "evil.test", "evil.test+token", "../acme/stray", ""} {
		if got, err := c.Get(t.Context(), key); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("%q: got %q, %v, want a miss", key, got, err)
		}
	}
	for _, key := range []string{"gate.example.test", "gate.example.test+token", "acme_account+key", "tok+http-01"} {
		if _, err := c.Get(t.Context(), key); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("%q: got %v, want a miss", key, err)
		}
		if err := c.Put(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(t.Context(), key); err != nil || string(got) != key {
			t.Errorf("%q: got %q, %v", key, got, err)
		}
		if info, err := os.Stat(filepath.Join(dir, key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: got %v, %v, want mode 600", key, info, err)
		}
		if err := c.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

func TestACMEFolderIsClosedToOthers(t *testing.T) {
	cfg, _ := fakeCA(t, http.NotFound)
	dir := filepath.Join(cfg.DataDir, acmeFolder)
	for range 2 {
		newSource(t, cfg)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("got %v, %v, want mode 700", info.Mode(), err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // as a backup may bring it back
			t.Fatal(err)
		}
	}
}

func TestACMEFolderThatCannotBeUsedIsAStartupError(t *testing.T) {
	cfg, _ := fakeCA(t, http.NotFound)
	write(t, filepath.Dir(cfg.DataDir), "data", []byte("a file in the way"))
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "--data-dir "+cfg.DataDir) {
		t.Errorf("got %v, want an error that names the folder", err)
	}
	cfg.ACMECAFile += ".none"
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "--tls-acme-ca-file "+cfg.ACMECAFile) {
		t.Errorf("got %v, want an error that names the CA file", err)
	}
}

func TestACMEWarnsWhenNothingCanBeKept(t *testing.T) {
	cfg, _ := fakeCA(t, http.NotFound)
	s := newSource(t, cfg)
	if err := os.RemoveAll(filepath.Join(cfg.DataDir, acmeFolder)); err != nil {
		t.Fatal(err)
	}
	if err := s.acme.cache.Put(context.Background(), "gate.example.test", []byte("x")); err == nil {
		t.Error("Put into a folder that is gone: got no error")
	}
	if got := s.Warnings(); len(got) != 1 || !strings.Contains(got[0], "was not kept") {
		t.Errorf("got %q, want one warning", got)
	}
}

func TestACMEStartsWithWhatItKept(t *testing.T) {
	ca := newTestCA(t, "ca")
	cfg, asked := fakeCA(t, http.NotFound)
	certPEM, _ := ca.issue(t, "gate.example.test", nil)
	keyless := newSource(t, cfg)
	if !keyless.NotAfter().IsZero() {
		t.Errorf("NotAfter before the first certificate: got %v, want zero", keyless.NotAfter())
	}
	dir := filepath.Join(cfg.DataDir, acmeFolder)
	for name, tt := range map[string]struct {
		data  []byte
		known bool
	}{
		"good":        {certPEM, true},
		"other host":  {first(ca.issue(t, "evil.test", nil)), false},
		"not PEM":     {[]byte("x"), false},
		"empty":       {nil, false},
		"broken cert": {pemOf("CERTIFICATE", []byte("x")), false},
	} {
		write(t, dir, "gate.example.test", tt.data)
		if known := !newSource(t, cfg).NotAfter().IsZero(); known != tt.known {
			t.Errorf("%s: NotAfter known: got %t, want %t", name, known, tt.known)
		}
	}
	if asked.Load() != 0 {
		t.Error("a start asked the CA")
	}
}

func TestACMEOrdersNoSecondCertificateForOldClients(t *testing.T) {
	ca := newTestCA(t, "ca")
	cfg, asked := fakeCA(t, http.NotFound)
	s := newSource(t, cfg)
	certPEM, keyPEM := ca.issue(t, "gate.example.test", nil)
	write(t, filepath.Join(cfg.DataDir, acmeFolder), "gate.example.test", append(keyPEM, certPEM...))
	old := hello("gate.example.test")
	old.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	old.SignatureSchemes = []tls.SignatureScheme{tls.PSSWithSHA256}
	cert, err := s.acme.certificate(old)
	if err != nil || cert.Leaf.SerialNumber.String() != serialOf(t, certPEM) {
		t.Errorf("got error %v, want the kept certificate", err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the CA was asked %d times", n)
	}
}

func first(a, _ []byte) []byte { return a }

func TestACMEConfigOffersTheChallengeProtocolWithoutClientCertificates(t *testing.T) {
	ca := newTestCA(t, "clients")
	cfg, _ := fakeCA(t, http.NotFound)
	cfg.ClientCAFile = write(t, t.TempDir(), "clients.pem", ca.pem())
	outer := newSource(t, cfg).TLSConfig()
	if want := []string{"h2", "http/1.1", acme.ALPNProto}; !slices.Equal(outer.NextProtos, want) {
		t.Errorf("got %q, want %q", outer.NextProtos, want)
	}
	for _, tt := range []struct {
		protos []string
		auth   tls.ClientAuthType
	}{
		{[]string{acme.ALPNProto}, tls.NoClientCert},
		{[]string{acme.ALPNProto, "h2"}, tls.RequireAndVerifyClientCert},
		{[]string{"h2", acme.ALPNProto}, tls.RequireAndVerifyClientCert},
		{[]string{"http/1.1"}, tls.RequireAndVerifyClientCert},
		{nil, tls.RequireAndVerifyClientCert},
	} {
		inner, err := outer.GetConfigForClient(hello("gate.example.test", tt.protos...))
		if err != nil {
			t.Fatal(err)
		}
		speaksHTTP := slices.ContainsFunc(inner.NextProtos, func(p string) bool { return p != acme.ALPNProto })
		if inner.ClientAuth != tt.auth || speaksHTTP != (tt.auth != tls.NoClientCert) {
			t.Errorf("%q: got client certificates %s and protocols %q", tt.protos, inner.ClientAuth, inner.NextProtos)
		}
	}
}

func FuzzChallengePath(f *testing.F) {
	for _, p := range []string{"token", "../acme_account+key", "..%2facme_account+key", "\x00", strings.Repeat("a", 300), "a/b", "+http-01"} {
		f.Add(p, "gate.example.test")
	}
	dir := f.TempDir()
	s, err := New(Config{ACMEDomains: []string{"gate.example.test"}, DataDir: dir})
	if err != nil {
		f.Fatal(err)
	}
	secret := []byte("canary")
	if err := s.acme.cache.Put(f.Context(), "acme_account+key", secret); err != nil {
		f.Fatal(err)
	}
	h := s.ChallengeHandler(http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, path, host string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path, r.Host = "/.well-known/acme-challenge/"+path, host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		if err != nil || w.Code == http.StatusOK || bytes.Contains(body, secret) || bytes.Contains(body, []byte(dir)) {
			t.Errorf("got %d %q", w.Code, body)
		}
	})
}
