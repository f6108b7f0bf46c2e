package tlsconf

import (
	"crypto/tls"
	"time"
)

// What this server speaks and how long its own certificates live. Everything
// that is not set here is Go's default on purpose, so that it improves with
// Go: key exchange (post-quantum X25519MLKEM768 first, then X25519, P-256 …),
// TLS 1.3 suites, signature schemes without SHA-1, rotating session-ticket
// keys. Go's server has no compression and no renegotiation to turn off.
const (
	// selfSignedLife is below the 398 days that browsers accept.
	selfSignedLife = 397 * 24 * time.Hour
	// selfSignedRenew is what is left of a self-signed certificate when the
	// next one is made.
	selfSignedRenew = 30 * 24 * time.Hour
	// minRSABits is what current clients and CAs demand of RSA keys.
	minRSABits = 2048
	// expiryWarning is how early the end of a certificate is warned of.
	expiryWarning = 7 * 24 * time.Hour
)

// policy returns a new configuration that has the protocol rules and no
// certificate yet.
func policy() *tls.Config {
	return &tls.Config{
		// Go's own minimum, stated so that GODEBUG=tls10server=1 cannot lower it.
		MinVersion: tls.VersionTLS12,
		// Go's defaults for TLS 1.2 still offer ECDHE with CBC and SHA-1.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		// net/http adds these to the outer configuration only, and handshakes
		// use the one that GetConfigForClient returns.
		NextProtos: []string{"h2", "http/1.1"},
	}
}
