package gateway

import (
	"net/http"
	"slices"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// Identify puts the identity headers that the route asks for on h, the signed
// assertion among them: for the answer to another proxy, which copies them onto
// the request that it passes on. A nil who adds nothing.
//
// The session's tokens are there only where the policy asks for them: what a
// registered app is given is the app's, and the proxy passes requests on to
// somebody else.
func (g *Gateway) Identify(h http.Header, who *identity.Principal, route *policy.Route) error {
	fields, err := g.identities.fields(who, route)
	if err != nil {
		return err
	}
	if !route.App {
		fields = append(slices.Clip(fields), g.tokenFields(who, route)...)
	}
	for _, f := range fields {
		h[f.name] = f.values
	}
	return nil
}

// IsProxyHeader reports whether a header is one that proxies add to say for
// whom they ask, in any spelling.
func IsProxyHeader(name string) bool {
	return isReserved(name) || equalFolded(name, "via")
}
