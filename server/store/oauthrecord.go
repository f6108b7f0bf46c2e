package store

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"wavegate/oidc/provider"
)

// errOAuthText is about a record that nobody checked.
var errOAuthText = errors.New("a text of an OAuth record holds bytes that are no text")

// encodeTexts is encodeList for texts that decide something, and must be kept as
// they are.
func encodeTexts(all []string) (string, error) {
	if !storable(all...) {
		return "", errOAuthText
	}
	return encodeList(all)
}

// parseToken reads the hash of a code or a token; none is the zero Hash.
func parseToken(raw []byte) (provider.Hash, error) {
	if len(raw) == 0 {
		return provider.Hash{}, nil
	}
	h, err := parseHash(raw)
	return provider.Hash(h), err
}

const (
	// clientColumns are in the order of clientValues and scanClient.
	clientColumns = "id, type, owner, user_id, dynamic, created_at, version, name, redirect_uris, post_logout_redirect_uris, scopes, " +
		"grant_types, pkce_optional, first_party, introspect, jwks, id_token_alg, uri, tier, secrets, disabled_at"

	// clientRow are the parameters of clientColumns, search and used_at.
	clientRow = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

	// clientSet are the columns that change, in the order of changingClientValues.
	clientSet = "name = ?, redirect_uris = ?, post_logout_redirect_uris = ?, scopes = ?, grant_types = ?, pkce_optional = ?, " +
		"first_party = ?, introspect = ?, jwks = ?, id_token_alg = ?, uri = ?, tier = ?, secrets = ?, disabled_at = ?, search = ?"
)

// clientValues are the values of clientRow.
func clientValues(c provider.Client) ([]any, error) {
	if !storable(c.ID, string(c.Type), c.Owner, c.UserID) {
		return nil, errOAuthText
	}
	changing, err := changingClientValues(c)
	if err != nil {
		return nil, err
	}
	created := millis(c.CreatedAt)
	return slices.Concat([]any{c.ID, string(c.Type), c.Owner, c.UserID, c.Dynamic, created, 1}, changing, []any{created}), nil
}

// changingClientValues are the values of clientSet. Only the name is made
// storable: the others decide something.
func changingClientValues(c provider.Client) ([]any, error) {
	if !storable(c.IDTokenAlg, c.URI, c.Tier) {
		return nil, errOAuthText
	}
	var lists []any
	for _, all := range [][]string{c.RedirectURIs, c.PostLogoutRedirectURIs, c.Scopes, c.GrantTypes} {
		text, err := encodeTexts(all)
		if err != nil {
			return nil, err
		}
		lists = append(lists, text)
	}
	secrets, err := encodeSecrets(c.Secrets)
	if err != nil {
		return nil, err
	}
	name := mended(c.Name)
	return slices.Concat([]any{name}, lists, []any{
		c.PKCEOptional, c.FirstParty, c.Introspect, orNull(c.JWKS), c.IDTokenAlg, c.URI, c.Tier, secrets,
		millis(c.DisabledAt), strings.ToLower(name),
	}), nil
}

// scanClient reads clientColumns.
func scanClient(row scanner) (provider.Client, error) {
	var c provider.Client
	var redirects, logouts, scopes, grants, secrets string
	var created, disabled int64
	err := row.Scan(&c.ID, &c.Type, &c.Owner, &c.UserID, &c.Dynamic, &created, &c.Version, &c.Name, &redirects, &logouts, &scopes,
		&grants, &c.PKCEOptional, &c.FirstParty, &c.Introspect, &c.JWKS, &c.IDTokenAlg, &c.URI, &c.Tier, &secrets, &disabled)
	if err != nil {
		return provider.Client{}, err
	}
	for _, list := range []struct {
		text string
		to   *[]string
	}{{redirects, &c.RedirectURIs}, {logouts, &c.PostLogoutRedirectURIs}, {scopes, &c.Scopes}, {grants, &c.GrantTypes}} {
		if *list.to, err = decodeList[string](list.text); err != nil {
			return provider.Client{}, err
		}
	}
	if c.Secrets, err = decodeSecrets(secrets); err != nil {
		return provider.Client{}, err
	}
	c.CreatedAt, c.DisabledAt = timeOf(created), timeOf(disabled)
	return c, nil
}

// A storedSecret is a provider.Secret in JSON.
type storedSecret struct {
	ID        string `json:"id"`
	Hash      string `json:"hash"`
	Hint      string `json:"hint"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at"`
}

func encodeSecrets(all []provider.Secret) (string, error) {
	stored := make([]storedSecret, len(all))
	for i, s := range all {
		if !storable(s.ID, s.Hint) {
			return "", errOAuthText
		}
		stored[i] = storedSecret{s.ID, hex.EncodeToString(s.Hash[:]), s.Hint, millis(s.CreatedAt), millis(s.ExpiresAt)}
	}
	return encodeList(stored)
}

func decodeSecrets(text string) ([]provider.Secret, error) {
	stored, err := decodeList[storedSecret](text)
	if err != nil {
		return nil, errors.New("a client's secrets cannot be decoded") // the cause might quote one
	}
	var all []provider.Secret
	for _, s := range stored {
		raw, err := hex.DecodeString(s.Hash)
		if err != nil {
			return nil, errors.New("the stored hash of a client's secret is not hexadecimal")
		}
		h, err := parseHash(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, provider.Secret{
			ID: s.ID, Hash: provider.Hash(h), Hint: s.Hint, CreatedAt: timeOf(s.CreatedAt), ExpiresAt: timeOf(s.ExpiresAt),
		})
	}
	return all, nil
}

// grantColumns are in the order of grantValues and grantRow.dest.
const grantColumns = "g.id, g.client_id, g.user_id, g.subject, g.scopes, g.resources, g.nonce, g.sid, g.auth_time, g.created_at, g.expires_at, g.revoked_at"

// A grantRow is where a row of oauth_grants is read into.
type grantRow struct {
	provider.Grant
	scopes, resources                   string
	authTime, created, expires, revoked int64
}

func (r *grantRow) dest() []any {
	return []any{
		&r.ID, &r.ClientID, &r.UserID, &r.Subject, &r.scopes, &r.resources, &r.Nonce, &r.SID,
		&r.authTime, &r.created, &r.expires, &r.revoked,
	}
}

func (r *grantRow) grant() (g provider.Grant, err error) {
	g = r.Grant
	if g.Scopes, err = decodeList[string](r.scopes); err != nil {
		return provider.Grant{}, err
	}
	if g.Resources, err = decodeList[string](r.resources); err != nil {
		return provider.Grant{}, err
	}
	g.AuthTime, g.CreatedAt, g.ExpiresAt, g.RevokedAt = timeOf(r.authTime), timeOf(r.created), timeOf(r.expires), timeOf(r.revoked)
	return g, nil
}

func scanGrant(row scanner) (provider.Grant, error) {
	var r grantRow
	if err := row.Scan(r.dest()...); err != nil {
		return provider.Grant{}, err
	}
	return r.grant()
}

// grantValues are the values of grantColumns.
func grantValues(g provider.Grant) ([]any, error) {
	if !storable(g.ID, g.ClientID, g.UserID, g.Subject, g.Nonce, g.SID) {
		return nil, errOAuthText
	}
	scopes, err := encodeTexts(g.Scopes)
	if err != nil {
		return nil, err
	}
	resources, err := encodeTexts(g.Resources)
	if err != nil {
		return nil, err
	}
	return []any{
		g.ID, g.ClientID, g.UserID, g.Subject, scopes, resources, g.Nonce, g.SID,
		millis(g.AuthTime), millis(g.CreatedAt), millis(g.ExpiresAt), millis(g.RevokedAt),
	}, nil
}
