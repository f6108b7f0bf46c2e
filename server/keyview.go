package server

import (
	"encoding/json"
	"net/netip"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/policy"
)

// A keyView is an API key as the API shows it. What a key does not have is null,
// except for lists and metadata, which are empty. The hash is never in it.
type keyView struct {
	ID          string          `json:"id"`
	Key         string          `json:"key,omitempty"` // the key itself, in the one answer that reveals it
	Prefix      string          `json:"prefix"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Environment string          `json:"environment"`
	Role        *string         `json:"role"`
	Scopes      []string        `json:"scopes"`
	AllowedIPs  []string        `json:"allowed_ips"`
	Metadata    json.RawMessage `json:"metadata"`
	Tier        string          `json:"rate_limit_tier"` // the one in force
	OpsLimit    *int64          `json:"ops_limit"`
	Budget      *budgetView     `json:"budget"`
	Owner       string          `json:"owner"`
	Status      apikey.Status   `json:"status"`
	CreatedAt   *string         `json:"created_at"`
	ExpiresAt   *string         `json:"expires_at"`
	LastUsedAt  *string         `json:"last_used_at"`
	Deprecated  *string         `json:"deprecated_at"`
	RevokedAt   *string         `json:"revoked_at"`
	ReplacedBy  *string         `json:"replaced_by"`
	Version     int64           `json:"version"` // raised by each change; not by use
}

// A budgetView is a budget as the API shows it.
type budgetView struct {
	PerDay   *int64 `json:"operations_per_day"`
	PerMonth *int64 `json:"operations_per_month"`
}

// viewKey returns what may be shown of a key.
func viewKey(rec *apikey.Record, p *policy.Policy, now time.Time) keyView {
	v := keyView{
		ID: rec.ID, Prefix: rec.Prefix, Name: rec.Name, Description: rec.Description,
		Environment: string(rec.Environment), Role: orNull(rec.Role), Scopes: append([]string{}, rec.Scopes...),
		AllowedIPs: texts(rec.AllowedIPs), Metadata: json.RawMessage(`{}`), Tier: p.KeyTier(rec.Tier, rec.Role).Name,
		OpsLimit: orNull(rec.OpsLimit), Owner: rec.Owner, Status: rec.Status(now),
		CreatedAt: orNull(rfc3339(rec.CreatedAt)), ExpiresAt: orNull(rfc3339(rec.ExpiresAt)),
		LastUsedAt: orNull(rfc3339(rec.LastUsedAt)), Deprecated: orNull(rfc3339(rec.DeprecatedAt)),
		RevokedAt: orNull(rfc3339(rec.RevokedAt)), ReplacedBy: orNull(rec.ReplacedBy), Version: rec.Version,
	}
	if len(rec.Metadata) > 0 {
		v.Metadata = rec.Metadata
	}
	if b := rec.Budget; b != (apikey.Budget{}) {
		v.Budget = &budgetView{orNull(b.PerDay), orNull(b.PerMonth)}
	}
	return v
}

func viewKeys(list []apikey.Record, p *policy.Policy, now time.Time) []keyView {
	views := make([]keyView, 0, len(list))
	for i := range list {
		views = append(views, viewKey(&list[i], p, now))
	}
	return views
}

// orNull returns what JSON shows as null where v is nothing.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// texts writes networks as people do: a single address without its bits.
func texts(list []netip.Prefix) []string {
	out := make([]string, 0, len(list))
	for _, p := range list {
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return out
}
