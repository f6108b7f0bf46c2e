package webhook

import (
	"net/http"
	"net/netip"
	"time"
)

// SetClient replaces the client, so that a test needs no network.
func (m *Manager) SetClient(c http.RoundTripper) { m.client = c }

// CheckAddress is what the dialer asks of each address.
func CheckAddress(addr netip.Addr, r Rules) error { return newGuard().check(addr, r) }

// RetryAfter reads the header.
func RetryAfter(text string, now time.Time) time.Duration { return retryAfter(text, now) }
