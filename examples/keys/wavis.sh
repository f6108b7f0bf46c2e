#!/usr/bin/env bash
# WAVIS's commands for API keys, as documented and in their order. In a folder of
# its own:
#
#   wavegate -create-access-key
#   wavegate --create-user you --generate    # with sign-in there are session tokens
#   wavegate --key-brand wvs --policy examples/keys/wavis.yaml
#
# and in another terminal, with the ID and the secret that the first one printed:
#
#   WAVEGATE_LOGIN=ID:SECRET examples/keys/wavis.sh
#
# WAVEGATE_URL is where wavegate is, if not here. Five trial keys a minute and ten
# keys an hour can be made, so it runs once a minute and three times an hour.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "A trial key: nobody has to sign in"
expect 200 curl -X POST "$WAVEGATE_URL/api/v1/onboarding/temp-key"
matches .api_key '^wvs_trial_[0-9a-f]{32}$'
matches .expires_at '^20.*Z$'
field .ops_limit 10
matches .message '30 minutes.*10 operations'
TRIAL_KEY=$(value .api_key)

title "It does ten operations: then 402. What it may not do costs nothing"
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $TRIAL_KEY"
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: $TRIAL_KEY"
expect 403 curl "$WAVEGATE_URL/api/v1/calls" -H "Authorization: Bearer $TRIAL_KEY"
refused permission_error insufficient_scope
until_status 402 9 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $TRIAL_KEY"
refused quota_error ops_limit_reached

title "Another one, and its end, by its first 16 characters"
expect 200 curl -X POST "$WAVEGATE_URL/api/v1/onboarding/temp-key"
TRIAL_KEY=$(value .api_key)
KEY_PREFIX=${TRIAL_KEY:0:16}
expect 200 curl -X DELETE "$WAVEGATE_URL/api/v1/onboarding/temp-key/$KEY_PREFIX"
field .revoked true
matches .message .
expect 401 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $TRIAL_KEY"
refused authentication_error invalid_api_key

title "The dashboard's token, with which keys are made"
expect 200 curl -X POST "$WAVEGATE_URL/_auth/token" -u "$WAVEGATE_LOGIN"
DASHBOARD_JWT=$(value .access_token)

title "Make keys: the environment has to be said, the role is developer"
expect 400 curl -X POST "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT" \
  -H "Content-Type: application/json" -d '{"role": "nobody"}'
refused invalid_request_error invalid_request
field '[.error.fields[].field] | sort | join(" ")' "environment role"
expect 201 curl -X POST "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT" \
  -H "Content-Type: application/json" -d '{"environment": "live"}'
matches .key '^wvs_live_[0-9a-f]{32}$'
matches .id '^key_'
matches .prefix '^wvs_live_[0-9a-f]{8}$'
matches .created_at '^20.*Z$'
field .environment live
KEY=$(value .key)
KEY_ID=$(value .id)
KEY_PREFIX=$(value .prefix)
expect 201 curl -X POST "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT" \
  -H "Content-Type: application/json" -d '{"environment": "test", "role": "viewer"}'
matches .key '^wvs_test_'
VIEWER_KEY=$(value .key)
VIEWER_ID=$(value .id)
expect 201 curl -X POST "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT" \
  -H "Content-Type: application/json" -d '{"environment": "dev", "role": "account_admin"}'
matches .key '^wvs_dev_'
ADMIN_ID=$(value .id)

title "See them"
expect 200 curl "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT"
field '.[0].role' account_admin
field '.[1].role' viewer
field '.[2].role' developer
field '.[2].prefix' "$KEY_PREFIX"

title "Use them: a viewer looks, a developer changes"
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $KEY"
expect 200 curl -X POST "$WAVEGATE_URL/api/v1/calls" -H "Authorization: $KEY"
expect 200 curl "$WAVEGATE_URL/api/v1/calls" -H "Authorization: Bearer $VIEWER_KEY"
expect 403 curl -X POST "$WAVEGATE_URL/api/v1/calls" -H "Authorization: Bearer $VIEWER_KEY"
refused permission_error insufficient_scope
expect 403 curl -X POST "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $VIEWER_KEY" -d '{"environment": "live"}'
refused permission_error insufficient_scope

title "The key rotates itself: for 24 hours both work"
expect 200 curl -X POST "$WAVEGATE_URL/api/v1/keys/apikey/rotate" -H "Authorization: Bearer $KEY"
matches .new_api_key '^wvs_live_[0-9a-f]{32}$'
field .old_key_prefix "$KEY_PREFIX"
matches '(.grace_period_ends_at | fromdate) - now | tostring' '^86(400|39[0-9])'
field .environment live
NEW_KEY=$(value .new_api_key)
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $KEY"
header Wave-Key-Status '^deprecated$'
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $NEW_KEY"

title "Delete the old one: 401 at once"
expect 204 curl -X DELETE "$WAVEGATE_URL/api/v1/user/api-keys/$KEY_ID" -H "Authorization: Bearer $DASHBOARD_JWT"
expect 401 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $KEY"
refused authentication_error invalid_api_key
expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $NEW_KEY"

# The rest is done from other addresses of this machine, so that it does not lock
# out the one that people use.
if [[ $(uname) == Linux && $WAVEGATE_URL == http://127.* ]]; then
  ELSEWHERE=127.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1))

  title "The sixth trial key within a minute: 429"
  until_status 429 20 curl -X POST "$WAVEGATE_URL/api/v1/onboarding/temp-key" --interface "$ELSEWHERE.1"
  refused rate_limit_error rate_limit_exceeded
  header Retry-After '^[1-9][0-9]*$'

  title "Ten wrong guesses at one key lock it for 15 minutes, but not for who uses it"
  GUESS=${NEW_KEY:0:17}000000000000000000000000
  until_status 429 11 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $GUESS" --interface "$ELSEWHERE.2"
  refused rate_limit_error locked_out
  header Retry-After '^(900|8[0-9][0-9])$'
  expect 429 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $NEW_KEY" --interface "$ELSEWHERE.2"
  expect 200 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer $NEW_KEY"

  title "Twenty wrong keys from one address lock the address for 15 minutes"
  until_status 429 21 curl "$WAVEGATE_URL/api/v1/health" -H "Authorization: Bearer not-a-key" --interface "$ELSEWHERE.3"
  refused rate_limit_error locked_out
  header Retry-After '^(900|8[0-9][0-9])$'
fi

title "Delete the others"
expect 200 curl "$WAVEGATE_URL/api/v1/user/api-keys" -H "Authorization: Bearer $DASHBOARD_JWT"
NEW_ID=$(value "[.[] | select(.prefix == \"${NEW_KEY:0:17}\")][0].id")
for ID in "$NEW_ID" "$VIEWER_ID" "$ADMIN_ID"; do
  expect 204 curl -X DELETE "$WAVEGATE_URL/api/v1/user/api-keys/$ID" -H "Authorization: Bearer $DASHBOARD_JWT"
done

echo
echo "All as documented."
