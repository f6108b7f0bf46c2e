package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"wavegate/server/policy"
)

// Times and sizes of the connections to upstreams.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	idleConnTimeout  = 90 * time.Second
	maxIdlePerHost   = 512
	maxHeaderBytes   = 1 << 20 // of an upstream's answer
	continueTimeout  = time.Second
)

// transportKey is everything that makes two routes need different transports.
// Files are known by their contents, so that a renewed certificate makes a new
// transport at the next reload.
type transportKey struct {
	h2c     bool
	timeout time.Duration
	tls     policy.UpstreamTLS
	files   [sha256.Size]byte
}

// newTransportKey reads the files that a route names and returns the key of
// its transport with the TLS settings that belong to it; nil for the plain ones.
func newTransportKey(route *policy.Route) (transportKey, *tls.Config, error) {
	key := transportKey{h2c: route.Target.Scheme == "h2c", timeout: route.Timeout}
	if route.Target.Scheme != "https" {
		return key, nil, nil
	}
	key.tls = route.TLS
	files, err := readTLSFiles(route.TLS)
	if err != nil {
		return key, nil, err
	}
	key.files = files.sum()
	config, err := files.config(route.TLS)
	return key, config, err
}

// tlsFiles is what the files of an UpstreamTLS hold; nil where it names none.
type tlsFiles struct{ ca, cert, key []byte }

// readTLSFiles reads the files. The error names every one that cannot be read.
func readTLSFiles(t policy.UpstreamTLS) (files tlsFiles, err error) {
	var errs []error
	read := func(what, name string) []byte {
		if name == "" {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return data
	}
	files = tlsFiles{read("ca_file", t.CAFile), read("cert_file", t.CertFile), read("key_file", t.KeyFile)}
	return files, errors.Join(errs...)
}

// sum returns a hash of the contents.
func (f tlsFiles) sum() [sha256.Size]byte {
	var parts []byte
	for _, data := range [...][]byte{f.ca, f.cert, f.key} {
		part := sha256.Sum256(data)
		parts = append(parts, part[:]...)
	}
	return sha256.Sum256(parts)
}

// config makes the TLS settings of the client side.
func (f tlsFiles) config(t policy.UpstreamTLS) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
	var errs []error
	if t.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(f.ca) {
			errs = append(errs, fmt.Errorf("ca_file %s: no PEM certificate in it", t.CAFile))
		}
	}
	if t.CertFile != "" {
		pair, err := tls.X509KeyPair(f.cert, f.key)
		if err != nil {
			errs = append(errs, fmt.Errorf("cert_file %s and key_file %s: %w", t.CertFile, t.KeyFile, err))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, errors.Join(errs...)
}

// A transport carries requests to upstreams. A leaner one than net/http's has
// only to be this.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport makes the transport for a key.
func newTransport(key transportKey, config *tls.Config) transport {
	h1 := newHTTPTransport(key.timeout, config)
	if !key.h2c {
		return h1
	}
	h2 := newHTTPTransport(key.timeout, nil)
	h2.Protocols = new(http.Protocols)
	h2.Protocols.SetUnencryptedHTTP2(true)
	return &h2cTransport{h2: h2, h1: h1}
}

// newHTTPTransport makes a transport that follows the route and nothing else:
// no proxy from the environment, no compression of its own.
func newHTTPTransport(timeout time.Duration, config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleConnTimeout,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// h2cTransport speaks HTTP/2 without TLS, and HTTP/1.1 for the WebSocket
// handshakes that HTTP/2 has no Upgrade for.
type h2cTransport struct{ h2, h1 *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t *h2cTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return t.h1.RoundTrip(r)
	}
	return t.h2.RoundTrip(r)
}

// CloseIdleConnections closes what no request uses.
func (t *h2cTransport) CloseIdleConnections() {
	t.h2.CloseIdleConnections()
	t.h1.CloseIdleConnections()
}
