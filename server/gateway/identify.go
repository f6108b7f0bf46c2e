package gateway

import (
	"net/http"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// Identify puts the identity headers that the route asks for on h, the signed
// assertion among them: for the answer to another proxy, which copies them onto
// the request that it passes on. A nil who adds nothing.
func (g *Gateway) Identify(h http.Header, who *identity.Principal, route *policy.Route) error {
	fields, err := g.identities.fields(who, route)
	for _, f := range fields {
		h[f.name] = f.values
	}
	return err
}

// IsProxyHeader reports whether a header is one that proxies add to say for
// whom they ask, in any spelling.
func IsProxyHeader(name string) bool {
	return isReserved(name) || equalFolded(name, "via")
}
