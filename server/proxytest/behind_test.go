//go:build linux

package proxytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"wavegate/server"
)

// Configurations of proxies that end TLS and pass everything to wavegate, as
// docs/forward-auth.md shows them. The verbs are folders, TLS port, plain port,
// certificate, key, wavegate.
const (
	nginxInFront = `events {}
http {
%[1]s
	map $http_upgrade $connection_header { default upgrade; "" ""; }
	server {
		listen 127.0.0.1:%[2]s ssl;
		listen 127.0.0.1:%[3]s;
		ssl_certificate     %[4]s;
		ssl_certificate_key %[5]s;
		location /_auth/verify  { return 404; }
		location /_auth/forward { return 404; }
		location / {
			proxy_pass http://%[6]s;
			proxy_http_version 1.1;
			proxy_set_header Host              $http_host;
			proxy_set_header X-Forwarded-Host  $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-For   $proxy_add_x_forwarded_for;
			proxy_set_header Upgrade           $http_upgrade;
			proxy_set_header Connection        $connection_header;
		}
	}
}
`
	caddyInFront = `{
	admin off
	auto_https disable_redirects
}
app.example.com:%[2]s {
	bind 127.0.0.1
	tls %[4]s %[5]s
	@ask path /_auth/verify /_auth/forward /_auth/forward/*
	respond @ask 404
	reverse_proxy %[6]s
}
http://app.example.com:%[3]s {
	bind 127.0.0.1
	@ask path /_auth/verify /_auth/forward /_auth/forward/*
	respond @ask 404
	reverse_proxy %[6]s
}
`
)

// A covered is wavegate behind a proxy that ends TLS.
type covered struct {
	stage
	plain string // the proxy's port without TLS
	roots *x509.CertPool
}

func (s *covered) https(t *testing.T, ip string) client {
	return client{t: t, addr: s.addr, from: ip, tls: &tls.Config{RootCAs: s.roots, ServerName: "app.example.com"}}
}

// TestBehindProxy has TLS end at the proxy; wavegate trusts it and wants https.
func TestBehindProxy(t *testing.T) {
	for _, p := range []struct {
		name, conf string
		run        func(t *testing.T, dir, conf, port string) string
	}{
		{"nginx", nginxInFront, runNginx},
		{"Caddy", caddyInFront, func(t *testing.T, _, conf, port string) string { return runCaddy(t, conf, port) }},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := &covered{stage: stage{app: startApp(t)}}
			s.gate = startGate(t, func(c *server.Config) {
				c.PolicyFile, c.Upstreams, c.RequireHTTPS = "", []string{"http://" + s.app.addr}, true
			})
			dir, port, plain := t.TempDir(), freePort(t), freePort(t)
			var cert, key string
			cert, key, s.roots = certificate(t, dir)
			s.plain = net.JoinHostPort("127.0.0.1", plain)
			s.addr = p.run(t, dir, fmt.Sprintf(p.conf, nginxFolders(dir), port, plain, cert, key, s.gate.addr), port)
			t.Run("https passes", s.httpsPasses)
			t.Run("plain http is refused, whatever the client says", s.plainRefused)
			t.Run("the client is who the proxy says", s.clientAddress)
			t.Run("guessing locks out the client that guesses", s.lockout)
			t.Run("forged headers never win", s.forgedHeaders)
			t.Run("no client can ask about requests", s.questionsFromClients)
			t.Run("WebSockets", s.webSockets)
		})
	}
}

func (s *covered) httpsPasses(t *testing.T) {
	saw := s.expectEntry(t, "good key", s.https(t, "127.0.0.41").get("/private?a=%2f", authorize("reader")))
	if saw.Target != "/private?a=%2f" || saw.Host != "app.example.com" || saw.Header.Get("Wave-Subject-ID") != "reader" {
		t.Errorf("the app saw %+v", saw)
	}
	for name, want := range map[string]string{
		"Authorization": "", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com", "X-Forwarded-For": "127.0.0.41",
	} {
		if got := strings.Join(saw.Header.Values(name), "|"); got != want {
			t.Errorf("the app saw %s: %q, want %q", name, got, want)
		}
	}
	a := s.https(t, "127.0.0.41").get("/private").want(t, "no credential", http.StatusUnauthorized)
	if a.header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	s.expectRefusal(t, "no credential", a)
	post := request{method: "POST", target: "/private", lines: []string{authorize("reader")}, body: strings.Repeat("x", 200<<10)}
	if saw := s.expectEntry(t, "POST", s.https(t, "127.0.0.41").send(post)); saw.Body != post.body {
		t.Errorf("%d bytes arrived, want %d", len(saw.Body), len(post.body))
	}
}

func (s *covered) plainRefused(t *testing.T) {
	c := client{t: t, addr: s.plain, from: "127.0.0.1"}
	for _, lines := range [][]string{
		nil,
		{"X-Forwarded-Proto: https"},
		{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"},
		{"X-Forwarded-Proto: http, https"},
		{"X_Forwarded_Proto: https"},
		{"X-Forwarded-Ssl: on"},
		{"Front-End-Https: on"},
		{"Forwarded: proto=https"},
		{"X-Forwarded-Scheme: https"},
		{"Connection: close, X-Forwarded-Proto"},
	} {
		a := c.get("/private", append(lines, authorize("reader"))...)
		s.expectRefusal(t, strings.Join(lines, "; "), a.want(t, strings.Join(lines, "; "), http.StatusForbidden))
		if !strings.Contains(a.body, "https_required") {
			t.Errorf("%q: %q", lines, a.body)
		}
	}
	direct := client{t: t, addr: s.gate.addr, from: "127.0.0.49"} // no trusted proxy
	a := direct.get("/private", "X-Forwarded-Proto: https", authorize("reader"))
	s.expectRefusal(t, "directly", a.want(t, "directly", http.StatusForbidden))
}

func (s *covered) clientAddress(t *testing.T) {
	for i, lines := range [][]string{
		nil,
		{"X-Forwarded-For: 192.0.2.66"},
		{"X-Forwarded-For: 192.0.2.66, 127.0.0.1"},
		{"X-Forwarded-For: 127.0.0.1"},
		{"X-Forwarded-For: junk"},
		{"X-Forwarded-For: 192.0.2.66", "X-Forwarded-For: 192.0.2.67"},
		{"X-Real-IP: 192.0.2.66", "Forwarded: for=192.0.2.66"},
		{"Connection: close, X-Forwarded-For"},
	} {
		target := "/who/" + string(rune('a'+i))
		saw := s.expectEntry(t, target, s.https(t, "127.0.0.42").get(target, append(lines, authorize("reader"))...))
		if got := s.gate.lastRequest(target)["client_ip"]; got != "127.0.0.42" {
			t.Errorf("%q: wavegate's log says the client is %v", lines, got)
		}
		if got := saw.Header.Values("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.42" {
			t.Errorf("%q: the app saw X-Forwarded-For %q", lines, got)
		}
	}
}

func (s *covered) lockout(t *testing.T) {
	guesser, other := s.https(t, "127.0.0.43"), s.https(t, "127.0.0.44")
	for i := range 20 {
		spoofed := []string{"X-Forwarded-For: 127.0.0.44", "X-Forwarded-For: 192.0.2." + string(rune('0'+i%10)), "X-Real-IP: 127.0.0.44"}[i%3]
		a := guesser.get("/private", basic("NOSUCHKEY"+string(rune('A'+i)), "guess"), spoofed)
		s.expectRefusal(t, "guess", a.want(t, "guess", http.StatusUnauthorized))
	}
	s.expectRefusal(t, "locked out", guesser.get("/private", authorize("reader")).want(t, "locked out", http.StatusTooManyRequests))
	s.expectEntry(t, "another client", other.get("/private", authorize("reader")))
	s.expectEntry(t, "another client that names the first", other.get("/private", authorize("reader"), "X-Forwarded-For: 127.0.0.43"))
}

func (s *covered) forgedHeaders(t *testing.T) {
	for _, name := range identityNames() {
		var lines []string
		for _, spelling := range spellings(name) {
			lines = append(lines, spelling+": forged")
		}
		saw := s.expectEntry(t, name, s.https(t, "127.0.0.1").get("/private", append(lines, authorize("reader"))...))
		expectUnforged(t, name, saw)
		listed := s.https(t, "127.0.0.1").get("/private", "Connection: close, "+name, authorize("reader"))
		if saw := s.expectEntry(t, name+" in Connection", listed); saw.Header.Get("Wave-Subject-ID") != "reader" {
			t.Errorf("%s in Connection: the app saw %v", name, saw.Header)
		}
	}
}

func (s *covered) webSockets(t *testing.T) {
	for origin, want := range map[string]int{"https://app.example.com": http.StatusSwitchingProtocols, "https://evil.example": http.StatusForbidden} {
		header := http.Header{"Authorization": {strings.TrimPrefix(authorize("reader"), "Authorization: ")}, "Origin": {origin}}
		dialer := &http.Client{Transport: &http.Transport{TLSClientConfig: s.https(t, "").tls}}
		c, res, err := websocket.Dial(t.Context(), "wss://"+s.addr+"/live", &websocket.DialOptions{Host: "app.example.com", HTTPHeader: header, HTTPClient: dialer})
		if res == nil || res.StatusCode != want {
			t.Errorf("%s: %v, %v; want status %d", origin, res, err, want)
		}
		if err != nil {
			continue
		}
		err = c.Write(t.Context(), websocket.MessageText, []byte("through"))
		if _, message, readErr := c.Read(t.Context()); err != nil || readErr != nil || string(message) != "through" {
			t.Errorf("%s: %q, %v, %v", origin, message, err, readErr)
		}
		c.CloseNow()
	}
}

// certificate makes a certificate for app.example.com that signs itself.
func certificate(t *testing.T, dir string) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app.example.com"}, DNSNames: []string{"app.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	certFile = writeFile(t, filepath.Join(dir, "cert.pem"), string(cert))
	keyFile = writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return certFile, keyFile, roots
}

func (s *covered) questionsFromClients(t *testing.T) {
	for _, target := range []string{"/_auth/verify", "/_auth/forward", "/_auth/forward/private", "/_auth/forwar%64/private"} {
		a := s.https(t, "127.0.0.48").get(target, authorize("reader"), "X-Forwarded-Method: GET", "X-Forwarded-Uri: /private")
		s.expectRefusal(t, target, a)
		if a.header.Get("Wave-Subject-ID") != "" || a.header.Get("Remote-User") != "" {
			t.Errorf("%s: the client got %v", target, a.header)
		}
	}
}
