package tlsconf

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wavegate/keychain/durable"
)

// The self-signed pair in the data folder.
const (
	selfSignedCert = "tls-self-signed.crt" // 0644: clients may import it
	selfSignedKey  = "tls-self-signed.key" // 0600
)

// maxAddresses bounds the interface addresses in the certificate, which
// travels with every handshake.
const maxAddresses = 64

// certNames are the names of a certificate, sorted and without doubles.
type certNames struct {
	hosts []string
	addrs []netip.Addr
}

// machineNames returns the names and addresses by which clients may reach this
// machine, and the further ones. Link-local addresses are left out: they need
// a zone, which neither URLs in browsers nor certificates have.
func machineNames(further []string) certNames {
	var n certNames
	hostname, _ := os.Hostname() // without one the others must do
	for _, name := range append([]string{hostname, "localhost", "127.0.0.1", "::1"}, further...) {
		n.add(name)
	}
	addrs, _ := net.InterfaceAddrs() // likewise
	var found []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			found = append(found, p.Addr().Unmap())
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	n.addrs = append(n.addrs, found[:min(len(found), maxAddresses)]...)
	return n.normal()
}

// add takes a host name or an address and drops what is neither.
func (n *certNames) add(name string) {
	if a, err := netip.ParseAddr(name); err == nil {
		n.addrs = append(n.addrs, a.Unmap().WithZone(""))
		return
	}
	if h := normalHost(name); isHostname(strings.TrimPrefix(h, "*.")) {
		n.hosts = append(n.hosts, h)
	}
}

func (n certNames) normal() certNames {
	slices.Sort(n.hosts)
	slices.SortFunc(n.addrs, netip.Addr.Compare)
	return certNames{slices.Compact(n.hosts), slices.Compact(n.addrs)}
}

// coveredBy reports whether c carries every name of n.
func (n certNames) coveredBy(c *x509.Certificate) bool {
	for _, h := range n.hosts {
		if !slices.Contains(c.DNSNames, h) {
			return false
		}
	}
	for _, a := range n.addrs {
		if !slices.ContainsFunc(c.IPAddresses, net.IP(a.AsSlice()).Equal) {
			return false
		}
	}
	return true
}

// selfSignedPair returns the pair in dir, or makes a new one there when it is
// missing, damaged, near its end, without some name of n, or when others could
// read its key.
func selfSignedPair(dir string, n certNames, now time.Time) (tls.Certificate, error) {
	pair, err := keptPair(dir)
	if err != nil {
		return tls.Certificate{}, err
	}
	if pair.Leaf != nil && n.coveredBy(pair.Leaf) && validNow(pair.Leaf, now) && now.Before(pair.Leaf.NotAfter.Add(-selfSignedRenew)) {
		return pair, nil
	}
	return makePair(dir, n, now)
}

// keptPair returns the pair in dir, or an empty one when a new one is needed.
// A file that is there and cannot be read is an error, so that a wrong owner
// of the folder is not taken for an empty folder.
func keptPair(dir string) (tls.Certificate, error) {
	var none tls.Certificate
	certPEM, certErr := os.ReadFile(filepath.Join(dir, selfSignedCert))
	keyPEM, keyErr := os.ReadFile(filepath.Join(dir, selfSignedKey))
	for _, err := range []error{certErr, keyErr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return none, dataDirError("--tls-self-signed", dir, err)
		}
	}
	if cmp.Or(certErr, keyErr) != nil {
		return none, nil
	}
	info, err := os.Stat(filepath.Join(dir, selfSignedKey))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return none, nil
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return none, nil // damaged, or a kill between the two writes
	}
	return pair, nil
}

// makePair writes a new pair to dir, the key first: a certificate on disk
// always has had its key there before it.
func makePair(dir string, n certNames, now time.Time) (tls.Certificate, error) {
	certPEM, keyPEM, err := newPair(n, now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("--tls-self-signed: %w", err)
	}
	err = cmp.Or(
		os.MkdirAll(dir, 0o700),
		durable.WriteFile(filepath.Join(dir, selfSignedKey), keyPEM, 0o600),
		durable.WriteFile(filepath.Join(dir, selfSignedCert), certPEM, 0o644),
	)
	if err != nil {
		return tls.Certificate{}, dataDirError("--tls-self-signed", dir, err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// newPair returns a new P-256 key and its certificate, both PEM. It is no CA:
// whoever trusts it trusts this server and nothing else.
func newPair(n certNames, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "wavegate self-signed"},
		NotBefore:             now.Add(-time.Hour), // clocks of clients may be behind
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              n.hosts,
	}
	for _, a := range n.addrs {
		template.IPAddresses = append(template.IPAddresses, a.AsSlice())
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return certPEM, keyPEM, nil
}

func dataDirError(flag, dir string, err error) error {
	return fmt.Errorf("%s: %w: let the user that runs wavegate read and write --data-dir %s", flag, err, dir)
}
