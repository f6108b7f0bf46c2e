package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestHTTP2IsNegotiatedAndHTTP11StillWorks(t *testing.T) {
	ca := newTestCA(t, "ca")
	addr := serve(t, newSource(t, filesConfig(t, ca)), "127.0.0.1:0")
	body, state, err := get(t, addr, &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	if body != "HTTP/2.0" || state.NegotiatedProtocol != "h2" {
		t.Errorf("got %s by %q, want HTTP/2.0 by h2", body, state.NegotiatedProtocol)
	}
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("got %s with %s, want TLS 1.3 with X25519MLKEM768", tls.VersionName(state.Version), state.CurveID)
	}
	body, _, err = get(t, addr, &tls.Config{RootCAs: ca.pool(), NextProtos: []string{"http/1.1"}, MaxVersion: tls.VersionTLS12})
	if err != nil || body != "HTTP/1.1" {
		t.Errorf("got %q, %v, want HTTP/1.1", body, err)
	}
}

func TestOldProtocolsAndSuitesAreRefused(t *testing.T) {
	t.Setenv("GODEBUG", "tls10server=1,tlsrsakex=1,tls3des=1") // none of it may lower the policy
	ca := newTestCA(t, "ca")
	addr := serve(t, newSource(t, filesConfig(t, ca)), "127.0.0.1:0")
	weak := slices.Concat(tls.InsecureCipherSuites(), slices.DeleteFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool {
		return slices.Contains(policy().CipherSuites, c.ID) || slices.Equal(c.SupportedVersions, []uint16{tls.VersionTLS13})
	}))
	for _, c := range weak {
		cfg := &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{c.ID}}
		if conn, err := tls.Dial("tcp", addr, cfg); err == nil {
			conn.Close()
			t.Errorf("%s was accepted", c.Name)
		}
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS10, MaxVersion: v}); err == nil {
			conn.Close()
			t.Errorf("%s was accepted", tls.VersionName(v))
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients, strangers := newTestCA(t, "ca"), newTestCA(t, "clients"), newTestCA(t, "strangers")
	cfg := filesConfig(t, ca)
	cfg.ClientCAFile = write(t, t.TempDir(), "clients.pem", clients.pem())
	addr := serve(t, newSource(t, cfg), "127.0.0.1:0")
	namesake := newTestCA(t, "clients") // the right name, the wrong key
	for _, tt := range []struct {
		name string
		show tls.Certificate
		ok   bool
	}{
		{"accepted", clients.client(t, "app")[0], true},
		{"missing", tls.Certificate{}, false},
		{"of another CA", strangers.client(t, "app")[0], false},
		{"of the server's CA", ca.client(t, "app")[0], false},
		{"of a namesake", namesake.client(t, "app")[0], false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				_, _, err := get(t, addr, &tls.Config{
					RootCAs: ca.pool(), MaxVersion: version,
					// Whatever the server asks for, this is what it gets.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						return &tt.show, nil
					},
				})
				if (err == nil) != tt.ok {
					t.Errorf("got error %v, want success: %t", err, tt.ok)
				}
			})
		}
	}
}

func TestReloadOfClientCAsEndsResumption(t *testing.T) {
	ca, before, after := newTestCA(t, "ca"), newTestCA(t, "before"), newTestCA(t, "after")
	cfg := filesConfig(t, ca)
	dir := t.TempDir()
	cfg.ClientCAFile = write(t, dir, "clients.pem", before.pem())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		write(t, dir, "clients.pem", before.pem())
		s := newSource(t, cfg)
		addr := serve(t, s, "127.0.0.1:0")
		client := &tls.Config{RootCAs: ca.pool(), Certificates: before.client(t, "app"), ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: version}
		for i := range 2 {
			_, state, err := get(t, addr, client)
			if err != nil || state.DidResume != (i == 1) {
				t.Fatalf("%s: connection %d: resumed %t, error %v", tls.VersionName(version), i, state != nil && state.DidResume, err)
			}
		}
		write(t, dir, "clients.pem", after.pem())
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := get(t, addr, client); err == nil {
			t.Errorf("%s: a client of a CA that was removed came in by a session ticket", tls.VersionName(version))
		}
		if _, _, err := get(t, addr, &tls.Config{RootCAs: ca.pool(), Certificates: after.client(t, "app")}); err != nil {
			t.Errorf("client of the new CA: %v", err)
		}
	}
}

func TestReloadUnderConcurrentHandshakes(t *testing.T) {
	ca := newTestCA(t, "ca")
	cfg := filesConfig(t, ca)
	s := newSource(t, cfg)
	addr := serve(t, s, "127.0.0.1:0")
	var stop atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool()})
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
			}
		})
	}
	defer clients.Wait()
	defer stop.Store(true)

	for range 10 {
		certPEM, keyPEM := ca.issue(t, "gate.example.test", nil)
		replace(t, cfg.KeyFile, keyPEM)
		if err := s.Reload(); err == nil {
			t.Fatal("Reload took the new key with the old certificate")
		}
		replace(t, cfg.CertFile, []byte("garbage"))
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "the old ones stay in use") {
			t.Fatalf("got %v, want an error that says what stays", err)
		}
		replace(t, cfg.CertFile, certPEM)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if got, want := servedSerial(t, addr, ca), serialOf(t, certPEM); got != want {
			t.Fatalf("served certificate: got serial %s, want %s", got, want)
		}
	}
}

func TestReloadKeepsEverythingWhenOnePartIsBad(t *testing.T) {
	ca, clients := newTestCA(t, "ca"), newTestCA(t, "clients")
	cfg := filesConfig(t, ca)
	cfg.ClientCAFile = write(t, t.TempDir(), "clients.pem", clients.pem())
	s := newSource(t, cfg)
	addr := serve(t, s, "127.0.0.1:0")
	client := &tls.Config{RootCAs: ca.pool(), Certificates: clients.client(t, "app")}
	until := s.NotAfter()

	certPEM, keyPEM := ca.issue(t, "gate.example.test", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(-time.Minute) })
	replace(t, cfg.CertFile, certPEM)
	replace(t, cfg.KeyFile, keyPEM)
	replace(t, cfg.ClientCAFile, []byte("# all gone\n"))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "--tls-client-ca-file") {
		t.Fatalf("got %v, want an error that names the client CA file", err)
	}
	if _, _, err := get(t, addr, client); err != nil {
		t.Error(err)
	}
	if _, _, err := get(t, addr, &tls.Config{RootCAs: ca.pool()}); err == nil {
		t.Error("an empty client CA file let everybody in")
	}
	if got := s.NotAfter(); !got.Equal(until) {
		t.Errorf("NotAfter: got %v, want the old certificate's %v", got, until)
	}
	replace(t, cfg.ClientCAFile, clients.pem())
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.NotAfter(), until.Add(-time.Minute); got.Sub(want).Abs() > time.Minute/2 {
		t.Errorf("NotAfter: got %v, want the new certificate's %v", got, want)
	}
}

func TestReloadRefusesAnExpiredCertificateForAGoodOne(t *testing.T) {
	ca := newTestCA(t, "ca")
	cfg := filesConfig(t, ca)
	s := newSource(t, cfg)
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.Add(-time.Hour), time.Now().Add(-time.Minute)
	}
	certPEM, keyPEM := ca.issue(t, "gate.example.test", expired)
	replace(t, cfg.CertFile, certPEM)
	replace(t, cfg.KeyFile, keyPEM)
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v, want an error that says expired", err)
	}
	if got := s.Warnings(); got != nil {
		t.Errorf("Warnings: got %q, want none of the certificate that was not taken", got)
	}
	if _, err := New(cfg); err != nil {
		t.Errorf("a start with the expired certificate: got %v, want a warning only", err)
	}
}

func TestFilesToWatch(t *testing.T) {
	ca := newTestCA(t, "ca")
	cfg := filesConfig(t, ca)
	cfg.ClientCAFile = write(t, t.TempDir(), "clients.pem", ca.pem())
	if got, want := cfg.Files(), []string{cfg.CertFile, cfg.KeyFile, cfg.ClientCAFile}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Config{SelfSigned: true, DataDir: t.TempDir()}).Files(); got != nil {
		t.Errorf("self-signed: got %q, want none", got)
	}
}

func TestChallengeHandlerLeavesOtherSourcesAlone(t *testing.T) {
	s := newSource(t, filesConfig(t, newTestCA(t, "ca")))
	w := httptest.NewRecorder()
	s.ChallengeHandler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/acme-challenge/x", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d, want next's 404", w.Code)
	}
}

// replace swaps a file that is in use.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func servedSerial(t *testing.T, addr string, ca testCA) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func serialOf(t *testing.T, certPEM []byte) string {
	t.Helper()
	certs, err := parseCertificates(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return certs[0].SerialNumber.String()
}
