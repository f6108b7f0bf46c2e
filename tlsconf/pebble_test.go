package tlsconf

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The addresses that the test's DNS gives. Pebble validates every name on the
// same two ports, so the servers of different names have different addresses.
var testHosts = map[string][4]byte{
	"alpn.example.test.": {127, 0, 0, 1}, // answers tls-alpn-01
	"http.example.test.": {127, 0, 0, 2}, // answers http-01 only
	"mtls.example.test.": {127, 0, 0, 3}, // demands client certificates of everybody else
}

// pebble is a real ACME server, with real validation, on free ports.
type pebble struct {
	directory string
	caFile    string         // of its own HTTPS
	roots     *x509.CertPool // of the certificates that it issues
	httpPort  string         // where it looks for http-01
	tlsPort   string         // where it looks for tls-alpn-01
}

func findPebble(t *testing.T) string {
	t.Helper()
	path := os.Getenv("WAVEGATE_PEBBLE")
	if path == "" {
		path = filepath.Join("..", ".tools", "pebble")
	}
	if _, err := os.Stat(path); err == nil {
		abs, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return abs
	}
	path, err := exec.LookPath("pebble")
	return needTool(t, path, err, "pebble is missing: in the repository's root, GOBIN=$PWD/.tools go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1")
}

// freePorts returns ports that are free on all of testHosts at this moment.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for len(ports) < n {
		l, err := net.Listen("tcp", "0.0.0.0:0") // free here is free on each address
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

func startPebble(t *testing.T) pebble {
	t.Helper()
	binary := findPebble(t)
	dir, ca, ports := t.TempDir(), newTestCA(t, "pebble's own"), freePorts(t, 4)
	api, management := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	p := pebble{
		directory: "https://" + api + "/dir",
		caFile:    write(t, dir, "ca.pem", ca.pem()),
		httpPort:  ports[2],
		tlsPort:   ports[3],
	}
	certPEM, keyPEM := ca.issue(t, "localhost", nil)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management,
		"certificate": write(t, dir, "cert.pem", certPEM), "privateKey": write(t, dir, "key.pem", keyPEM),
		"httpPort": atoi(t, p.httpPort), "tlsPort": atoi(t, p.tlsPort),
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-config", write(t, dir, "pebble.json", config), "-dnsserver", serveDNS(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log, ready := followPebble(output)
	t.Cleanup(func() {
		stop()
		<-log.done // before Wait, which closes the pipe
		cmd.Wait()
		if t.Failed() {
			t.Logf("pebble said:\n%s", log.text.String())
		}
	})
	select {
	case <-ready:
	case <-log.done:
		t.Fatal("pebble ended before it listened")
	case <-time.After(time.Minute):
		t.Fatal("pebble does not listen")
	}
	p.roots = fetchRoots(t, management, ca.pool())
	return p
}

// pebbleLog is what pebble wrote; text may be read when done is closed.
type pebbleLog struct {
	text bytes.Buffer
	done chan struct{}
}

// followPebble reads pebble's output to its end. ready is closed by the line
// that follows its listening on the API.
func followPebble(r io.Reader) (log *pebbleLog, ready chan struct{}) {
	log, ready = &pebbleLog{done: make(chan struct{})}, make(chan struct{})
	go func() {
		defer close(log.done)
		waiting := true
		for lines := bufio.NewScanner(r); lines.Scan(); {
			log.text.WriteString(lines.Text() + "\n")
			if waiting && strings.Contains(lines.Text(), "ACME directory available") {
				close(ready)
				waiting = false
			}
		}
	}()
	return log, ready
}

// fetchRoots asks pebble for the root that it made at its start. Pebble says
// that it listens a moment before it does.
func fetchRoots(t *testing.T, management string, pool *x509.CertPool) *x509.CertPool {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	resp, err := client.Get("https://" + management + "/roots/0")
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		<-again.C
		resp, err = client.Get("https://" + management + "/roots/0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatalf("pebble's root: got %q", data)
	}
	return roots
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// serveDNS answers for testHosts until the test ends, over TCP, which is how
// pebble asks.
func serveDNS(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				answerConn(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// answerConn answers the one query of a connection (RFC 1035 §4.2.2).
func answerConn(conn io.ReadWriter) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	answer, err := answerDNS(query)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

func answerDNS(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) == 0 {
		return nil, err
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true},
		Questions: m.Questions[:1],
	}
	ip, known := testHosts[strings.ToLower(q.Name.String())]
	switch {
	case !known:
		answer.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AResource{A: ip},
		}}
	}
	return answer.Pack()
}

func (p pebble) config(t *testing.T, host string) Config {
	t.Helper()
	return Config{
		ACMEDomains: []string{host}, ACMEEmail: "admin@example.test", DataDir: t.TempDir(),
		ACMEDirectoryURL: p.directory, ACMECAFile: p.caFile,
	}
}

func TestACMEWithPebble(t *testing.T) {
	p := startPebble(t)
	t.Run("tls-alpn-01", func(t *testing.T) {
		cfg := p.config(t, "alpn.example.test")
		s := newSource(t, cfg)
		addr := serve(t, s, "127.0.0.1:"+p.tlsPort)
		leaf := p.mustGet(t, addr, "alpn.example.test", nil)
		if !s.NotAfter().Equal(leaf.NotAfter) || s.Warnings() != nil {
			t.Errorf("got NotAfter %v, warnings %q, want %v and none", s.NotAfter(), s.Warnings(), leaf.NotAfter)
		}
		checkACMEFiles(t, cfg)
		checkSecondStart(t, p, cfg, leaf)
	})
	t.Run("http-01", func(t *testing.T) {
		s := newSource(t, p.config(t, "http.example.test"))
		l, err := net.Listen("tcp", "127.0.0.2:"+p.httpPort)
		if err != nil {
			t.Fatal(err)
		}
		serveOn(t, l, &http.Server{Handler: s.ChallengeHandler(http.NotFoundHandler())})
		p.mustGet(t, serve(t, s, "127.0.0.2:0"), "http.example.test", nil) // nothing listens where tls-alpn-01 is looked for
	})
	t.Run("tls-alpn-01 where clients need certificates", func(t *testing.T) {
		clients := newTestCA(t, "clients")
		cfg := p.config(t, "mtls.example.test")
		cfg.ClientCAFile = write(t, t.TempDir(), "clients.pem", clients.pem())
		addr := serve(t, newSource(t, cfg), "127.0.0.3:"+p.tlsPort)
		p.mustGet(t, addr, "mtls.example.test", clients.client(t, "app"))
		if _, _, err := get(t, addr, &tls.Config{RootCAs: p.roots, ServerName: "mtls.example.test"}); err == nil {
			t.Error("a client without a certificate came in")
		}
	})
}

// mustGet makes a request to host at addr, whose certificate must chain to
// pebble's root, and returns that certificate.
func (p pebble) mustGet(t *testing.T, addr, host string, show []tls.Certificate) *x509.Certificate {
	t.Helper()
	body, state, err := get(t, addr, &tls.Config{RootCAs: p.roots, ServerName: host, Certificates: show})
	if err != nil {
		t.Fatal(err)
	}
	if body != "HTTP/2.0" {
		t.Errorf("got %s, want HTTP/2.0", body)
	}
	return state.PeerCertificates[0]
}

func checkACMEFiles(t *testing.T, cfg Config) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(cfg.DataDir, acmeFolder))
	if err != nil {
		t.Fatal(err)
	}
	kept := false
	for _, f := range files {
		info, err := f.Info()
		if os.IsNotExist(err) {
			continue // autocert cleans up behind its challenges
		}
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 600", f.Name(), info, err)
		}
		kept = kept || f.Name() == cfg.ACMEDomains[0]
	}
	if !kept {
		t.Errorf("the certificate is not among %v", files)
	}
}

// checkSecondStart starts again, with a CA that cannot be reached.
func checkSecondStart(t *testing.T, p pebble, cfg Config, want *x509.Certificate) {
	t.Helper()
	cfg.ACMEDirectoryURL = "https://127.0.0.1:1/dir"
	s := newSource(t, cfg)
	if got := s.NotAfter(); !got.Equal(want.NotAfter) {
		t.Errorf("NotAfter before any handshake: got %v, want %v", got, want.NotAfter)
	}
	if got := p.mustGet(t, serve(t, s, "127.0.0.1:0"), cfg.ACMEDomains[0], nil); !got.Equal(want) {
		t.Error("the second start has another certificate than the first")
	}
}
