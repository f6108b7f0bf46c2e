package webhook

import (
	"errors"
	"net/netip"
	"slices"
)

// ErrPrivate is in the error of a delivery to an address that the rules do not
// open. It says no more than that: what a name resolves to in the network of
// this server is nobody's business.
var ErrPrivate = errors.New("the address is private")

// closed4 are the blocks of IPv4 that are not the public internet's (IANA's
// special-purpose registry, RFC 6890), and the one public address at which a
// cloud answers its own machines.
func closed4() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private (RFC 1918)
		"100.64.0.0/10",    // carriers' NAT (RFC 6598)
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's platform, for its virtual machines alone
		"169.254.0.0/16",   // link-local, with the clouds' metadata
		"172.16.0.0/12",    // private (RFC 1918)
		"192.0.0.0/24",     // protocol assignments
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // relays of 6to4, given up
		"192.168.0.0/16",   // private (RFC 1918)
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved, and broadcast
	)
}

// global6 is the one block of IPv6 that global unicast addresses come from;
// loopback, link-local, unique local, multicast and all else lie outside.
func global6() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// closed6 are the blocks within it that are not the public internet's. Tunnels
// are among them: which IPv4 host a packet reaches is up to somebody else.
func closed6() []netip.Prefix {
	return prefixes(
		"2001::/23",     // protocol assignments: Teredo, benchmarks, ORCHID
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	)
}

// nat64 carries an IPv4 address in its last 32 bits (RFC 6052). A network
// without IPv4 reaches all of it through here.
func nat64() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// A guard decides which addresses may be reached. It is made once; the rules
// come with each question.
type guard struct {
	closed4, closed6 []netip.Prefix
	global6, nat64   netip.Prefix
}

func newGuard() guard { return guard{closed4(), closed6(), global6(), nat64()} }

// check returns ErrPrivate unless addr is a public unicast address or the rules
// allow it. An IPv4 address counts as itself however it is written.
func (g guard) check(addr netip.Addr, r Rules) error {
	if addr.Zone() != "" {
		return ErrPrivate
	}
	addr = addr.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case !addr.IsValid():
		return ErrPrivate
	case slices.ContainsFunc(r.Allow, within):
		return nil
	case g.nat64.Contains(addr):
		b := addr.As16()
		return g.check(netip.AddrFrom4([4]byte(b[12:])), r)
	case addr.Is4() && !slices.ContainsFunc(g.closed4, within):
		return nil
	case addr.Is6() && g.global6.Contains(addr) && !slices.ContainsFunc(g.closed6, within):
		return nil
	}
	return ErrPrivate
}
