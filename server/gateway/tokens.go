package gateway

import (
	"strings"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// maxToken bounds a token in a header, in bytes. Providers that put hundreds of
// groups into a token reach it, and so would an upstream's own limit.
const maxToken = 16 << 10

// tokenFields returns the headers with the tokens of who's session, where the
// route asks for them. They are asked for anew for each request, so that an
// upstream never gets one that was replaced since.
func (g *Gateway) tokenFields(who *identity.Principal, route *policy.Route) []field {
	if !route.Tokens || who == nil || who.Tokens == nil {
		return nil
	}
	tokens := who.Tokens()
	var out []field
	for _, t := range [...]struct{ name, value string }{
		{"Wave-Access-Token", tokens.Access},
		{"Wave-Refresh-Token", tokens.Refresh},
	} {
		switch {
		case t.value == "":
		case len(t.value) > maxToken:
			g.cfg.Log.Warn("a token is too long for a header and was left out", "header", t.name, "bytes", len(t.value), "most", maxToken, "route", route.Name)
		case strings.ContainsFunc(t.value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
			g.cfg.Log.Warn("a token holds what cannot stand in a header and was left out", "header", t.name, "route", route.Name)
		default:
			out = append(out, field{t.name, []string{t.value}})
		}
	}
	return out
}
