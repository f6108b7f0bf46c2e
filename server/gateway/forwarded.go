package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"wavegate/server/fault"
)

// Forwarding says whose word about the client counts. The zero value trusts
// nobody: a client is then who the connection says.
//
// X-Forwarded-For, -Proto and -Host are read; RFC 7239's Forwarded and
// X-Real-IP decide nothing.
type Forwarding struct {
	Trusted []netip.Prefix // addresses of trusted proxies; an IPv4 prefix covers the v4-mapped form too
}

// Resolve says who the client is and which URL it used, from the connection
// (remote address, TLS, Host header) and, where the peer is a trusted proxy,
// from its headers.
//
// The addresses in X-Forwarded-For are walked from the right over trusted
// proxies; the first that is not one is the client. An entry that is no
// address ends the walk at the proxy that wrote it: nothing left of it is
// believed. Proto and Host are the last value given. The result is never
// v4-mapped and has no zone.
//
// The peer at the other end of a unix socket counts as 127.0.0.1 for trust. If
// it is not trusted or names no client, the address is the zero Addr, which is
// not loopback. The error is a 400 *fault.Error: a remote address that is none
// or a trusted proxy's Proto or Host that makes no sense.
func (f Forwarding) Resolve(remoteAddr string, tls bool, host string, h http.Header) (ip netip.Addr, scheme, hostport string, trusted bool, err error) {
	ip, err = peerAddr(remoteAddr)
	if err != nil {
		return netip.Addr{}, "", "", false, err
	}
	scheme, hostport = "http", host
	if tls {
		scheme = "https"
	}
	if !f.trusts(ip) {
		return ip, scheme, hostport, false, nil
	}
	if v := lastValue(h["X-Forwarded-Proto"]); v != "" {
		if scheme = webScheme(v); scheme == "" {
			return netip.Addr{}, "", "", true, badForwarded("X-Forwarded-Proto")
		}
	}
	if v := lastValue(h["X-Forwarded-Host"]); v != "" {
		if _, err := CleanHost(v); err != nil {
			return netip.Addr{}, "", "", true, badForwarded("X-Forwarded-Host")
		}
		hostport = v
	}
	return f.walk(ip, h["X-Forwarded-For"]), scheme, hostport, true, nil
}

// badForwarded refuses a header that a trusted proxy sent or passed on.
func badForwarded(name string) error {
	return fault.New(400, "invalid_request", "The header "+name+" is malformed.")
}

// peerAddr returns the address of the peer; the zero Addr for a unix socket.
func peerAddr(remoteAddr string) (netip.Addr, error) {
	if remoteAddr == "" || remoteAddr[0] == '@' || remoteAddr[0] == '/' {
		return netip.Addr{}, nil
	}
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Addr{}, fault.New(400, "invalid_request", "The address of the client is unknown.").Because(err)
	}
	return ap.Addr().Unmap().WithZone(""), nil
}

// trusts reports whether an address is a trusted proxy's. The zero Addr, a
// unix socket's, goes by 127.0.0.1.
func (f Forwarding) trusts(ip netip.Addr) bool {
	if len(f.Trusted) == 0 {
		return false
	}
	if !ip.IsValid() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return slices.ContainsFunc(f.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// walk goes from the peer leftwards through the lines of X-Forwarded-For while
// the address at hand is a trusted proxy's.
func (f Forwarding) walk(peer netip.Addr, lines []string) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for rest := line; rest != ""; {
			i := strings.LastIndexByte(rest, ',')
			entry := strings.TrimSpace(rest[i+1:])
			rest = rest[:max(i, 0)]
			ip, ok := hopAddr(entry)
			if !ok {
				return peer
			}
			if peer = ip; !f.trusts(peer) {
				return peer
			}
		}
	}
	return peer
}

// hopAddr reads one entry of X-Forwarded-For: an address, in brackets or with
// a port or both.
func hopAddr(s string) (netip.Addr, bool) {
	if len(s) > 64 { // longer than any address with port
		return netip.Addr{}, false
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = ap.Addr()
	}
	return ip.Unmap().WithZone(""), true
}

// lastValue returns the last of the comma-separated values in the lines of a
// header: what the nearest proxy added. "" where there is none.
func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// webScheme returns "http" or "https" for a value of X-Forwarded-Proto, and ""
// for every other. Some proxies write ws and wss for WebSocket handshakes.
func webScheme(v string) string {
	switch {
	case strings.EqualFold(v, "https"), strings.EqualFold(v, "wss"):
		return "https"
	case strings.EqualFold(v, "http"), strings.EqualFold(v, "ws"):
		return "http"
	}
	return ""
}

// CleanHost returns the host of a Host header in the form in which hosts are
// compared: lower case, without port and trailing dot, an IPv6 address without
// brackets. An empty Host (HTTP/1.0) stays empty. The error is a 400
// *fault.Error. A host that is in that form already costs no allocation.
func CleanHost(hostport string) (host string, err error) {
	if hostport == "" {
		return "", nil
	}
	if hostport[0] == '[' {
		return cleanIPv6(hostport)
	}
	host = hostport
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if !isPort(host[i+1:]) {
			return "", badHost()
		}
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) == 0 || len(host) > 253 || host[len(host)-1] == '.' {
		return "", badHost()
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && i > 0 && host[i-1] != '.':
		default:
			return "", badHost()
		}
	}
	return strings.ToLower(host), nil
}

// cleanIPv6 is CleanHost for "[::1]" and "[::1]:8080".
func cleanIPv6(hostport string) (string, error) {
	i := strings.IndexByte(hostport, ']')
	if i < 0 {
		return "", badHost()
	}
	ip, err := netip.ParseAddr(hostport[1:i])
	port, hasPort := strings.CutPrefix(hostport[i+1:], ":")
	if err != nil || !ip.Is6() || ip.Zone() != "" || hasPort && !isPort(port) || !hasPort && port != "" {
		return "", badHost()
	}
	return ip.String(), nil
}

// isPort reports whether s can stand after a host's colon; nothing can too
// (RFC 3986 §3.2.3).
func isPort(s string) bool {
	if len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// badHost refuses a Host.
func badHost() error {
	return fault.New(400, "invalid_request", "The Host of the request is not a host name.")
}
