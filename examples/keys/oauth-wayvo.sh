#!/usr/bin/env bash
# Wayvo's commands for OAuth, as documented and in their order. Its bodies are JSON,
# although curl calls them a form. In a folder of its own:
#
#   wavegate -create-access-key
#   wavegate --create-user you --generate
#   wavegate --policy examples/keys/wayvo.yaml
#
# and in another terminal, with the ID and the secret that the first one printed, and
# the password that the second one did:
#
#   WAVEGATE_LOGIN=ID:SECRET WAVEGATE_USER=you:PASSWORD examples/keys/oauth-wayvo.sh
#
# WAVEGATE_URL is where wavegate is, if not here.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "Register the application"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/clients" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Reporting", "redirect_uris": ["https://yourapp.com/callback"], "scopes": ["users:read", "projects:read"], "type": "confidential", "grant_types": ["client_credentials", "authorization_code", "refresh_token"], "pkce": "optional"}'
matches .client.client_id '^client_'
matches .client.client_secret '^wgcs_'
CLIENT_ID=$(value .client.client_id)
CLIENT_SECRET=$(value .client.client_secret)

title "Request an access token for the application itself"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" -d '{
  "grant_type": "client_credentials",
  "client_id": "'"$CLIENT_ID"'",
  "client_secret": "'"$CLIENT_SECRET"'"
}'
matches .access_token '^eyJ'
field .token_type Bearer
field .expires_in 900
field .scope "users:read projects:read"
field .refresh_token null # it can ask again
ACCESS_TOKEN=$(value .access_token)

title "Use it"
expect 200 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $ACCESS_TOKEN"
expect 200 curl -X GET "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $ACCESS_TOKEN"
expect 403 curl -X POST "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $ACCESS_TOKEN" -d '{"name": "Garden"}'
refused permission_error insufficient_scope

title "With a wrong secret: 401"
expect 401 curl -X POST "$WAVEGATE_URL/oauth/token" -d '{
  "grant_type": "client_credentials",
  "client_id": "'"$CLIENT_ID"'",
  "client_secret": "wgcs_wrong"
}'
refused_oauth invalid_client
header WWW-Authenticate '^Basic '

title "A refresh token comes with what somebody allows"
allow xdg-open "$WAVEGATE_URL/oauth/authorize?client_id=$CLIENT_ID&redirect_uri=https://yourapp.com/callback&response_type=code&scope=users:read projects:read"
CODE=$(returned code)
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" -d '{
  "grant_type": "authorization_code",
  "code": "'"$CODE"'",
  "redirect_uri": "https://yourapp.com/callback",
  "client_id": "'"$CLIENT_ID"'",
  "client_secret": "'"$CLIENT_SECRET"'"
}'
matches .refresh_token '^wgrt_'
REFRESH_TOKEN=$(value .refresh_token)

title "Request a new access token when it has expired"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" -d '{
  "grant_type": "refresh_token",
  "refresh_token": "'"$REFRESH_TOKEN"'",
  "client_id": "'"$CLIENT_ID"'",
  "client_secret": "'"$CLIENT_SECRET"'"
}'
matches .access_token '^eyJ'
matches .refresh_token '^wgrt_'
field .expires_in 900
ACCESS_TOKEN=$(value .access_token)
expect 200 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $ACCESS_TOKEN"

title "Remove the application: 401 at once"
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/clients/$CLIENT_ID" -u "$WAVEGATE_LOGIN"
expect 401 curl -X GET "$WAVEGATE_URL/v1/projects" -H "Authorization: Bearer $ACCESS_TOKEN"
refused authentication_error invalid_token

echo
echo "All as documented."
