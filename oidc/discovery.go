package oidc

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// metadata is what this package needs of a discovery document (OpenID Connect
// Discovery 1.0 §3), after check.
type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Keys          string `json:"jwks_uri"`
	UserInfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`

	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207

	signedWith []jose.SignatureAlgorithm // those of Algorithms that are accepted; never empty
}

// signatures are the algorithms that a token may be signed with. "none" and the
// HMAC ones, whose key is the client secret, are not among them.
func signatures() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// discover fetches the discovery document and checks it.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	address := strings.TrimSuffix(p.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	m := new(metadata)
	if err := p.getJSON(ctx, "discovery", address, m); err != nil {
		if status, ok := errors.AsType[*statusError](err); ok {
			return nil, failure(Misconfigured, "%w", status).advise("set -oidc-provider-url to the issuer as the provider's own pages give it")
		}
		return nil, err
	}
	if err := m.checkIssuer(p.cfg.Issuer); err != nil {
		return nil, err
	}
	return m, m.check()
}

// checkIssuer compares the names byte for byte (Discovery 1.0 §4.3).
func (m *metadata) checkIssuer(want string) error {
	if m.Issuer == want {
		return nil
	}
	e := failure(Misconfigured, "the provider at %s calls itself %s", want, foreign(m.Issuer))
	if strings.Contains(m.Issuer, "{") {
		return e.advise("that stands for many tenants: set -oidc-provider-url to the address of your own")
	}
	return e.advise("set -oidc-provider-url to exactly that")
}

// check looks at the addresses and picks the algorithms.
func (m *metadata) check() error {
	for _, e := range []struct {
		name, address string
		needed        bool
	}{
		{"authorization_endpoint", m.Authorization, true},
		{"token_endpoint", m.Token, true},
		{"jwks_uri", m.Keys, true},
		{"userinfo_endpoint", m.UserInfo, false},
		{"end_session_endpoint", m.EndSession, false},
	} {
		why := ""
		switch {
		case e.address == "" && !e.needed:
		case e.address == "":
			why = "it is missing"
		default:
			why = endpointProblem(e.address)
		}
		if why == "" && strings.HasPrefix(m.Issuer, "https:") && strings.HasPrefix(strings.ToLower(e.address), "http:") {
			why = "the issuer is on https and this is not"
		}
		if why != "" {
			return failure(Misconfigured, "discovery: %s %s: %s", e.name, foreign(e.address), why)
		}
	}
	for _, alg := range signatures() {
		if slices.Contains(m.Algorithms, string(alg)) {
			m.signedWith = append(m.signedWith, alg)
		}
	}
	if len(m.Algorithms) == 0 {
		m.signedWith = []jose.SignatureAlgorithm{jose.RS256} // Core 1.0 §15.1: everybody has it
	}
	if len(m.signedWith) == 0 {
		return failure(Misconfigured, "discovery: the provider signs with %s alone", foreign(strings.Join(m.Algorithms, " "))).
			advise("choose RS256, PS256, ES256 or EdDSA for this client at the provider")
	}
	return nil
}

// authStyle is how the client shows its secret: in the header unless the
// provider takes it only in the body.
func (m *metadata) authStyle() oauth2.AuthStyle {
	header := len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, "client_secret_basic")
	if !header && slices.Contains(m.AuthMethods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}
