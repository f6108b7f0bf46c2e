package server

import (
	"encoding/json"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/policy"
	"wavegate/server/webhook"
)

// A clientView is an OAuth client as the API shows it.
type clientView struct {
	ID                     string          `json:"client_id"`
	Secret                 string          `json:"client_secret,omitempty"` // in the one answer that reveals it
	Name                   string          `json:"name"`
	Type                   string          `json:"type"`
	RedirectURIs           []string        `json:"redirect_uris"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris"`
	Scopes                 []string        `json:"scopes"`
	GrantTypes             []string        `json:"grant_types"`
	PKCE                   string          `json:"pkce"`
	FirstParty             bool            `json:"first_party"`
	Introspection          bool            `json:"introspection"`
	Dynamic                bool            `json:"registered_itself"`
	AuthMethod             string          `json:"token_endpoint_auth_method"`
	JWKS                   json.RawMessage `json:"jwks"`
	IDTokenAlg             string          `json:"id_token_signed_response_alg"`
	URI                    *string         `json:"client_uri"`
	Tier                   string          `json:"rate_limit_tier"` // the one in force
	Secrets                []secretView    `json:"client_secrets"`
	Owner                  string          `json:"owner"`
	Status                 string          `json:"status"`
	CreatedAt              *string         `json:"created_at"`
	DisabledAt             *string         `json:"disabled_at"`
	Version                int64           `json:"version"` // raised by each change
}

// A secretView is a client's secret as the API shows it.
type secretView struct {
	ID        string  `json:"id"`
	Hint      string  `json:"ends_in"`
	CreatedAt *string `json:"created_at"`
	ExpiresAt *string `json:"expires_at"`
}

const (
	pkceRequired = "required"
	pkceOptional = "optional"
)

// viewClient returns what may be shown of a client.
func viewClient(c *authz.Client, p *policy.Policy, now time.Time) clientView {
	v := clientView{
		ID: c.ID, Name: c.Name, Type: string(c.Type), RedirectURIs: append([]string{}, c.RedirectURIs...),
		PostLogoutRedirectURIs: append([]string{}, c.PostLogoutRedirectURIs...), Scopes: append([]string{}, c.Scopes...),
		GrantTypes: append([]string{}, c.GrantTypes...), PKCE: pkceRequired, FirstParty: c.FirstParty, Introspection: c.Introspect,
		Dynamic: c.Dynamic, AuthMethod: authMethod(c), JWKS: json.RawMessage("null"), IDTokenAlg: c.IDTokenAlg, URI: orNull(c.URI),
		Tier: p.ClientTier(c.Tier).Name, Secrets: []secretView{}, Owner: c.Owner, Status: "active",
		CreatedAt: orNull(rfc3339(c.CreatedAt)), DisabledAt: orNull(rfc3339(c.DisabledAt)), Version: c.Version,
	}
	if c.PKCEOptional {
		v.PKCE = pkceOptional
	}
	if c.Disabled() {
		v.Status = "disabled"
	}
	if v.IDTokenAlg == "" {
		v.IDTokenAlg = "RS256"
	}
	if len(c.JWKS) > 0 {
		v.JWKS = c.JWKS
	}
	for _, secret := range c.Secrets {
		if secret.ExpiresAt.IsZero() || now.Before(secret.ExpiresAt) {
			v.Secrets = append(v.Secrets, secretView{secret.ID, secret.Hint, orNull(rfc3339(secret.CreatedAt)), orNull(rfc3339(secret.ExpiresAt))})
		}
	}
	return v
}

// authMethod is how a client proves who it is at the token endpoint (RFC 7591,
// section 2). A secret may come with HTTP Basic or in the body.
func authMethod(c *authz.Client) string {
	switch {
	case c.Type == authz.Public:
		return "none"
	case len(c.JWKS) > 0:
		return "private_key_jwt"
	}
	return "client_secret_basic"
}

// clientEvent says that a client was made.
func clientEvent(c *authz.Client) webhook.Event {
	return event(webhook.ClientCreated, c.Owner, map[string]any{
		"client_id": c.ID, "name": c.Name, "type": string(c.Type), "grant_types": c.GrantTypes,
	})
}

// clientFacts are what the audit log keeps of a client.
func clientFacts(c *authz.Client) map[string]string {
	return map[string]string{"name": c.Name, "type": string(c.Type)}
}
