package webhook_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"wavegate/server/webhook"
)

func TestHostileURLsAreNotRegistered(t *testing.T) {
	for _, line := range corpus(t, "urls.txt") {
		address, want := strings.ReplaceAll(line[0], `\\`, `\`), line[1]
		if err := webhook.CheckURL(address, webhook.Rules{}); (err == nil) != (want == "ok") {
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	if err := webhook.CheckURL("https://example.com/"+strings.Repeat("a", 2048), webhook.Rules{}); err == nil {
		t.Error("an address without end")
	}
}

func TestRulesOpenWhatTheyName(t *testing.T) {
	net10 := webhook.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, test := range []struct {
		address string
		rules   webhook.Rules
		ok      bool
	}{
		{"http://example.com/", webhook.Rules{AllowHTTP: true}, true},
		{"http://127.0.0.1/", webhook.Rules{AllowHTTP: true}, false},
		{"ftp://example.com/", webhook.Rules{AllowHTTP: true}, false},
		{"https://10.1.2.3/", net10, true},
		{"https://[::ffff:10.1.2.3]/", net10, true},
		{"https://11.1.2.3/", net10, true},
		{"https://192.168.1.1/", net10, false},
		{"https://localhost/", net10, false},
		{"http://10.1.2.3/", net10, false},
		{"http://127.0.0.1:1234/", loopback(), true},
		{"http://localhost:1234/", loopback(), true},
		{"http://127.0.0.2:1234/", loopback(), false},
		{"http://2130706433/", loopback(), false},
	} {
		if err := webhook.CheckURL(test.address, test.rules); (err == nil) != test.ok {
			t.Errorf("%s with %v: %v", test.address, test.rules, err)
		}
	}
}

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	for _, line := range corpus(t, "addresses.txt") {
		addr, err := netip.ParseAddr(line[0])
		must(t, err)
		if err := webhook.CheckAddress(addr, webhook.Rules{}); (err == nil) != (line[1] == "ok") {
			t.Errorf("%s: %v, want %s", addr, err, line[1])
		}
	}
	if webhook.CheckAddress(netip.Addr{}, webhook.Rules{}) == nil {
		t.Error("no address at all")
	}
}

// TestNoSpellingOfAPrivateAddressIsPublic writes random IPv4 addresses in the
// ways in which IPv6 holds them: the answer must be the same.
func TestNoSpellingOfAPrivateAddressIsPublic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := netip.AddrFrom4([4]byte{rapid.Byte().Draw(t, "a"), rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), rapid.Byte().Draw(t, "d")})
		want := webhook.CheckAddress(v4, webhook.Rules{}) == nil
		if got := webhook.CheckAddress(netip.AddrFrom16(v4.As16()), webhook.Rules{}) == nil; got != want {
			t.Fatalf("%s: public %t, mapped %t", v4, want, got)
		}
		if got := webhook.CheckAddress(netip.MustParseAddr("64:ff9b::"+v4.String()), webhook.Rules{}) == nil; got != want {
			t.Fatalf("%s: public %t, through NAT64 %t", v4, want, got)
		}
		if want && (v4.IsPrivate() || v4.IsLoopback() || !v4.IsGlobalUnicast()) {
			t.Fatalf("%s counts as public", v4)
		}
		v6 := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
		if webhook.CheckAddress(v6, webhook.Rules{}) == nil && (v6.IsPrivate() || v6.IsLoopback() || !v6.IsGlobalUnicast()) {
			t.Fatalf("%s counts as public", v6)
		}
	})
}

// names answers look-ups: the first question about a name gets the first of its
// addresses, and so on; the last is repeated.
type names struct {
	mu      sync.Mutex // guards answers
	answers map[string][]netip.Addr
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(theirs)
		return ours, nil
	}}
}

// serve answers one question (RFC 1035 §4.2.2, with the length before it).
func (n *names) serve(c net.Conn) {
	defer c.Close()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, query); err != nil {
		return
	}
	name, end := "", 12
	for query[end] != 0 {
		name += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	question := query[12 : end+5]
	is6 := query[end+2] == 28                                                                     // AAAA
	answer := append([]byte{query[0], query[1], 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}, question...) // no such name
	if addr, known := n.next(name, is6); known {
		answer[3] = 0x80
		if addr.IsValid() {
			answer[7] = 1
			raw := addr.AsSlice()
			answer = append(answer, 0xc0, 12, 0, query[end+2], 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
			answer = append(answer, raw...)
		}
	}
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

func (n *names) next(name string, is6 bool) (netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.answers[name]
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	if all[0].Is6() != is6 {
		return netip.Addr{}, true
	}
	if len(all) > 1 {
		n.answers[name] = all[1:]
	}
	return all[0], true
}

func TestNamesOfPrivateAddressesAreRefusedWhenDialed(t *testing.T) {
	for _, line := range corpus(t, "addresses.txt") {
		addr := netip.MustParseAddr(line[0])
		if line[1] == "ok" || addr.Zone() != "" {
			continue
		}
		dns := &names{answers: map[string][]netip.Addr{"hook.example.": {addr}}}
		r := attempt(t, "https://hook.example/", func(c *webhook.Config) {
			c.Rules, c.Resolver = nil, dns.resolver()
		})
		if r.State != webhook.Pending || r.Error != "the address is private" || r.Status != 0 {
			t.Errorf("%s: %+v", addr, r)
		}
	}
}

// TestRebindingGainsNothing has a name lead to an address that is allowed when it
// is first looked up, and to another when it is looked up again.
func TestRebindingGainsNothing(t *testing.T) {
	allowed := receive(t, httptest.NewServer, status(500))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(allowed.URL, "http://"))
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.2:"+port)
	must(t, err)
	secret := receive(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = listener
		s.Start()
		return s
	}, status(200))
	dns := &names{answers: map[string][]netip.Addr{"hook.example.": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}}}
	s := newMemory()
	id, _ := s.endpoint(t, "http://hook.example:"+port+"/")
	m := newManager(t, s, func(c *webhook.Config) { c.Resolver = dns.resolver() })
	run(t, m)
	for _, want := range []string{"the server answered 500", "the address is private"} {
		d := s.emit(t, id)
		m.Wake()
		eventually(t, "a result", func() bool { return len(s.resultsOf(d)) > 0 })
		if r := s.resultsOf(d)[0]; r.Error != want {
			t.Errorf("error %q, want %q", r.Error, want)
		}
	}
	if len(allowed.requests()) != 1 || len(secret.requests()) != 0 {
		t.Errorf("%d requests to the address that is allowed, want 1; %d to the other, want 0", len(allowed.requests()), len(secret.requests()))
	}
}

func TestRulesOfNowDecide(t *testing.T) {
	r := receive(t, httptest.NewServer, status(500))
	var rules atomic.Pointer[webhook.Rules]
	s := newMemory()
	id, _ := s.endpoint(t, r.URL)
	m := newManager(t, s, func(c *webhook.Config) { c.Rules = func() webhook.Rules { return *rules.Load() } })
	open := loopback()
	rules.Store(&open)
	run(t, m)
	for _, test := range []struct {
		rules webhook.Rules
		want  string
	}{
		{open, "the server answered 500"},
		{webhook.Rules{AllowHTTP: true}, "the address is private"},
		{webhook.Rules{Allow: open.Allow}, "plain http can be read on its way: use https"},
	} {
		rules.Store(&test.rules)
		d := s.emit(t, id)
		m.Wake()
		eventually(t, "a result", func() bool { return len(s.resultsOf(d)) > 0 })
		if got := s.resultsOf(d)[0].Error; got != test.want {
			t.Errorf("error %q, want %q", got, test.want)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, line := range corpus(f, "urls.txt") {
		f.Add(line[0])
	}
	f.Fuzz(func(t *testing.T, address string) {
		if webhook.CheckURL(address, webhook.Rules{}) != nil {
			return
		}
		req, err := http.NewRequest(http.MethodPost, address, http.NoBody)
		if err != nil {
			t.Fatalf("%q was taken, and no request can be made: %v", address, err)
		}
		if addr, err := netip.ParseAddr(req.URL.Hostname()); err == nil && webhook.CheckAddress(addr, webhook.Rules{}) != nil {
			t.Errorf("%q leads to %s", address, addr)
		}
		if req.URL.Scheme != "https" || req.URL.User != nil || strings.Contains(strings.ToLower(req.URL.Hostname()), "localhost") && !strings.Contains(req.URL.Hostname(), ".") {
			t.Errorf("%q was taken", address)
		}
	})
}
