#!/usr/bin/env bash
# WAVE's commands for OAuth, as documented and in their order. In a folder of its
# own:
#
#   wavegate -create-access-key
#   wavegate --create-user you --generate
#   wavegate --policy examples/keys/wave.yaml
#
# and in another terminal, with the ID and the secret that the first one printed, and
# the password that the second one did:
#
#   WAVEGATE_LOGIN=ID:SECRET WAVEGATE_USER=you:PASSWORD examples/keys/oauth-wave.sh
#
# WAVEGATE_URL is where wavegate is, if not here.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "Register the app"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/clients" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "My Streaming App", "redirect_uris": ["https://yourapp.com/callback"], "scopes": ["streams:read", "streams:write", "analytics:read"], "type": "confidential", "grant_types": ["authorization_code", "refresh_token"], "pkce": "optional"}'
matches .client.client_id '^client_'
matches .client.client_secret '^wgcs_'
field .client.name "My Streaming App"
field .client.pkce optional
matches .warning .
CLIENT_ID=$(value .client.client_id)
CLIENT_SECRET=$(value .client.client_secret)

title "Lead the user to the page where they allow it"
STATE=random_state_string
allow xdg-open "$WAVEGATE_URL/oauth/authorize?client_id=$CLIENT_ID&redirect_uri=https://yourapp.com/callback&response_type=code&scope=streams:read streams:write analytics:read&state=$STATE"
returned_is state "$STATE"
CODE=$(returned code)

title "Change the code for tokens"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "authorization_code", "code": "'"$CODE"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'", "redirect_uri": "https://yourapp.com/callback"}'
matches .access_token '^eyJ'
matches .refresh_token '^wgrt_'
field .token_type Bearer
field .expires_in 3600
field .scope "streams:read streams:write analytics:read"
header Cache-Control no-store
ACCESS_TOKEN=$(value .access_token)

title "Use the access token: it opens what the user allowed, and nothing else"
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $ACCESS_TOKEN"
expect 200 curl -X POST "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $ACCESS_TOKEN" -d '{"name": "Roof terrace"}'
expect 403 curl "$WAVEGATE_URL/v1/recordings" -H "Authorization: Bearer $ACCESS_TOKEN"
refused permission_error insufficient_scope
header WWW-Authenticate '^Bearer .*error="insufficient_scope"'

title "A code that comes twice was stolen: what it gave ends"
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "authorization_code", "code": "'"$CODE"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'", "redirect_uri": "https://yourapp.com/callback"}'
refused_oauth invalid_grant
expect 401 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $ACCESS_TOKEN"
refused authentication_error invalid_token

title "The same with PKCE; verifier and challenge are those of RFC 7636, an app makes its own each time"
CODE_VERIFIER=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
CODE_CHALLENGE=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
allow xdg-open "$WAVEGATE_URL/oauth/authorize?client_id=$CLIENT_ID&redirect_uri=https://yourapp.com/callback&response_type=code&scope=streams:read streams:write analytics:read&state=$STATE&code_challenge=$CODE_CHALLENGE&code_challenge_method=S256"
returned_is state "$STATE"
CODE=$(returned code)
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "authorization_code", "code": "'"$CODE"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'", "redirect_uri": "https://yourapp.com/callback", "code_verifier": "'"$CODE_VERIFIER"'"}'
field .expires_in 3600
ACCESS_TOKEN=$(value .access_token)
REFRESH_TOKEN=$(value .refresh_token)
expect 200 curl "$WAVEGATE_URL/v1/analytics/viewers" -H "Authorization: Bearer $ACCESS_TOKEN"

title "Refresh: there is a new refresh token each time"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
field .token_type Bearer
field .expires_in 3600
field .scope "streams:read streams:write analytics:read"
matches .refresh_token '^wgrt_'
FIRST_REFRESH_TOKEN=$REFRESH_TOKEN
REFRESH_TOKEN=$(value .refresh_token)
expect 200 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $(value .access_token)"

title "An answer that got lost can be asked for once more: it is the same refresh token"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$FIRST_REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
[[ $(value .refresh_token) == "$REFRESH_TOKEN" ]] || fail "it is another refresh token"
ACCESS_TOKEN=$(value .access_token)

title "Once the next one was used, the one before is a stolen one: everything ends"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
REFRESH_TOKEN=$(value .refresh_token)
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$FIRST_REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
refused_oauth invalid_grant
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
refused_oauth invalid_grant
expect 401 curl "$WAVEGATE_URL/v1/streams" -H "Authorization: Bearer $ACCESS_TOKEN"
refused authentication_error invalid_token

title "Remove the app"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/clients/$CLIENT_ID" -u "$WAVEGATE_LOGIN"
expect 401 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/json" \
  -d '{"grant_type": "refresh_token", "refresh_token": "'"$REFRESH_TOKEN"'", "client_id": "'"$CLIENT_ID"'", "client_secret": "'"$CLIENT_SECRET"'"}'
refused_oauth invalid_client

echo
echo "All as documented."
