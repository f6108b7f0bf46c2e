package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"wavegate/keychain/apikey"
)

const (
	// keyColumns are in the order of keyValues and scanKey.
	keyColumns = "id, hash, hash_by, prefix, account, name, description, environment, role, scopes, allowed_ips, metadata, " +
		"tier, ops_limit, day_budget, month_budget, owner, user_id, created_at, expires_at, last_used_at, deprecated_at, " +
		"revoked_at, replaced_by, version"

	// keyRow are the parameters of keyColumns and of search, which follows them.
	keyRow = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

	// keyNetworks is a column with the networks of a key, read by scanKeyNetworks
	// after keyColumns.
	keyNetworks = "COALESCE((SELECT string_agg(network, ' ' ORDER BY network) FROM key_networks WHERE key_id = api_keys.id), '')"
)

// errKeyText is about a record that nobody checked.
var errKeyText = errors.New("the API key's texts hold bytes that are no text")

// keyValues are the values of keyColumns and of search.
func keyValues(r apikey.Record) ([]any, error) {
	changing, err := changingValues(r)
	if err != nil {
		return nil, err
	}
	if !storable(r.ID, r.HashBy, r.Prefix, r.Account, r.Owner, r.UserID) {
		return nil, errKeyText
	}
	values := []any{r.ID, r.Hash[:], r.HashBy, r.Prefix, r.Account}
	values = append(values, changing[:11]...)
	values = append(values, r.Owner, r.UserID, millis(r.CreatedAt), changing[11], millis(r.LastUsedAt))
	return append(values, changing[12], changing[13], changing[14], 1, changing[15]), nil
}

// changingSet are the columns that change, in the order of changingValues.
const changingSet = "name = ?, description = ?, environment = ?, role = ?, scopes = ?, allowed_ips = ?, metadata = ?, " +
	"tier = ?, ops_limit = ?, day_budget = ?, month_budget = ?, expires_at = ?, deprecated_at = ?, revoked_at = ?, replaced_by = ?, search = ?"

// changingValues are the values of changingSet. What is only shown to people is
// made storable; what decides something must be as it is.
func changingValues(r apikey.Record) ([]any, error) {
	if !storable(slices.Concat(r.Scopes, []string{string(r.Environment), r.Role, string(r.Metadata), r.Tier, r.ReplacedBy})...) {
		return nil, errKeyText
	}
	scopes, err := encodeList(r.Scopes)
	if err != nil {
		return nil, err
	}
	allowed, err := encodeList(r.AllowedIPs)
	if err != nil {
		return nil, err
	}
	name, description := mended(r.Name), mended(r.Description)
	return []any{
		name, description, string(r.Environment), r.Role, scopes, allowed, string(r.Metadata),
		r.Tier, r.OpsLimit, r.Budget.PerDay, r.Budget.PerMonth,
		millis(r.ExpiresAt), millis(r.DeprecatedAt), millis(r.RevokedAt), r.ReplacedBy,
		strings.ToLower(name + "\n" + description),
	}, nil
}

func encodeList[T any](all []T) (string, error) {
	text, err := json.Marshal(append([]T{}, all...))
	if err != nil {
		return "", fmt.Errorf("encode a list: %w", err)
	}
	return string(text), nil
}

// decodeList returns nil for the empty list.
func decodeList[T any](text string) ([]T, error) {
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decode a stored list: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

func scanKey(row scanner) (apikey.Record, error) { return scanKeyAnd(row) }

// scanKeyNetworks reads keyColumns and keyNetworks.
func scanKeyNetworks(row scanner) (apikey.Record, error) {
	var text string
	r, err := scanKeyAnd(row, &text)
	if err != nil {
		return apikey.Record{}, err
	}
	for one := range strings.FieldsSeq(text) {
		p, err := netip.ParsePrefix(one)
		if err != nil {
			return apikey.Record{}, fmt.Errorf("decode a stored network: %w", err)
		}
		r.Networks = append(r.Networks, p)
	}
	return r, nil
}

// scanKeyAnd reads keyColumns and what follows them.
func scanKeyAnd(row scanner, more ...any) (apikey.Record, error) {
	var r apikey.Record
	var hash []byte
	var scopes, allowed, metadata string
	var created, expires, used, deprecated, revoked int64
	dest := []any{
		&r.ID, &hash, &r.HashBy, &r.Prefix, &r.Account, &r.Name, &r.Description, &r.Environment, &r.Role, &scopes, &allowed, &metadata,
		&r.Tier, &r.OpsLimit, &r.Budget.PerDay, &r.Budget.PerMonth, &r.Owner, &r.UserID, &created, &expires, &used, &deprecated,
		&revoked, &r.ReplacedBy, &r.Version,
	}
	err := row.Scan(append(dest, more...)...)
	if err != nil {
		return apikey.Record{}, err
	}
	if h, err := parseHash(hash); err != nil {
		return apikey.Record{}, err
	} else {
		r.Hash = h
	}
	if r.Scopes, err = decodeList[string](scopes); err != nil {
		return apikey.Record{}, err
	}
	if r.AllowedIPs, err = decodeList[netip.Prefix](allowed); err != nil {
		return apikey.Record{}, err
	}
	if metadata != "" {
		r.Metadata = []byte(metadata)
	}
	r.CreatedAt, r.ExpiresAt, r.LastUsedAt = timeOf(created), timeOf(expires), timeOf(used)
	r.DeprecatedAt, r.RevokedAt = timeOf(deprecated), timeOf(revoked)
	return r, nil
}
