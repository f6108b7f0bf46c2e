#!/usr/bin/env bash
# Wayvo's commands for API keys, as documented and in their order. In an empty
# folder, where wavegate takes its published access key from this machine:
#
#   wavegate --policy examples/keys/wayvo.yaml
#
# and in another terminal:
#
#   examples/keys/wayvo.sh
#
# WAVEGATE_URL is where wavegate is, if not here, and WAVEGATE_LOGIN the ID:SECRET of
# an access key of your own.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "Make a key: it has a name and a description"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Reporting", "description": "Fills the dashboard every night"}'
field .api_key.name Reporting
field .api_key.description "Fills the dashboard every night"
field .api_key.role integration
field .api_key.status active
matches .warning .
YOUR_API_KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)

title "Use it"
expect 200 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $YOUR_API_KEY"
expect 200 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $YOUR_API_KEY"

title "Without it, or with a wrong one: 401"
expect 401 curl -X GET "$WAVEGATE_URL/v1/users"
refused authentication_error credential_required
expect 401 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer not-a-key"
refused authentication_error invalid_api_key

title "What the role does not open: 403"
expect 403 curl -X DELETE "$WAVEGATE_URL/v1/users/1" -H "Authorization: Bearer $YOUR_API_KEY"
refused permission_error insufficient_scope

title "Rotate it, and use both"
expect 200 curl -X POST "$WAVEGATE_URL/v1/auth/keys/$KEY_ID/rotate" -u "$WAVEGATE_LOGIN"
field .old_key.id "$KEY_ID"
NEW_API_KEY=$(value .new_key.key)
NEW_KEY_ID=$(value .new_key.id)
field .new_key.name Reporting
expect 200 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $YOUR_API_KEY"
header Wave-Key-Status '^deprecated$'
expect 200 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $NEW_API_KEY"

title "Revoke both: 401 at once"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -u "$WAVEGATE_LOGIN"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$NEW_KEY_ID" -u "$WAVEGATE_LOGIN"
expect 401 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $YOUR_API_KEY"
expect 401 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $NEW_API_KEY"

title "One that may do one thing, and once: 403, 402"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Once", "description": "To try it", "scopes": ["projects:read"], "ops_limit": 1}'
YOUR_API_KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)
expect 403 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $YOUR_API_KEY"
refused permission_error insufficient_scope
expect 200 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $YOUR_API_KEY"
expect 402 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $YOUR_API_KEY"
refused quota_error ops_limit_reached
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -u "$WAVEGATE_LOGIN"

title "One of a small tier, until it is too fast: 429"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/keys" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Slow", "description": "To try it", "rate_limit_tier": "free"}'
YOUR_API_KEY=$(value .api_key.key)
KEY_ID=$(value .api_key.id)
until_status 429 200 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $YOUR_API_KEY"
refused rate_limit_error rate_limit_exceeded
header Retry-After '^[1-9][0-9]*$'
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/keys/$KEY_ID" -u "$WAVEGATE_LOGIN"

echo
echo "All as documented."
