#!/usr/bin/env bash
# The common guide's commands for API keys, and an error of every kind. In an empty
# folder, where wavegate takes its published access key from this machine:
#
#   wavegate --key-brand sk --policy examples/keys/generic.yaml
#
# and in another terminal:
#
#   examples/keys/generic.sh
#
# WAVEGATE_URL is where wavegate is, if not here, and WAVEGATE_LOGIN the ID:SECRET of
# an access key of your own.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "Make a key for tests and one for the real thing"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Tests", "environment": "test", "scopes": ["orders:read"], "rate_limit_tier": "starter"}'
matches .api_key.key '^sk_test_[0-9a-f]{32}$'
TEST_KEY=$(value .api_key.key)
TEST_ID=$(value .api_key.id)
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Shop", "scopes": ["orders:read", "orders:write"], "budget": {"operations_per_month": 4}}'
matches .api_key.key '^sk_live_[0-9a-f]{32}$'
field .api_key.environment live
LIVE_KEY=$(value .api_key.key)
LIVE_ID=$(value .api_key.id)

title "Use them"
expect 200 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $TEST_KEY"
expect 200 curl "$WAVEGATE_URL/v1/orders" -H "X-API-Key: $LIVE_KEY"
expect 200 curl -X POST "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $LIVE_KEY" -d '{"item": "tea"}'

title "401: no key, or a wrong one"
expect 401 curl "$WAVEGATE_URL/v1/orders"
refused authentication_error credential_required
expect 401 curl "$WAVEGATE_URL/v1/orders" -H "X-API-Key: sk_live_00000000000000000000000000000000"
refused authentication_error invalid_api_key
header WWW-Authenticate '^Bearer .*error="invalid_token"'

title "403: a key that lacks the scope"
expect 403 curl -X POST "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $TEST_KEY" -d '{"item": "tea"}'
refused permission_error insufficient_scope

title "404: nothing there, or not yours to see"
expect 404 curl "$WAVEGATE_URL/v1/auth/keys/key_aaaaaaaaaaaaaaaaaaaaaaaaaa" -u "$WAVEGATE_LOGIN"
refused not_found_error not_found

title "400: every wrong field, all at once"
expect 400 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"scopes": ["orders:reed"], "expires_in_days": 0, "allowed_ips": ["10.0.0.300"], "rate_limit_tier": "golden", "colour": "red"}'
refused invalid_request_error invalid_request
field '[.error.fields[].field] | sort | join(" ")' "allowed_ips[0] colour expires_in_days name rate_limit_tier scopes[0]"

title "415: a body that is no JSON"
expect 415 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: text/plain" -d 'a key, please'
refused invalid_request_error unsupported_media_type

title "413: a body over 64 KB"
head -c 70000 /dev/zero | tr '\0' ' ' >"$work/large"
expect 413 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" --data-binary "@$work/large"
refused invalid_request_error too_large

title "429: faster than the tier"
until_status 429 100 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $TEST_KEY"
refused rate_limit_error rate_limit_exceeded
header Retry-After '^[1-9][0-9]*$'
header X-RateLimit-Policy '^5;w=60$'

title "402: more than the budget, which a rotation does not double"
expect 200 curl -X POST "$WAVEGATE_URL/v1/auth/keys/$LIVE_ID/rotate" -u "$WAVEGATE_LOGIN"
NEW_KEY=$(value .new_key.key)
NEW_ID=$(value .new_key.id)
expect 200 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $LIVE_KEY"
header Wave-Key-Status '^deprecated$'
expect 200 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $NEW_KEY"
expect 402 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $NEW_KEY"
refused quota_error budget_exceeded
expect 402 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $LIVE_KEY"

title "Ask for a service that was shown a key, then revoke all: 401"
expect 200 curl -X POST "$WAVEGATE_URL/v1/auth/keys/verify" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" -d "{\"key\": \"$TEST_KEY\", \"scopes\": [\"orders:read\"]}"
field .valid true
for ID in "$TEST_ID" "$LIVE_ID" "$NEW_ID"; do
  expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$ID" -u "$WAVEGATE_LOGIN"
done
expect 401 curl "$WAVEGATE_URL/v1/orders" -H "Authorization: Bearer $TEST_KEY"
refused authentication_error invalid_api_key

echo
echo "All as documented."
