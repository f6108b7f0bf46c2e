package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// authority is a certificate authority of one test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key, a.file, _ = a.issue(t, "ca", true)
	return a
}

// issue makes a certificate, signed by the authority, or by itself for the
// authority's own, and writes it and its key as PEM.
func (a *authority) issue(t testing.TB, name string, ca bool) (cert *x509.Certificate, key *ecdsa.PrivateKey, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", keyDER)
	return cert, key, certFile, keyFile
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tlsUpstream starts an HTTPS upstream called app.internal that wants client
// certificates of the authority.
func tlsUpstream(t testing.TB, a *authority, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	_, _, certFile, keyFile := a.issue(t, "app.internal", false)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: x509.NewCertPool()}
	s.TLS.ClientCAs.AddCert(a.cert)
	s.Config.ErrorLog = New(Config{}).errorLog
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// whoAsks answers with protocol, SNI and the client certificate's name.
func whoAsks(w http.ResponseWriter, r *http.Request) {
	name := "nobody"
	if len(r.TLS.PeerCertificates) > 0 {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "%s %s %s", r.Proto, r.TLS.ServerName, name)
}

func TestHTTPSUpstreamsWithTheirOwnCAAndClientCertificate(t *testing.T) {
	a := newAuthority(t)
	up := tlsUpstream(t, a, whoAsks)
	_, _, certFile, keyFile := a.issue(t, "gate", false)
	stranger := newAuthority(t)
	for _, c := range []struct {
		name, tls string
		status    int
		body      string
	}{
		{"all", fmt.Sprintf("tls: {ca_file: %s, cert_file: %s, key_file: %s, server_name: app.internal}", a.file, certFile, keyFile), 200, "HTTP/2.0 app.internal gate"},
		{"no client certificate", fmt.Sprintf("tls: {ca_file: %s, server_name: app.internal}", a.file), 200, "HTTP/2.0 app.internal nobody"},
		{"unverified", "tls: {insecure_skip_verify: true}", 200, "HTTP/2.0  nobody"},
		{"system roots", "tls: {server_name: app.internal}", 502, ""},
		{"another CA", fmt.Sprintf("tls: {ca_file: %s, server_name: app.internal}", stranger.file), 502, ""},
		{"another name", fmt.Sprintf("tls: {ca_file: %s, server_name: other.internal}", a.file), 502, ""},
		{"the address is not in the certificate", fmt.Sprintf("tls: {ca_file: %s}", a.file), 502, ""},
	} {
		f := newFront(t, frontConfig{policy: route(up.URL, c.tls)})
		status, body := f.get(t, "/")
		if status != c.status || status == 200 && body != c.body {
			t.Errorf("%s: got %d %q, want %d %q", c.name, status, body, c.status, c.body)
		}
	}
}

func TestBrokenCertificateFilesAreLoadErrors(t *testing.T) {
	a := newAuthority(t)
	_, _, certFile, _ := a.issue(t, "one", false)
	_, _, _, otherKey := a.issue(t, "two", false)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		"ca_file: " + empty: "no PEM certificate",
		fmt.Sprintf("cert_file: %s, key_file: %s", certFile, otherKey): "private key does not match",
	} {
		g := New(Config{})
		err := g.Load(mustPolicy(t, route("https://127.0.0.1:1", "tls: {"+settings+"}")))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "policy.yaml:2") {
			t.Errorf("%s: got %v", settings, err)
		}
		g.Close()
	}
}

func TestEveryProblemOfARouteHasItsPlace(t *testing.T) {
	p := mustPolicy(t, "upstreams:\n  - {route: /, url: https://u, tls: {ca_file: /missing/a, cert_file: /missing/b, key_file: /missing/c}}\n")
	g := New(Config{})
	defer g.Close()
	err := g.Load(p)
	if err == nil {
		t.Fatal("loaded")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 {
		t.Errorf("%d lines, want 3", len(lines))
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "policy.yaml:2: ") {
			t.Errorf("a line without its place: %s", line)
		}
	}
}

func TestRenewedCertificateFilesAreUsedAfterAReload(t *testing.T) {
	a := newAuthority(t)
	up := tlsUpstream(t, a, whoAsks)
	_, _, certFile, keyFile := a.issue(t, "gate", false)
	settings := route(up.URL, fmt.Sprintf("tls: {ca_file: %s, cert_file: %s, key_file: %s, server_name: app.internal}", a.file, certFile, keyFile))
	f := newFront(t, frontConfig{policy: settings})
	if _, body := f.get(t, "/"); body != "HTTP/2.0 app.internal gate" {
		t.Fatal(body)
	}
	_, _, newCert, newKey := a.issue(t, "renewed", false)
	for from, to := range map[string]string{newCert: certFile, newKey: keyFile} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	f.load(t, settings)
	if _, body := f.get(t, "/"); body != "HTTP/2.0 app.internal renewed" {
		t.Error(body)
	}
	if n := len(f.gateway.transports); n != 1 {
		t.Errorf("%d transports are kept", n)
	}
}

// newH2CUpstream starts an upstream that speaks HTTP/2 without TLS, and
// HTTP/1.1 for what cannot.
func newH2CUpstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP1(true)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return "h2c://" + l.Addr().String()
}

func TestH2CUpstreams(t *testing.T) {
	up := newH2CUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			echo(t, w, r)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %s %d %v", r.Proto, r.Host, n, err)
	})
	f := newFront(t, frontConfig{policy: route(up, "max_request_size: 10")})
	resp, body := f.raw(t, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
	if resp.StatusCode != 200 || body != "HTTP/2.0 app.test 3 <nil>" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	resp, body = f.raw(t, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n")
	if resp.StatusCode != 413 {
		t.Errorf("too large: got %d %q", resp.StatusCode, body)
	}
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(f.URL, "http"), nil)
	if err != nil {
		t.Fatalf("websocket: %v", err)
	}
	defer c.CloseNow()
	if got := say(t, c, "hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+deadAddress(t))
	t.Setenv("http_proxy", "http://"+deadAddress(t))
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url, "pass_host: false")})
	if status, body := f.get(t, "/"); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	if newHTTPTransport(0, nil).Proxy != nil {
		t.Error("a proxy is set")
	}
}
