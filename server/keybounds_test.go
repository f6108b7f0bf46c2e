package server

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

// drawNetworks draws an allow-list of few addresses, so that lists overlap.
func drawNetworks(t *rapid.T, name string) []netip.Prefix {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "last")})
		bits := rapid.IntRange(24, 32).Draw(t, "bits")
		if rapid.Bool().Draw(t, "v6") {
			addr, bits = netip.AddrFrom16([16]byte{0x20, 1, 15: addr.As4()[3]}), bits+96
		}
		return netip.PrefixFrom(addr, bits).Masked()
	}), 0, 3).Draw(t, name)
}

// TestAllowListsWithinAnotherLetNobodyElseIn holds isWithin against every address
// that the lists could be about.
func TestAllowListsWithinAnotherLetNobodyElseIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, bound := drawNetworks(t, "list"), drawNetworks(t, "bound")
		inner, outer := apikey.Record{AllowedIPs: list}, apikey.Record{AllowedIPs: bound}
		if !isWithin(list, bound) {
			return
		}
		for last := range 256 {
			for _, ip := range []netip.Addr{
				netip.AddrFrom4([4]byte{10, 0, 0, byte(last)}), netip.AddrFrom16([16]byte{0x20, 1, 15: byte(last)}),
				netip.AddrFrom4([4]byte{192, 0, 2, byte(last)}),
			} {
				if inner.Allows(ip) && !outer.Allows(ip) {
					t.Fatalf("%v is within %v, and lets %s in", list, bound, ip)
				}
			}
		}
	})
}

func TestAllowListsWithinAnother(t *testing.T) {
	list := func(texts ...string) []netip.Prefix {
		var p problems
		networks := parseNetworks(texts, &p)
		must(t, p.err())
		return networks
	}
	for _, c := range []struct {
		list, bound []netip.Prefix
		want        bool
	}{
		{list(), list(), true},
		{list("10.0.0.1"), list(), true},
		{list(), list("10.0.0.1"), false},
		{list("10.0.0.1"), list("10.0.0.0/8"), true},
		{list("10.0.0.0/8"), list("10.0.0.1"), false},
		{list("10.0.0.0/8"), list("10.0.0.0/8", "::1"), true},
		{list("10.1.0.0/16", "::1"), list("10.0.0.0/8", "::/64"), true},
		{list("10.1.0.0/16", "192.0.2.1"), list("10.0.0.0/8"), false},
		{list("0.0.0.0/0"), list("::/0"), false},
		{list("::ffff:10.0.0.1"), list("10.0.0.0/8"), true},
	} {
		if got := isWithin(c.list, c.bound); got != c.want {
			t.Errorf("%v within %v: %v", c.list, c.bound, got)
		}
	}
}

func TestWhatEndsByAnotherEnd(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		end, limit time.Time
		want       bool
	}{
		{noTime, noTime, true},
		{now, noTime, true},
		{noTime, now, false},
		{now, now, true},
		{now, now.Add(1), true},
		{now.Add(1), now, false},
	} {
		if got := endsBy(c.end, c.limit); got != c.want {
			t.Errorf("%v by %v: %v", c.end, c.limit, got)
		}
	}
}

func TestBodiesThatSayTheSameAreTheSameRequest(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"a":1,"b":[1,2]}`, " {\n\"b\": [1, 2], \"a\": 1}", true},
		{``, `{}`, true},
		{`{"a":1}`, `{"a":2}`, false},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{`{"a":"\u0041"}`, `{"a":"A"}`, true},
		{`{"a":null}`, `{}`, false},
	} {
		if got := string(canonical([]byte(c.a))) == string(canonical([]byte(c.b))); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}
