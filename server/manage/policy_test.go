package manage

import (
	"net/http"
	"strings"
	"testing"
)

const policyJSON = `{"files": ["/etc/wavegate/policy.yaml"], "loaded_at": "2026-03-09T08:12:40Z",
	"routes": [
		{"host": "api.example.com", "path": "/v1", "origin": "policy.yaml:3", "access": "authenticated", "methods": ["POST"], "scopes": [], "roles": ["reader", "writer"], "groups": ["eng"], "allow_unlisted": true, "upstream": "http://127.0.0.1:3000/base", "folder": null, "status": null, "registered_by": null},
		{"host": null, "path": "/gone", "origin": "policy.yaml:5", "access": "public", "methods": [], "scopes": [], "roles": [], "groups": [], "allow_unlisted": false, "upstream": null, "folder": null, "status": 410, "registered_by": null}],
	"scopes": [{"name": "streams:read", "description": "Look", "risk": "high", "endpoints": ["GET /v1/streams"]}],
	"roles": [{"name": "reader", "origin": null, "scopes": ["streams:read"], "permissions": ["keys:read"], "members": ["jane@example.com"], "groups": ["eng"], "rate_limit_tier": "pro"}],
	"access_keys": [{"id": "CI", "origin": "policy.yaml:8", "scopes": [], "roles": ["reader"], "register": ["/ci/*"]}],
	"tiers": [{"name": "pro", "requests_per_minute": 300, "burst_per_second": null, "concurrent": 25, "bandwidth_per_month": 1099511627776}],
	"defaults": {"role": "reader", "expires_in_days": 30, "tier": "free", "user_tier": "unlimited", "client_tier": "pro", "anonymous_tier": "free"},
	"providers": [{"name": "one", "label": "One", "issuer": "https://one.example.com"}],
	"issuers": [{"name": "clerk", "issuer": "https://clerk.example.com", "audience": "gate", "role": null, "scope_claim": "scp"}],
	"oauth": {"enabled": true, "issuer": "https://gate.example.com", "access_token_lifetime": 300, "refresh_token_lifetime": 2592000, "grant_lifetime": 31536000, "signing_key_lifetime": 2592000,
		"resources": ["https://mcp.example.com/x"], "registration": {"enabled": true, "scopes": ["streams:read"], "per_ip_per_hour": 5, "most": 1000}},
	"webhooks": {"allow_networks": ["10.0.0.0/8"], "allow_http": false}}`

func TestThePolicyIsShownInWords(t *testing.T) {
	newDesk(t, map[string]any{"GET /v1/auth/policy": policyJSON}).admin().get("policy").want(http.StatusOK,
		"/etc/wavegate/policy.yaml", "api.example.com/v1", "Any valid credential", "one of the roles", "the group", "also what no scope lists", "http://127.0.0.1:3000/base",
		"answers 410", "Everybody", "/gate/_portal/why?request=POST&#43;api.example.com%2Fv1", "High risk", "built in", "jane@example.com", "/ci/*",
		"300 requests a minute, 25 at once, 1 TB a month", "for 30 days", "https://one.example.com", "<bdi>scp</bdi>", "for 5 minutes", "1,000 such apps, 5 an hour", "10.0.0.0/8",
		`href="#routes"`, `id="routes"`, `id="webhooks"`,
	)
}

func TestThePolicyIsSearched(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/policy": policyJSON}).admin()
	d.get("policy?q=GONE").want(http.StatusOK, "answers 410", `value="GONE"`).without("streams:read", `id="scopes"`, `id="oauth"`)
	d.get("policy?q=none+of+it").want(http.StatusOK, "Nothing fits").without("<table")
}

func TestWithoutAPolicyFileThePageSaysWhatCounts(t *testing.T) {
	without := strings.Replace(policyJSON, `["/etc/wavegate/policy.yaml"]`, "[]", 1)
	without = strings.Replace(without, `"issuer": "https://gate.example.com"`, `"issuer": null`, 1)
	newDesk(t, map[string]any{"GET /v1/auth/policy": without}).admin().get("policy").want(http.StatusOK, "There is no policy file", "--public-url").without("policy-files")
}
