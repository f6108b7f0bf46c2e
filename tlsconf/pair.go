package tlsconf

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// maxPEM bounds a PEM file, in bytes. The system's whole list of roots is a
// quarter of it.
const maxPEM = 1 << 20

// readFile returns the contents of path. Errors name flag and path and say
// what to do.
func readFile(flag, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(flag, path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, readError(flag, path, err)
	}
	if len(data) > maxPEM {
		return nil, fmt.Errorf("%s %s: larger than %d bytes, so not a PEM file of certificates: check the path", flag, path, maxPEM)
	}
	return data, nil
}

func readError(flag, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	hint := "check the path"
	if errors.Is(err, fs.ErrPermission) {
		hint = "let the user that runs wavegate read it"
	}
	return fmt.Errorf("%s %s: %w: %s", flag, path, err, hint)
}

// loadPair reads a certificate with its chain and the key that belongs to it.
// Both files are read before either is judged, so one error tells of both.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, certErr := readFile("--tls-cert-file", certFile)
	keyPEM, keyErr := readFile("--tls-key-file", keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, explainPair(certFile, keyFile, certPEM, keyPEM, err)
	}
	return pair, nil
}

// explainPair says in the operator's words why X509KeyPair refused the files;
// cause is what it said itself.
func explainPair(certFile, keyFile string, certPEM, keyPEM []byte, cause error) error {
	certs, certErr := parseCertificates(certPEM)
	if certErr != nil {
		certErr = fmt.Errorf("--tls-cert-file %s: %w", certFile, certErr)
	}
	key, keyErr := parseKey(keyPEM)
	switch {
	case errors.Is(keyErr, errEncrypted):
		keyErr = fmt.Errorf("--tls-key-file %s: the key is encrypted and a server cannot ask for its passphrase: decrypt it with \"openssl pkey -in %s -out plain.key\" and let only the server's user read plain.key", keyFile, keyFile)
	case keyErr != nil:
		keyErr = fmt.Errorf("--tls-key-file %s: %w", keyFile, keyErr)
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return err
	}
	for i, c := range certs {
		if !keyFits(c, key) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("--tls-cert-file %s: the server's own certificate is number %d in the file: put it first, the chain after it", certFile, i+1)
		}
		return fmt.Errorf("--tls-cert-file %s with --tls-key-file %s: %w", certFile, keyFile, cause)
	}
	return fmt.Errorf("--tls-key-file %s does not belong to the certificate in --tls-cert-file %s (issued to %s): give the key that this certificate was requested with", keyFile, certFile, issuedTo(certs[0]))
}

// keyFits reports whether key is the private half of c's key.
func keyFits(c *x509.Certificate, key crypto.Signer) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// issuedTo names the holder of a certificate for messages.
func issuedTo(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return "nobody"
}

// parseCertificates returns the certificates of a PEM file in their order.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	var others []string
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			others = append(others, block.Type)
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate number %d is damaged: %w: copy the file again", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case strings.Contains(strings.Join(others, " "), "PRIVATE KEY"):
		return nil, errors.New("holds a private key and no certificate: were the files swapped?")
	}
	return nil, errors.New("holds no certificate in PEM form (a line \"-----BEGIN CERTIFICATE-----\"): convert DER with \"openssl x509 -inform der\"")
}

// errEncrypted is what parseKey returns for a key that needs a passphrase.
var errEncrypted = errors.New("the key is encrypted")

// parseKey returns the first private key of a PEM file. Its errors never quote
// the file.
func parseKey(data []byte) (crypto.Signer, error) {
	var others []string
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, errEncrypted
		case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", block.Type == "EC PRIVATE KEY":
			return parseKeyDER(block)
		}
		others = append(others, block.Type)
	}
	switch {
	case len(others) == 0:
		return nil, errors.New("holds no key in PEM form (a line \"-----BEGIN PRIVATE KEY-----\")")
	case strings.Contains(strings.Join(others, " "), "CERTIFICATE"):
		return nil, errors.New("holds a certificate and no private key: were the files swapped?")
	}
	return nil, errors.New("holds no private key that TLS can use: give an RSA, ECDSA or Ed25519 key in PEM form")
}

func parseKeyDER(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("the key is damaged or of a kind that TLS cannot use: copy the file again, or give an RSA, ECDSA or Ed25519 key")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign: give an RSA, ECDSA or Ed25519 key")
	}
	return signer, nil
}

// loadCAs adds the certificates of a PEM file to pool and returns it.
func loadCAs(flag, path string, pool *x509.CertPool) (*x509.CertPool, error) {
	data, err := readFile(flag, path)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, path, err)
	}
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// pairWarnings tells what clients or attackers will make of the files.
func pairWarnings(cfg Config, leaf *x509.Certificate) []string {
	var out []string
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 {
		out = append(out, fmt.Sprintf("--tls-cert-file %s: the certificate has no subject alternative names, so browsers refuse it: request one that has them", cfg.CertFile))
	}
	if k, ok := leaf.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
		out = append(out, fmt.Sprintf("--tls-cert-file %s: an RSA key of %d bits is too short, clients refuse less than %d: request a certificate for a new key", cfg.CertFile, k.N.BitLen(), minRSABits))
	}
	if info, err := os.Stat(cfg.KeyFile); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		out = append(out, fmt.Sprintf("--tls-key-file %s: every user of this machine can read the key: chmod o-rwx it", cfg.KeyFile))
	}
	return out
}

// validNow reports whether a client would accept the dates of c.
func validNow(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// ageWarning says when the dates of c are a problem or soon will be, or "".
func ageWarning(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "the certificate expired on " + c.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
	case now.Before(c.NotBefore):
		return "the certificate is not valid before " + c.NotBefore.UTC().Format(time.RFC3339) + ": check the clock of this machine"
	case now.After(c.NotAfter.Add(-expiryWarning)) && c.NotAfter.Sub(c.NotBefore) > 2*expiryWarning:
		return "the certificate expires on " + c.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
	}
	return ""
}
