package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"wavegate/server/fault"
)

// trusting returns a Forwarding for prefixes.
func trusting(prefixes ...string) Forwarding {
	var f Forwarding
	for _, p := range prefixes {
		f.Trusted = append(f.Trusted, netip.MustParsePrefix(p))
	}
	return f
}

func TestForwardedHeadersCountOnlyFromTrustedProxies(t *testing.T) {
	h := http.Header{
		"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"},
		"Forwarded": {"for=203.0.113.9"}, "X-Real-Ip": {"203.0.113.9"},
	}
	for _, f := range []Forwarding{{}, trusting("10.0.0.0/8")} {
		ip, scheme, host, trusted, err := f.Resolve("192.0.2.1:1234", false, "app.test", h)
		if ip != netip.MustParseAddr("192.0.2.1") || scheme != "http" || host != "app.test" || trusted || err != nil {
			t.Errorf("%v: got %v %v %v %v %v", f, ip, scheme, host, trusted, err)
		}
	}
}

func TestForwardedForIsWalkedFromTheRight(t *testing.T) {
	f := trusting("10.0.0.0/8", "fd00::/8", "127.0.0.0/8")
	for _, c := range []struct {
		name  string
		peer  string
		lines []string
		want  string
	}{
		{"nothing said", "10.0.0.1:1", nil, "10.0.0.1"},
		{"one client", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"the attacker's entry is on the left", "10.0.0.1:1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"over two proxies", "10.0.0.1:1", []string{"1.2.3.4, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"several lines are one list", "10.0.0.1:1", []string{"1.2.3.4", "203.0.113.9", "10.0.0.2, 10.0.0.3"}, "203.0.113.9"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"malformed ends at the proxy that wrote it", "10.0.0.1:1", []string{"1.2.3.4, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"malformed at once", "10.0.0.1:1", []string{"1.2.3.4, <script>"}, "10.0.0.1"},
		{"empty entry", "10.0.0.1:1", []string{"1.2.3.4,"}, "10.0.0.1"},
		{"trusted spoofed left of the client", "10.0.0.1:1", []string{"10.0.0.9, 203.0.113.9"}, "203.0.113.9"},
		{"with a port", "10.0.0.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::9]"}, "2001:db8::9"},
		{"IPv6 in brackets with a port", "[fd00::1]:1", []string{"[2001:db8::9]:443"}, "2001:db8::9"},
		{"v4-mapped", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"zone", "10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"an address with a tail is none", "10.0.0.1:1", []string{"203.0.113.9/8"}, "10.0.0.1"},
		{"very long", "10.0.0.1:1", []string{strings.Repeat("1", 5000)}, "10.0.0.1"},
		{"unix socket counts as loopback", "@", []string{"203.0.113.9"}, "203.0.113.9"},
	} {
		ip, _, _, trusted, err := f.Resolve(c.peer, false, "app.test", http.Header{"X-Forwarded-For": c.lines})
		if err != nil || !trusted || ip.String() != c.want {
			t.Errorf("%s: got %v %v %v, want %v", c.name, ip, trusted, err, c.want)
		}
	}
}

func TestPeerOfAnUnixSocketIsNotLoopback(t *testing.T) {
	for _, f := range []Forwarding{{}, trusting("10.0.0.0/8"), trusting("127.0.0.1/32")} {
		ip, _, _, _, err := f.Resolve("@", false, "", nil)
		if err != nil || ip.IsValid() || ip.IsLoopback() {
			t.Errorf("%v: got %v %v", f, ip, err)
		}
	}
}

func TestForwardedProtoAndHost(t *testing.T) {
	f := trusting("10.0.0.0/8")
	for _, c := range []struct {
		name         string
		h            http.Header
		tls          bool
		scheme, host string // both empty: refused
	}{
		{"nothing", nil, false, "http", "app.test"},
		{"nothing over TLS", nil, true, "https", "app.test"},
		{"both", http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"Pub.test:8443"}}, false, "https", "Pub.test:8443"},
		{"proxy says http", http.Header{"X-Forwarded-Proto": {"HTTP"}}, true, "http", "app.test"},
		{"websocket words", http.Header{"X-Forwarded-Proto": {"wss"}}, false, "https", "app.test"},
		{"the last value is the nearest proxy's", http.Header{"X-Forwarded-Proto": {"https, http"}, "X-Forwarded-Host": {"evil.test", "a.test, b.test"}}, false, "http", "b.test"},
		{"empty is absent", http.Header{"X-Forwarded-Proto": {""}, "X-Forwarded-Host": {""}}, false, "http", "app.test"},
		{"bad scheme", http.Header{"X-Forwarded-Proto": {"javascript"}}, false, "", ""},
		{"bad host", http.Header{"X-Forwarded-Host": {"user@evil"}}, false, "", ""},
	} {
		_, scheme, host, _, err := f.Resolve("10.0.0.1:1", c.tls, "app.test", c.h)
		if scheme != c.scheme || host != c.host || (err != nil) != (c.scheme == "") {
			t.Errorf("%s: got %q %q %v", c.name, scheme, host, err)
		}
		if err != nil && fault.From(err).Status != 400 {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestResolveOfAnUnknownPeerIsAnError(t *testing.T) {
	for _, addr := range []string{"x", "1.2.3.4", "1.2.3.4:x", ":80", "host:80"} {
		if ip, _, _, _, err := trusting("0.0.0.0/0", "::/0").Resolve(addr, false, "", nil); err == nil {
			t.Errorf("%q: got %v", addr, ip)
		}
	}
}

func TestResolveOfAnUntrustedPeerAllocatesNothing(t *testing.T) {
	f, h := trusting("10.0.0.0/8"), http.Header{"X-Forwarded-For": {"1.2.3.4"}}
	if n := testing.AllocsPerRun(100, func() { f.Resolve("192.0.2.1:1234", true, "app.test", h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCleanHost(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"app.example.com", "app.example.com"},
		{"App.EXAMPLE.com:8443", "app.example.com"},
		{"app.example.com.", "app.example.com"},
		{"app.example.com.:80", "app.example.com"},
		{"app:", "app"},
		{"my_host-1", "my_host-1"},
		{"127.0.0.1:80", "127.0.0.1"},
		{"[::1]", "::1"},
		{"[2001:DB8::0:1]:443", "2001:db8::1"},
	} {
		if got, err := CleanHost(c.in); err != nil || got != c.want {
			t.Errorf("%q: got %q %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{
		" ", "a b", "a/b", "user@host", "a\x00b", "a\r\nb", "a..b", "a..", ".a", ".", "..", "a:99999", "a:x", "a:80:80", "a:-1", "::1",
		"[::1", "[::1]x", "[::1]:x", "[127.0.0.1]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[]", ":80", "a?b", "a#b", `a\b`, "a%41", "ex\xc3\xa4mple",
		strings.Repeat("a", 254),
	} {
		if got, err := CleanHost(bad); err == nil || fault.From(err).Status != 400 {
			t.Errorf("%q: got %q %v", bad, got, err)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, 10.0.0.2", "https", "app.test")
	f.Add("[::1]:80", "::ffff:10.1.1.1,unknown", "wss,http", "[::1]:80")
	f.Add("@", ",", "", "a..b")
	f.Add("192.0.2.1:1", "10.0.0.1", "ftp", "x@y")
	fw := trusting("10.0.0.0/8", "::1/128")
	f.Fuzz(func(t *testing.T, peer, list, proto, host string) {
		h := http.Header{"X-Forwarded-For": {list}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}}
		ip, scheme, hostport, trusted, err := fw.Resolve(peer, false, "own.test", h)
		if err != nil {
			return
		}
		if ip.Is4In6() || ip.Zone() != "" {
			t.Errorf("address %v", ip)
		}
		if scheme != "http" && scheme != "https" {
			t.Errorf("scheme %q", scheme)
		}
		if !trusted && (scheme != "http" || hostport != "own.test") {
			t.Errorf("an untrusted peer was believed: %q %q", scheme, hostport)
		}
		clean, err := CleanHost(hostport)
		if err != nil {
			t.Fatalf("host %q passed: %v", hostport, err)
		}
		bracketed := clean
		if strings.Contains(clean, ":") {
			bracketed = "[" + clean + "]"
		}
		if again, err := CleanHost(bracketed); err != nil || again != clean {
			t.Errorf("host %q is not clean: %q %v", clean, again, err)
		}
	})
}
