package server

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/policy"
)

// A clientRequest is what somebody asks for of a new client, or of a change: fields
// that are nil were not given.
type clientRequest struct {
	Name                   *string         `json:"name"`
	Type                   *string         `json:"type"`
	RedirectURIs           []string        `json:"redirect_uris"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris"`
	Scopes                 []string        `json:"scopes"`
	GrantTypes             []string        `json:"grant_types"`
	PKCE                   *string         `json:"pkce"`
	FirstParty             *bool           `json:"first_party"`   // administrators alone
	Introspection          *bool           `json:"introspection"` // administrators alone
	JWKS                   json.RawMessage `json:"jwks"`
	IDTokenAlg             *string         `json:"id_token_signed_response_alg"`
	URI                    *string         `json:"client_uri"`
	Tier                   *string         `json:"rate_limit_tier"` // administrators alone
	Disabled               *bool           `json:"disabled"`
}

// apply writes the fields that were given into a client, but for its type, and
// notes what is wrong with each.
func (q *clientRequest) apply(c *authz.Client, pol *policy.Policy, now time.Time, p *problems) {
	if q.Name != nil {
		c.Name = checkName(*q.Name, p)
	}
	if q.RedirectURIs != nil {
		c.RedirectURIs = slices.Clone(q.RedirectURIs)
	}
	if q.PostLogoutRedirectURIs != nil {
		c.PostLogoutRedirectURIs = slices.Clone(q.PostLogoutRedirectURIs)
	}
	if q.Scopes != nil {
		c.Scopes = slices.DeleteFunc(slices.Clone(q.Scopes), isOpenID)
		checkScopes(c.Scopes, pol, p)
	}
	if q.GrantTypes != nil {
		c.GrantTypes = slices.Clone(q.GrantTypes)
	}
	if q.PKCE != nil {
		c.PKCEOptional = *q.PKCE == pkceOptional
		if *q.PKCE != pkceOptional && *q.PKCE != pkceRequired {
			p.add("pkce", "must be required or optional")
		}
	}
	q.applyRest(c, pol, now, p)
}

func (q *clientRequest) applyRest(c *authz.Client, pol *policy.Policy, now time.Time, p *problems) {
	if q.FirstParty != nil {
		c.FirstParty = *q.FirstParty
	}
	if q.Introspection != nil {
		c.Introspect = *q.Introspection
	}
	if q.JWKS != nil {
		c.JWKS = nil
		if raw := bytes.TrimSpace(q.JWKS); string(raw) != "null" {
			c.JWKS = raw
		}
	}
	if q.IDTokenAlg != nil {
		c.IDTokenAlg = *q.IDTokenAlg
	}
	if q.URI != nil {
		c.URI = *q.URI
	}
	if q.Tier != nil {
		if c.Tier = *q.Tier; c.Tier != "" {
			checkTier(c.Tier, pol, p)
		}
	}
	if q.Disabled != nil {
		switch {
		case !*q.Disabled:
			c.DisabledAt = time.Time{}
		case c.DisabledAt.IsZero():
			c.DisabledAt = now
		}
	}
}

// isOpenID reports whether a scope has its meaning from OpenID Connect. Every
// client may ask for those, so that they are not among what it was given.
func isOpenID(scope string) bool {
	switch scope {
	case authz.ScopeOpenID, authz.ScopeProfile, authz.ScopeEmail, authz.ScopeOfflineAccess:
		return true
	}
	return false
}

// forAdmins names the fields that would become something else and that administrators
// alone may set. Nobody is asked about a first-party client, so that its owner could
// point the whole house at an address of their own.
func forAdmins(before, next *authz.Client) []string {
	var list []string
	unasked := before.FirstParty && next.FirstParty
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"redirect_uris of a first party", unasked && len(added(before.RedirectURIs, next.RedirectURIs)) > 0},
		{"scopes of a first party", unasked && len(added(before.Scopes, next.Scopes)) > 0},
		{"grant_types of a first party", unasked && len(added(before.GrantTypes, next.GrantTypes)) > 0},
		{"first_party", next.FirstParty && !before.FirstParty},
		{"introspection", next.Introspect && !before.Introspect},
		{"rate_limit_tier", next.Tier != before.Tier},
	} {
		if f.set {
			list = append(list, f.name+", which administrators alone may set")
		}
	}
	return list
}

// readNulls takes the fields that are null in the body of a change, which was read
// into the request already, and returns the names of all fields in it, sorted. Null
// takes away what need not be there.
func (q *clientRequest) readNulls(raw []byte, p *problems) (names []string) {
	var given map[string]json.RawMessage
	if json.Unmarshal(raw, &given) != nil { // an empty body
		return nil
	}
	for name, value := range given {
		names = append(names, name)
		if string(value) != "null" {
			continue
		}
		switch name {
		case "jwks":
			q.JWKS = value
		case "client_uri":
			q.URI = new("")
		case "rate_limit_tier":
			q.Tier = new("")
		default:
			if !p.has(shown(name)) {
				p.add(name, "cannot be null: leave it out to keep it")
			}
		}
	}
	slices.Sort(names)
	return names
}

// draft makes a new client of what was asked for and of what counts where nothing
// was said.
func (q *clientRequest) draft(c *apiCaller, pol *policy.Policy, now time.Time, p *problems) *authz.Client {
	made := &authz.Client{
		ID: authz.NewClientID(), Type: authz.Confidential, Owner: c.owner, UserID: c.userID, CreatedAt: now, Version: 1,
	}
	if q.Name == nil && !p.has("name") {
		p.add("name", "is required: people read it when they are asked whether the app may act for them")
	}
	if q.Type != nil {
		if made.Type = authz.ClientType(*q.Type); made.Type != authz.Confidential && made.Type != authz.Public {
			p.add("type", "must be confidential or public")
			made.Type = authz.Confidential
		}
	}
	made.GrantTypes = usualGrants(made.Type, len(q.RedirectURIs) > 0)
	q.apply(made, pol, now, p)
	return made
}

// usualGrants are the grant types of a client that names none.
func usualGrants(t authz.ClientType, redirects bool) []string {
	switch {
	case redirects:
		return []string{authz.GrantCode, authz.GrantRefresh}
	case t == authz.Confidential:
		return []string{authz.GrantClientCredentials}
	}
	return []string{authz.GrantDevice, authz.GrantRefresh}
}

// checkClient notes what is wrong with a client as it is to be kept, of fields of
// which nothing was said before.
func checkClient(c *authz.Client, p *problems) {
	said := slices.Clone(*p)
	for _, problem := range c.Problems() {
		if !slices.ContainsFunc(said, func(f fault.Field) bool {
			return f.Field == problem.Field || strings.HasPrefix(f.Field, problem.Field+"[")
		}) {
			p.add(problem.Field, "%s", problem.Message)
		}
	}
}
