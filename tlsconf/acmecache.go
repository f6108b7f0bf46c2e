package tlsconf

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"wavegate/keychain/durable"
)

// acmeCache is autocert's folder cache with bounds. Strangers choose part of
// the keys (server names, challenge paths), so only those that can exist reach
// the disk. Writes survive a power loss: a lost account key or certificate
// counts against the CA's limits.
type acmeCache struct {
	autocert.DirCache
	keys    []string               // all but those of http-01 answers
	problem atomic.Pointer[string] // why the last write failed; nil when it did not
}

// newACMECache makes the folder, closes it to others, and checks that it can be
// written: autocert itself would go on without keeping anything.
func newACMECache(dir string, domains map[string]*acmeDomain) (*acmeCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return nil, err
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return nil, err
	}
	c := &acmeCache{DirCache: autocert.DirCache(dir), keys: []string{"acme_account+key", "acme_account.key"}}
	for d := range domains {
		c.keys = append(c.keys, d, d+"+token")
	}
	return c, nil
}

// Get returns what Put kept, or ErrCacheMiss.
func (c *acmeCache) Get(ctx context.Context, key string) ([]byte, error) {
	token, isToken := strings.CutSuffix(key, "+http-01")
	if !isToken && !slices.Contains(c.keys, key) || isToken && !isChallengeToken(token) {
		return nil, autocert.ErrCacheMiss
	}
	data, err := c.DirCache.Get(ctx, key)
	if err != nil && isToken {
		return nil, autocert.ErrCacheMiss // the error is shown to whoever asked, and would name the file
	}
	return data, err
}

// Put keeps data under key, mode 0600. Autocert drops the error, so it is kept
// for Warnings.
func (c *acmeCache) Put(_ context.Context, key string, data []byte) error {
	err := durable.WriteFile(filepath.Join(string(c.DirCache), filepath.Base(key)), data, 0o600)
	if err != nil {
		c.problem.Store(new("--tls-acme-domains: a certificate was not kept and will be asked for again at the next start: " + err.Error()))
		return err
	}
	c.problem.Store(nil)
	return nil
}

// leaf returns the certificate kept for domain, or nil.
func (c *acmeCache) leaf(domain string) *x509.Certificate {
	data, err := c.Get(context.Background(), domain)
	if err != nil {
		return nil
	}
	certs, err := parseCertificates(data)
	if err != nil || certs[0].VerifyHostname(domain) != nil || !validNow(certs[0], time.Now()) {
		return nil // autocert will not use it either
	}
	return certs[0]
}

// isChallengeToken reports whether s is base64url (RFC 8555 §8.3) of a sane length.
func isChallengeToken(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !isHostRune(r) && r != '_' })
}
