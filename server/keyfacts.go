package server

import (
	"maps"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/webhook"
)

// noTime is never.
var noTime time.Time

// keyNames is how the audit log tells a key from others.
func keyNames(rec *apikey.Record) map[string]string {
	return map[string]string{"name": rec.Name, "prefix": rec.Prefix, "environment": string(rec.Environment)}
}

// keyFacts is what the audit log says of a new key.
func keyFacts(rec *apikey.Record) map[string]string {
	facts := keyNames(rec)
	for name, value := range map[string]string{
		"role": rec.Role, "scopes": strings.Join(rec.Scopes, " "), "rate_limit_tier": rec.Tier,
		"allowed_ips": strings.Join(texts(rec.AllowedIPs), " "), "expires_at": rfc3339(rec.ExpiresAt),
	} {
		if value != "" {
			facts[name] = value
		}
	}
	return facts
}

// keyEvent makes an event about a key, with more facts where there are any.
func keyEvent(kind string, rec *apikey.Record, more map[string]any) webhook.Event {
	data := map[string]any{
		"key_id": rec.ID, "prefix": rec.Prefix, "name": rec.Name, "environment": string(rec.Environment),
		"owner": rec.Owner, "expires_at": orNull(rfc3339(rec.ExpiresAt)),
	}
	maps.Copy(data, more)
	return event(kind, rec.Owner, data)
}
