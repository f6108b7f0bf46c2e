package limit

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

const (
	// maxName is how many bytes of an ID are kept. No key's ID is as long, so
	// what is cut off tells no two keys apart.
	maxName = 256

	foldBuffer = maxName + utf8.UTFMax // room that fold needs for most names
)

// Source returns the address that stands for all that count as one source: an
// IPv4 address itself, also when it is written as IPv6; the first of an IPv6
// /64, which is what one customer is given. An invalid address is returned as
// it is.
func Source(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

func sourceName(from netip.Addr) string {
	if from.Is6() {
		return netip.PrefixFrom(from, 64).String()
	}
	return from.String()
}

// parseSource reads what sourceName wrote, or any address.
func parseSource(s string) (netip.Addr, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return Source(p.Addr()), true
	}
	ip, err := netip.ParseAddr(s)
	return Source(ip), err == nil
}

// SameSubject reports whether a text names what a Lock of the kind calls subject:
// any address of a source, any spelling of a key's ID.
func SameSubject(kind Kind, subject, text string) bool {
	if kind == KindIP {
		is, ok := parseSource(subject)
		asked, asks := parseSource(text)
		return ok && asks && is == asked
	}
	return string(fold(nil, subject)) == string(fold(nil, text))
}

// fold appends the name under which an ID is counted: without space around it
// and without case, so that its aliases are one account. It does not allocate
// for ASCII when buf has room.
func fold(buf []byte, id string) []byte {
	id = strings.TrimSpace(id)
	if len(id) > maxName {
		id = id[:maxName]
	}
	for i := range len(id) {
		b := id[i]
		if b >= utf8.RuneSelf {
			return append(buf[:0], strings.ToLower(strings.ToUpper(id))...)
		}
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		buf = append(buf, b)
	}
	return buf
}
