package tlsconf

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxDomains bounds the list of ACME domains: each one is an order at the CA
// and a set of files in the data folder.
const maxDomains = 100

// Config says where certificates come from. The zero value is plain HTTP.
// At most one source may be set: a pair of files, SelfSigned, or ACMEDomains.
type Config struct {
	CertFile string // PEM, the server's own certificate first, then its chain
	KeyFile  string // PEM, not encrypted; may be the same file as CertFile

	// SelfSigned keeps a pair in DataDir, made out to the names and addresses
	// of this machine. It is made again when it nears its end, when it lacks a
	// name, and when others could have read its key.
	SelfSigned bool
	Names      []string // further host names and addresses of that certificate; unused otherwise

	// ACMEDomains are the hosts to get certificates for, each its own. Asking
	// for one accepts the terms of the CA.
	ACMEDomains      []string
	ACMEEmail        string // where the CA may write to; "" for none
	ACMEDirectoryURL string // "" is Let's Encrypt
	ACMECAFile       string // PEM roots, beside the system's, of a private CA's own HTTPS; "" for none

	ClientCAFile string // PEM; clients must show a certificate of these CAs. "" asks for none

	DataDir string // where the self-signed pair and the "acme" folder live
}

// Enabled reports whether any source of certificates is set.
func (c Config) Enabled() bool {
	return c.CertFile != "" || c.KeyFile != "" || c.SelfSigned || len(c.ACMEDomains) > 0
}

// Files returns the files whose change calls for a Source's Reload. The
// self-signed pair and what ACME keeps are the Source's own and not among them.
func (c Config) Files() []string {
	var files []string
	for _, f := range []string{c.CertFile, c.KeyFile, c.ClientCAFile} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}

// Validate joins every problem that can be seen without opening a file; each
// names its flag. It changes nothing.
func (c Config) Validate() error {
	return errors.Join(slices.Concat(c.checkSources(), c.checkNames(), c.checkACME())...)
}

func (c Config) checkSources() []error {
	var errs []error
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		errs = append(errs, errors.New("--tls-cert-file needs --tls-key-file, the private key of the certificate (give the same file twice if it holds both)"))
	case c.CertFile == "" && c.KeyFile != "":
		errs = append(errs, errors.New("--tls-key-file needs --tls-cert-file, the certificate that the key belongs to"))
	}
	var sources []string
	if c.CertFile != "" || c.KeyFile != "" {
		sources = append(sources, "--tls-cert-file with --tls-key-file")
	}
	if c.SelfSigned {
		sources = append(sources, "--tls-self-signed")
	}
	if len(c.ACMEDomains) > 0 {
		sources = append(sources, "--tls-acme-domains")
	}
	if len(sources) > 1 {
		errs = append(errs, fmt.Errorf("certificates can come from one place only, but %s are set: keep one", strings.Join(sources, " and ")))
	}
	if c.ClientCAFile != "" && len(sources) == 0 {
		errs = append(errs, errors.New("--tls-client-ca-file needs TLS: set --tls-cert-file and --tls-key-file, --tls-self-signed or --tls-acme-domains too"))
	}
	if c.DataDir == "" && (c.SelfSigned || len(c.ACMEDomains) > 0) {
		errs = append(errs, fmt.Errorf("%s needs --data-dir, the folder that keeps the certificate", sources[len(sources)-1]))
	}
	return errs
}

func (c Config) checkNames() []error {
	if !c.SelfSigned {
		return nil
	}
	var errs []error
	for _, n := range c.Names {
		if _, err := netip.ParseAddr(n); err != nil && !isHostname(strings.TrimPrefix(normalHost(n), "*.")) {
			errs = append(errs, fmt.Errorf("--tls-self-signed: %q is neither a host name nor an IP address", n))
		}
	}
	return errs
}

func (c Config) checkACME() []error {
	if len(c.ACMEDomains) == 0 {
		return c.checkACMELeftovers()
	}
	var errs []error
	for _, d := range c.ACMEDomains {
		if problem := acmeDomainProblem(d); problem != "" {
			errs = append(errs, fmt.Errorf("--tls-acme-domains: %q %s", d, problem))
		}
	}
	if n := len(c.ACMEDomains); n > maxDomains {
		errs = append(errs, fmt.Errorf("--tls-acme-domains: %d domains are more than the %d that one server may have", n, maxDomains))
	}
	if c.ACMEEmail != "" {
		if a, err := mail.ParseAddress(c.ACMEEmail); err != nil || a.Address != c.ACMEEmail {
			errs = append(errs, fmt.Errorf("--tls-acme-email: %q is not an e-mail address", c.ACMEEmail))
		}
	}
	if c.ACMEDirectoryURL != "" {
		u, err := url.Parse(c.ACMEDirectoryURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			errs = append(errs, errors.New("--tls-acme-directory-url must be an https:// URL without user and password (RFC 8555 §6.1)"))
		}
	}
	return errs
}

// checkACMELeftovers names the ACME settings that do nothing without domains.
func (c Config) checkACMELeftovers() []error {
	var errs []error
	for _, f := range []struct{ flag, value string }{
		{"--tls-acme-email", c.ACMEEmail},
		{"--tls-acme-directory-url", c.ACMEDirectoryURL},
		{"--tls-acme-ca-file", c.ACMECAFile},
	} {
		if f.value != "" {
			errs = append(errs, fmt.Errorf("%s needs --tls-acme-domains, the hosts to get certificates for", f.flag))
		}
	}
	return errs
}

// acmeDomainProblem says why no certificate could be had for d, or "".
func acmeDomainProblem(d string) string {
	if strings.HasPrefix(d, "*.") {
		return "is a wildcard, which needs the DNS challenge: list each host instead"
	}
	if _, err := netip.ParseAddr(d); err == nil {
		return "is an IP address: list host names"
	}
	h := normalHost(d)
	if strings.ContainsFunc(h, func(r rune) bool { return r >= 0x80 }) {
		return "is not ASCII: write the name in its xn-- form"
	}
	if !isHostname(h) {
		return "is not a host name"
	}
	if !strings.Contains(h, ".") {
		return "has no dot: public certificates need a full domain name"
	}
	return ""
}

// normalHost returns host lower-cased and without its trailing dot, the form
// in which hosts are compared.
func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isHostname reports whether s is a host name of RFC 1123 §2.1: labels of
// letters, digits and inner hyphens, 63 bytes each, 253 together.
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !isHostRune(r) }) {
			return false
		}
	}
	return true
}

func isHostRune(r rune) bool {
	return r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
