package provider

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Registration is what a client that registers itself asks for, and what it gets
// (RFC 7591, sections 2 and 3.2.1).
type Registration struct {
	ClientID         string   `json:"client_id"`
	ClientSecret     string   `json:"client_secret,omitempty"`
	IssuedAt         int64    `json:"client_id_issued_at"`
	SecretExpiresAt  int64    `json:"client_secret_expires_at"`
	Name             string   `json:"client_name"`
	RedirectURIs     []string `json:"redirect_uris"`
	GrantTypes       []string `json:"grant_types"`
	ResponseTypes    []string `json:"response_types"`
	AuthMethod       string   `json:"token_endpoint_auth_method"`
	Scope            string   `json:"scope"`
	URI              string   `json:"client_uri,omitempty"`
	IDTokenSignedAlg string   `json:"id_token_signed_response_alg,omitempty"`
}

// The ways in which a client that registered itself authenticates.
const (
	authNone  = "none"
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
)

// registered are the fields of a registration request that are read, with the
// defaults of RFC 7591, section 2, where they are nil.
type registered struct {
	redirectURIs, grantTypes, responseTypes *[]string
	authMethod, name, scope, uri, alg       *string
}

// ReadRegistration makes a client, not kept anywhere yet, of the body of a
// registration request, and what to answer once it is. Unknown fields are passed
// over (RFC 7591, section 2). scopes are those that such clients may ask for; of
// others nothing is given, and the answer says so. The error is InvalidRedirectURI
// or InvalidClientMetadata and names everything that is wrong.
func (p *Provider) ReadRegistration(_ context.Context, body []byte, scopes []string) (*Client, *Registration, error) {
	m, wrong := readMetadata(body)
	if len(wrong) > 0 {
		return nil, nil, registrationError(wrong)
	}
	now := p.now()
	c := &Client{ID: NewClientID(), Dynamic: true, Type: Confidential, CreatedAt: stamp(now), Version: 1}
	r := &Registration{ClientID: c.ID, IssuedAt: now.Unix()}
	m.fill(c, r, scopes, &wrong)
	for _, problem := range c.Problems() {
		wrong.add(true, registeredName(problem.Field), "%s", problem.Message)
	}
	if len(wrong) > 0 {
		return nil, nil, registrationError(wrong)
	}
	if c.Type == Confidential {
		secret, record := NewSecret(now, time.Time{})
		c.Secrets, r.ClientSecret = []Secret{record}, secret
	}
	return c, r, nil
}

// readMetadata reads the body. A field of null is none.
func readMetadata(body []byte) (m registered, wrong problems) {
	fields, err := jsonObject(body)
	if len(body) > MaxBody || err != nil {
		wrong.add(true, "the body", "want one JSON object of at most %d bytes, no member of which is there twice", MaxBody)
		return m, wrong
	}
	for _, list := range []struct {
		name string
		into **[]string
	}{{"redirect_uris", &m.redirectURIs}, {"grant_types", &m.grantTypes}, {"response_types", &m.responseTypes}} {
		raw, given := fields[list.name]
		wrong.add(given && json.Unmarshal(raw, list.into) != nil, list.name, "want a list of strings")
	}
	for _, text := range []struct {
		name string
		into **string
	}{
		{"token_endpoint_auth_method", &m.authMethod},
		{"client_name", &m.name},
		{"scope", &m.scope},
		{"client_uri", &m.uri},
		{"id_token_signed_response_alg", &m.alg},
	} {
		raw, given := fields[text.name]
		wrong.add(given && json.Unmarshal(raw, text.into) != nil, text.name, "want a string")
	}
	return m, wrong
}

// fill makes client and answer of what was asked for, and notes what cannot be.
func (m registered) fill(c *Client, r *Registration, scopes []string, wrong *problems) {
	c.RedirectURIs = valueOr(m.redirectURIs, []string{})
	c.GrantTypes = valueOr(m.grantTypes, []string{GrantCode})
	c.IDTokenAlg, c.URI = valueOr(m.alg, ""), valueOr(m.uri, "")
	c.Name = valueOr(m.name, defaultName(c.RedirectURIs))

	r.AuthMethod = valueOr(m.authMethod, authBasic)
	known := slices.Contains([]string{authNone, authBasic, authPost}, r.AuthMethod)
	wrong.add(!known, "token_endpoint_auth_method", "want %s, %s or %s", authNone, authBasic, authPost)
	if r.AuthMethod == authNone {
		c.Type = Public
	}
	m.fillResponses(c, r, wrong)
	c.Scopes, r.Scope = m.scopes(scopes)
	r.Name, r.RedirectURIs, r.GrantTypes, r.URI, r.IDTokenSignedAlg = c.Name, c.RedirectURIs, c.GrantTypes, c.URI, c.IDTokenAlg
}

// fillResponses settles the response types, which follow from the grants (RFC 7591,
// section 2.1).
func (m registered) fillResponses(c *Client, r *Registration, wrong *problems) {
	r.ResponseTypes = []string{}
	if c.MayUse(GrantCode) {
		r.ResponseTypes = []string{"code"}
	}
	asked := valueOr(m.responseTypes, r.ResponseTypes)
	other := slices.ContainsFunc(asked, func(s string) bool { return s != "code" })
	wrong.add(other, "response_types", "there is none but code")
	wrong.add(!other && (len(asked) > 0) != c.MayUse(GrantCode), "response_types", "code and the grant authorization_code go together")
}

// scopes returns what of the asked scopes the client gets, without OpenID's own and
// with them. Who asks for none in particular gets them all.
func (m registered) scopes(given []string) (list []string, all string) {
	openID := []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOfflineAccess}
	every := slices.Concat(openID, given)
	if m.scope != nil {
		asked := strings.Fields(*m.scope)
		every = slices.DeleteFunc(every, func(s string) bool { return !slices.Contains(asked, s) })
	}
	for _, s := range every {
		if !isOwnScope(s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	own := slices.DeleteFunc(openID, func(s string) bool { return !slices.Contains(every, s) })
	return list, strings.Join(slices.Concat(own, list), " ")
}

// valueOr returns what v points to, or a default.
func valueOr[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}

// defaultName is what people see of a client that does not say its name: where its
// codes go.
func defaultName(redirectURIs []string) string {
	name := ""
	if len(redirectURIs) > 0 {
		u, err := url.Parse(redirectURIs[0])
		switch {
		case err == nil && u.Hostname() != "":
			name = "App at " + u.Hostname()
		case err == nil && u.Scheme != "":
			name = "App " + u.Scheme
		}
	}
	if !isClientName(name) {
		return "App without a name"
	}
	return name
}

// registeredName returns what RFC 7591 calls a field of the API.
func registeredName(field string) string {
	switch field {
	case "name":
		return "client_name"
	case "scopes":
		return "scope"
	}
	return field
}

// registrationError says everything that is wrong (RFC 7591, section 3.2.2).
func registrationError(wrong problems) *Error {
	code := InvalidClientMetadata
	said := make([]string, 0, len(wrong))
	for _, problem := range wrong {
		if list, _, _ := strings.Cut(problem.Field, "["); list == "redirect_uris" {
			code = InvalidRedirectURI
		}
		said = append(said, problem.Field+": "+problem.Message)
	}
	return fail(code, strings.Join(said, "; "))
}
