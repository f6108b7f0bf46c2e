package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

const maxURL = 2048 // bytes

// Rules say what endpoints may be. The zero value is https to public addresses.
type Rules struct {
	AllowHTTP bool           // plain http too: what is sent can be read and changed on its way
	Allow     []netip.Prefix // addresses that may be reached although they are private
}

// CheckURL says why no webhook may be registered for an address, or nothing. It
// asks no name server: where a name leads is looked at whenever something is sent.
func CheckURL(address string, r Rules) error {
	u, err := parseURL(address)
	if err != nil {
		return err
	}
	switch {
	case u.Scheme == "http" && !r.AllowHTTP:
		return errors.New("plain http can be read on its way: use https")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want an address that begins with https://")
	case u.User != nil:
		return errors.New("an address with a user name in it: the signature is what proves who sends")
	}
	if err := checkPort(u); err != nil {
		return err
	}
	return checkHost(u.Hostname(), r)
}

// parseURL takes nothing that two programs could read in two ways.
func parseURL(address string) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, fmt.Errorf("an address of %d bytes: at most %d", len(address), maxURL)
	}
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c > '~' || c == '\\' {
			return nil, errors.New("an address is printable ASCII without spaces and backslashes: write other letters with %, and names in Punycode")
		}
	}
	if strings.Contains(address, "#") {
		return nil, errors.New("an address with a fragment (#), which is never sent")
	}
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return nil, errors.New("want an address such as https://example.com/hooks")
	}
	return u, nil
}

func checkPort(u *url.URL) error {
	text := u.Port()
	if text == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	if port, err := strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
		return errors.New("the port is none: want 1 to 65535")
	}
	return nil
}

// checkHost looks at a host as it is written. What has the form of an IP address
// must be one that everybody reads in the same way.
func checkHost(host string, r Rules) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return newGuard().check(addr, r)
	}
	host = strings.ToLower(host)
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return errors.New("the host is no host name: letters, digits and hyphens, with single dots between, none at the end")
		}
	}
	last := labels[len(labels)-1]
	switch {
	case len(host) > 253:
		return errors.New("the host name is too long")
	case last[0] >= '0' && last[0] <= '9':
		return errors.New("an IP address in an unusual form: write four numbers with dots between")
	case isLocal(host) && !r.allowsLoopback():
		return ErrPrivate
	}
	return nil
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) < 0
}

// isLocal knows the names that mean this machine (RFC 6761 §6.3, and those that
// systems put into their hosts file).
func isLocal(host string) bool {
	switch host {
	case "localhost", "localhost.localdomain", "localdomain", "ip6-localhost", "ip6-loopback", "loopback", "broadcasthost":
		return true
	}
	return strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".localhost.localdomain")
}

func (r Rules) allowsLoopback() bool {
	for _, p := range r.Allow {
		if p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.Contains(netip.IPv6Loopback()) {
			return true
		}
	}
	return false
}

// dialer returns one that looks at each address after its name was resolved and
// before anything is sent there: a name that answers otherwise the second time
// gains nothing.
func (m *Manager) dialer() *net.Dialer {
	g := newGuard()
	return &net.Dialer{
		Timeout:  attemptFor,
		Resolver: m.cfg.Resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" {
				return ErrPrivate
			}
			return g.check(to.Addr(), m.cfg.Rules())
		},
	}
}
