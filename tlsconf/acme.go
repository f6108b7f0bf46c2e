package tlsconf

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// acmeFolder under the data folder keeps account key and certificates.
	acmeFolder = "acme"
	// acmeTimeout bounds one request to the CA. An order takes several.
	acmeTimeout = 30 * time.Second
	// maxWaiting bounds the handshakes that wait for one domain's certificate
	// while the CA is asked, which takes up to five minutes.
	maxWaiting = 128
)

// errHost answers handshakes and challenges for hosts that are not listed. It
// does not repeat the name, which is the caller's.
var errHost = errors.New("host is not one of --tls-acme-domains")

// errWaiting answers handshakes beyond maxWaiting.
var errWaiting = errors.New("too many handshakes wait for the first certificate of this host")

// acmeSource gets certificates from a CA when the first handshake asks for
// them, keeps them on disk, and renews them in time.
type acmeSource struct {
	manager   *autocert.Manager
	cache     *acmeCache
	challenge *tls.Config            // of the handshakes by which the CA validates a domain
	domains   map[string]*acmeDomain // fixed; by normalHost
}

type acmeDomain struct {
	waiting atomic.Int32                     // handshakes that are inside autocert
	leaf    atomic.Pointer[x509.Certificate] // given out last; nil while none is known
}

func newACME(cfg Config) (*acmeSource, error) {
	client, err := acmeClient(cfg)
	if err != nil {
		return nil, err
	}
	a := &acmeSource{domains: map[string]*acmeDomain{}}
	for _, d := range cfg.ACMEDomains {
		a.domains[normalHost(d)] = &acmeDomain{}
	}
	a.cache, err = newACMECache(filepath.Join(cfg.DataDir, acmeFolder), a.domains)
	if err != nil {
		return nil, dataDirError("--tls-acme-domains", cfg.DataDir, err)
	}
	a.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      a.cache,
		HostPolicy: a.checkHost,
		Client:     client,
		Email:      cfg.ACMEEmail,
	}
	a.challenge = policy()
	a.challenge.NextProtos = []string{acme.ALPNProto}
	a.challenge.GetCertificate = a.certificate
	for name, d := range a.domains {
		d.leaf.Store(a.cache.leaf(name))
	}
	return a, nil
}

// acmeClient has its own transport, with a timeout and, for a private CA, with
// the roots of its HTTPS.
func acmeClient(cfg Config) (*acme.Client, error) {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   acmeTimeout,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if cfg.ACMECAFile != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // a machine without roots still has the CA's own
		}
		if transport.TLSClientConfig.RootCAs, err = loadCAs("--tls-acme-ca-file", cfg.ACMECAFile, roots); err != nil {
			return nil, err
		}
	}
	return &acme.Client{
		DirectoryURL: cmp.Or(cfg.ACMEDirectoryURL, autocert.DefaultACMEDirectory),
		HTTPClient:   &http.Client{Transport: transport, Timeout: acmeTimeout},
		UserAgent:    "wavegate",
	}, nil
}

// wantsChallenge reports whether a handshake is a CA's validation: it offers
// acme-tls/1 and nothing else (RFC 8737 §3).
func wantsChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// checkHost compares whole hosts, case-blind, without port and trailing dot.
func (a *acmeSource) checkHost(_ context.Context, host string) error {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if a.domains[normalHost(host)] == nil {
		return errHost
	}
	return nil
}

// certificate answers a handshake. Names that are not listed fail here, before
// any file or CA is asked; of those that are, so many may wait and no more.
func (a *acmeSource) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := normalHost(hello.ServerName)
	d := a.domains[name]
	if d == nil {
		return nil, errHost
	}
	asked := modernHello(name, hello.SupportedProtos)
	if wantsChallenge(hello) {
		return a.manager.GetCertificate(asked)
	}
	defer d.waiting.Add(-1)
	if d.waiting.Add(1) > maxWaiting {
		return nil, errWaiting
	}
	cert, err := a.manager.GetCertificate(asked)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	d.leaf.Store(cert.Leaf)
	return cert, nil
}

// modernHello stands for a client that knows ECDSA, as all that speak this
// policy do. Autocert would order a second certificate, with an RSA key, for
// each client that seems not to: a stranger could make it, and could fill the
// places of those who wait while a good certificate is at hand.
func modernHello(name string, protos []string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:      name,
		SupportedProtos: protos,
		CipherSuites:    []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

// notAfter returns when the first of the known certificates ends.
func (a *acmeSource) notAfter() time.Time {
	var first time.Time
	for _, d := range a.domains {
		if leaf := d.leaf.Load(); leaf != nil && (first.IsZero() || leaf.NotAfter.Before(first)) {
			first = leaf.NotAfter
		}
	}
	return first
}

func (a *acmeSource) warnings() []string {
	var out []string
	if p := a.cache.problem.Load(); p != nil {
		out = append(out, *p)
	}
	for _, name := range slices.Sorted(maps.Keys(a.domains)) {
		leaf := a.domains[name].leaf.Load()
		if leaf == nil {
			continue
		}
		if w := ageWarning(leaf, time.Now()); w != "" {
			out = append(out, fmt.Sprintf("--tls-acme-domains: %s: %s", name, w))
		}
	}
	return out
}
