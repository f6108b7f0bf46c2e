#!/usr/bin/env bash
# WAVE's commands for API keys, as documented and in their order. In a folder of
# its own:
#
#   wavegate -create-access-key
#   wavegate --create-user you --generate    # with sign-in there are session tokens
#   wavegate --policy examples/keys/wave.yaml
#
# and in another terminal, with the ID and the secret that the first one printed:
#
#   WAVEGATE_LOGIN=ID:SECRET examples/keys/wave.sh
#
# WAVEGATE_URL is where wavegate is, if not here. MY_NETWORK is what it sees this
# machine as.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
MY_NETWORK=${MY_NETWORK:-127.0.0.0/8}

title "The session token with which keys are made"
expect 200 curl -X POST "$WAVEGATE_URL/_auth/token" -u "$WAVEGATE_LOGIN"
field .token_type Bearer
SESSION_TOKEN=$(value .access_token)

title "Make a key"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" \
  -H "Authorization: Bearer $SESSION_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Production API Key", "scopes": ["streams:read", "streams:write", "analytics:read"], "expires_in_days": 90, "allowed_ips": ["192.168.1.0/24"], "metadata": {"environment": "production", "service": "encoder"}}'
matches .api_key.id '^key_'
matches .api_key.key '^wave_live_[0-9a-f]{32}$'
field .api_key.name "Production API Key"
field '.api_key.scopes | join(" ")' "streams:read streams:write analytics:read"
field '.api_key.allowed_ips[0]' 192.168.1.0/24
field .api_key.metadata.service encoder
field .api_key.rate_limit_tier pro
field '(.api_key.expires_at | fromdate) - (.api_key.created_at | fromdate)' 7776000
field .api_key.last_used_at null
matches .warning .
KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)

title "It works from the networks that it allows, so far not from here"
expect 403 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
refused permission_error ip_not_allowed
expect 200 curl -X PATCH "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" \
  -H "Authorization: Bearer $SESSION_TOKEN" \
  -H "Content-Type: application/json" \
  -d "{\"allowed_ips\": [\"$MY_NETWORK\"]}"
field '.api_key.allowed_ips[0]' "$MY_NETWORK"

title "Use it, in each of the three ways"
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
header X-RateLimit-Limit '^300$'
header X-RateLimit-Remaining '^[0-9]+$'
header X-RateLimit-Reset '^[0-9]{10}$'
header X-RateLimit-Policy '^300;w=60$'
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "X-API-Key: $KEY"
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: $KEY"
expect 200 curl -X POST "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY" -d '{"name": "Roof terrace"}'
expect 403 curl "$WAVEGATE_URL/v1/billing/invoices" -H "Authorization: Bearer $KEY"
refused permission_error insufficient_scope

title "See it"
expect 200 curl "$WAVEGATE_URL/v1/auth/keys" -H "Authorization: Bearer $SESSION_TOKEN"
field '.api_keys[0].id' "$KEY_ID"
field '.api_keys[0] | has("key")' false
expect 200 curl "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"
field .api_key.status active

title "Rotate it: for 24 hours both keys work"
expect 200 curl -X POST "$WAVEGATE_URL/v1/auth/keys/$KEY_ID/rotate" \
  -H "Authorization: Bearer $SESSION_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"grace_period_hours": 24}'
matches .new_key.id '^key_'
matches .new_key.key '^wave_live_[0-9a-f]{32}$'
field .old_key.id "$KEY_ID"
field '(.old_key.expires_at | fromdate) - (.old_key.deprecated_at | fromdate)' 86400
NEW_KEY=$(value .new_key.key)
NEW_KEY_ID=$(value .new_key.id)
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $NEW_KEY"
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
header Wave-Key-Status '^deprecated$'
header Wave-Key-Expires '^20'

title "Revoke the old one: it is dead at once, the new one is not"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"
expect 401 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
refused authentication_error invalid_api_key
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $NEW_KEY"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$NEW_KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"

title "A key for tests, of a smaller tier, until it is too fast: 429"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" \
  -H "Authorization: Bearer $SESSION_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Free", "environment": "test", "scopes": ["streams:read"], "rate_limit_tier": "free"}'
matches .api_key.key '^wave_test_'
KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)
until_status 429 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
refused rate_limit_error rate_limit_exceeded
header Retry-After '^[1-9][0-9]*$'
header X-RateLimit-Retry-After '^[1-9][0-9]*$'
header X-RateLimit-Policy '^60;w=60$'
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"

title "A key with a budget, until it is spent: 402"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" \
  -H "Authorization: Bearer $SESSION_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Two a day", "scopes": ["streams:read"], "budget": {"operations_per_day": 2}}'
field .api_key.budget.operations_per_day 2
KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)
until_status 402 3 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $KEY"
refused quota_error budget_exceeded
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"

# Every scope of the table opens what is its own, and nothing beside it.
while read -r SCOPE METHOD OPEN CLOSED; do
  title "$SCOPE: $METHOD $OPEN, but not GET $CLOSED"
  expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -H "Authorization: Bearer $SESSION_TOKEN" -d "{\"name\": \"$SCOPE\", \"scopes\": [\"$SCOPE\"]}"
  KEY=$(value .api_key.key)
  KEY_ID=$(value .api_key.id)
  expect 200 curl -X "$METHOD" "$WAVEGATE_URL$OPEN" -H "Authorization: Bearer $KEY"
  expect 403 curl "$WAVEGATE_URL$CLOSED" -H "Authorization: Bearer $KEY"
  expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"
done <<'TABLE'
streams:read     GET    /v1/streams/st_1/status     /v1/recordings
streams:write    POST   /v1/streams/st_1/start      /v1/streams
analytics:read   GET    /v1/analytics/viewers       /v1/streams
recordings:read  GET    /v1/recordings/rec_1        /v1/streams
recordings:write DELETE /v1/recordings/rec_1        /v1/recordings
users:read       GET    /v1/users                   /v1/billing/invoices
users:write      POST   /v1/users/invitations       /v1/users
billing:read     GET    /v1/billing/invoices        /v1/users
billing:write    PUT    /v1/billing/subscription    /v1/billing/invoices
webhooks:read    GET    /v1/webhooks/wh_1/deliveries /v1/streams
webhooks:write   POST   /v1/webhooks/wh_1/test      /v1/webhooks
TABLE

title "*: everything"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -H "Authorization: Bearer $SESSION_TOKEN" -d '{"name": "all", "scopes": ["*"]}'
KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)
expect 200 curl -X DELETE "$WAVEGATE_URL/v1/users/usr_1" -H "Authorization: Bearer $KEY"
expect 200 curl "$WAVEGATE_URL/v1/what/no/scope/names" -H "Authorization: Bearer $KEY"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -H "Authorization: Bearer $SESSION_TOKEN"

echo
echo "All as documented."
