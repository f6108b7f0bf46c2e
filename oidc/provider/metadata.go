package provider

import (
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// metadata is the server's metadata; the names are those of RFC 8414, section 2,
// and of OpenID Connect Discovery 1.0, section 3. What is left out is not there.
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorize     string   `json:"authorization_endpoint,omitempty"`
	Token         string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint,omitempty"`
	JWKS          string   `json:"jwks_uri"`
	Register      string   `json:"registration_endpoint,omitempty"`
	Revoke        string   `json:"revocation_endpoint"`
	Introspect    string   `json:"introspection_endpoint"`
	Device        string   `json:"device_authorization_endpoint,omitempty"`
	PAR           string   `json:"pushed_authorization_request_endpoint,omitempty"`
	Logout        string   `json:"end_session_endpoint,omitempty"`
	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	Grants        []string `json:"grant_types_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Prompts       []string `json:"prompt_values_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`
	Claims        []string `json:"claims_supported"`

	TokenAuth          []string                  `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs      []jose.SignatureAlgorithm `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevokeAuth         []string                  `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAuthAlgs     []jose.SignatureAlgorithm `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectAuth     []string                  `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectAuthAlgs []jose.SignatureAlgorithm `json:"introspection_endpoint_auth_signing_alg_values_supported"`

	AnswersSayIssuer bool `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	ClaimsParam      bool `json:"claims_parameter_supported"`
	RequestParam     bool `json:"request_parameter_supported"`
	RequestURIParam  bool `json:"request_uri_parameter_supported"` // of others: pushed requests are not meant
}

// Metadata returns the server's metadata (RFC 8414, OpenID Connect Discovery) as
// JSON, true for the rules of this moment.
func (p *Provider) Metadata() []byte {
	m, rules := p.always(), p.cfg.Rules()
	if rules.SignIn {
		m.addPeople(p.cfg.Endpoints)
	}
	if rules.Registration {
		m.Register = p.cfg.Endpoints.Register
	}
	for _, s := range rules.Scopes {
		if !slices.Contains(m.Scopes, s) {
			m.Scopes = append(m.Scopes, s)
		}
	}
	text, _ := json.Marshal(m) // of strings and booleans: never fails
	return text
}

// always is what the server can do without people: clients get tokens for themselves.
func (p *Provider) always() *metadata {
	proofs := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	clients, e := append(slices.Clone(proofs), "none"), p.cfg.Endpoints
	return &metadata{
		Issuer: p.cfg.Issuer, Token: e.Token, JWKS: e.JWKS, Revoke: e.Revoke, Introspect: e.Introspect,
		Scopes: []string{}, ResponseTypes: []string{}, ResponseModes: []string{}, Prompts: []string{}, Claims: []string{},
		Grants: []string{GrantClientCredentials}, Challenges: []string{"S256"},
		SubjectTypes: []string{"public"}, IDTokenAlgs: []string{"RS256", "ES256"},
		TokenAuth: clients, RevokeAuth: clients, IntrospectAuth: proofs,
		TokenAuthAlgs: assertionAlgs, RevokeAuthAlgs: assertionAlgs, IntrospectAuthAlgs: assertionAlgs,
		AnswersSayIssuer: true,
	}
}

// addPeople adds what needs people who sign in.
func (m *metadata) addPeople(e Endpoints) {
	m.Authorize, m.Device, m.PAR, m.Logout, m.UserInfo = e.Authorize, e.Device, e.PAR, e.Logout, e.UserInfo
	m.Scopes = []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOfflineAccess}
	m.ResponseTypes, m.ResponseModes = []string{"code"}, []string{"query"}
	m.Grants = []string{GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice}
	m.Prompts = []string{"none", "login", "consent", "select_account"}
	m.Claims = []string{
		"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid",
		"preferred_username", "name", "groups", "email", "email_verified",
	}
}
