package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Webhooks says where webhooks may lead. The zero value allows https to public
// addresses.
type Webhooks struct {
	AllowNetworks []netip.Prefix // private networks that are allowed
	AllowHTTP     bool           // plain http too
}

// Webhooks returns what the file says under webhooks. The caller must not change
// it.
func (p *Policy) Webhooks() Webhooks { return p.webhooks }

// readWebhooks reads the section webhooks.
func (c *compiler) readWebhooks(n *yaml.Node) {
	o := c.object(n, "webhooks", "allow_networks", "allow_http")
	w := Webhooks{AllowHTTP: o.boolean("allow_http", false)}
	for _, word := range o.list("allow_networks") {
		prefix, err := parseNetwork(word.text)
		if err != nil {
			c.fail(word.node, "allow_networks: %v", err)
			continue
		}
		if slices.Contains(w.AllowNetworks, prefix) {
			c.fail(word.node, "allow_networks lists %q twice", word.text)
			continue
		}
		w.AllowNetworks = append(w.AllowNetworks, prefix)
	}
	c.policy.webhooks = w
}

// parseNetwork reads a network such as 10.0.0.0/8 that means what it shows.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.Prefix{}, fmt.Errorf("%q is one address: write %s/%d", s, addr, addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no network: write an address and how many of its bits count, such as 10.0.0.0/8", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q: write an IPv4 network as such, without the ::ffff: before it", s)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits beyond its %d: write %s or %s/%d", s, p.Bits(), p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	return p, nil
}
