#!/usr/bin/env bash
# The common guide's commands for OAuth, whose bodies are forms, and its session
# tokens. In a folder of its own:
#
#   head -c 32 /dev/urandom | base64 >session.secret
#   wavegate -create-access-key
#   wavegate --create-user you --generate
#   wavegate --key-brand sk --policy examples/keys/oauth-generic.yaml
#
# and in another terminal, with the ID and the secret that the second one printed, and
# the password that the third one did:
#
#   WAVEGATE_LOGIN=ID:SECRET WAVEGATE_USER=you:PASSWORD examples/keys/oauth-generic.sh
#
# WAVEGATE_URL is where wavegate is, if not here.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title "Register the app"
expect 201 curl -X POST "$WAVEGATE_URL/v1/auth/clients" -u "$WAVEGATE_LOGIN" \
  -H "Content-Type: application/json" \
  -d '{"name": "Address book", "redirect_uris": ["https://yourapp.com/callback"], "scopes": ["read", "write"], "type": "confidential", "grant_types": ["authorization_code", "refresh_token", "client_credentials"], "pkce": "optional"}'
CLIENT_ID=$(value .client.client_id)
CLIENT_SECRET=$(value .client.client_secret)

title "Lead the user to the page where they allow it"
allow xdg-open "$WAVEGATE_URL/oauth/authorize?client_id=$CLIENT_ID&redirect_uri=https://yourapp.com/callback&response_type=code&scope=read write"
AUTHORIZATION_CODE=$(returned code)

title "Change the code for tokens"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "grant_type=authorization_code" \
  -d "code=$AUTHORIZATION_CODE" \
  -d "redirect_uri=https://yourapp.com/callback" \
  -d "client_id=$CLIENT_ID" \
  -d "client_secret=$CLIENT_SECRET"
matches .access_token '^eyJ'
matches .refresh_token '^wgrt_'
field .token_type Bearer
field .expires_in 600
field .scope "read write"
ACCESS_TOKEN=$(value .access_token)
REFRESH_TOKEN=$(value .refresh_token)

title "What the access token says (RFC 9068)"
decode 0 "$ACCESS_TOKEN"
field .typ at+jwt
field .alg ES256
decode 1 "$ACCESS_TOKEN"
field .client_id "$CLIENT_ID"
field .scope "read write"
field '.exp - .iat' 600

title "Use it"
expect 200 curl "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $ACCESS_TOKEN"
expect 200 curl -X POST "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $ACCESS_TOKEN" -d '{"name": "Ann"}'

title "Refresh, for less than before"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "grant_type=refresh_token" \
  -d "refresh_token=$REFRESH_TOKEN" \
  -d "scope=read" \
  -d "client_id=$CLIENT_ID" \
  -d "client_secret=$CLIENT_SECRET"
field .scope read
REFRESH_TOKEN=$(value .refresh_token)
READ_TOKEN=$(value .access_token)
expect 200 curl "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $READ_TOKEN"
expect 403 curl -X POST "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $READ_TOKEN" -d '{"name": "Ann"}'
refused permission_error insufficient_scope

title "A token for the app itself; here it says who it is with HTTP Basic"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" \
  -d "grant_type=client_credentials" \
  -d "scope=read"
field .scope read
field .refresh_token null
expect 200 curl "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $(value .access_token)"

title "What can go wrong"
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" \
  -d "grant_type=client_credentials" \
  -d "scope=admin"
refused_oauth invalid_scope
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d "grant_type=password"
refused_oauth unsupported_grant_type
expect 400 curl -X POST "$WAVEGATE_URL/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d "code=$AUTHORIZATION_CODE"
refused_oauth invalid_request

title "Revoke: the tokens are dead at once"
expect 200 curl -X POST "$WAVEGATE_URL/oauth/revoke" -u "$CLIENT_ID:$CLIENT_SECRET" -d "token=$REFRESH_TOKEN"
expect 401 curl "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $ACCESS_TOKEN"
refused authentication_error invalid_token
expect 204 curl -X DELETE "$WAVEGATE_URL/v1/auth/clients/$CLIENT_ID" -u "$WAVEGATE_LOGIN"

title "A session token as the guide has it, a JWT under the secret that apps share, for who is signed in here"
COOKIES=$work/cookies
expect 200 curl -X POST "$WAVEGATE_URL/_auth/token" -b "$COOKIES" \
  -H "Content-Type: application/json" -d '{"format": "HS256"}'
field .token_type Bearer
field .expires_in 86400
SESSION_TOKEN=$(value .access_token)
decode 0 "$SESSION_TOKEN"
field tojson '{"alg":"HS256","typ":"JWT"}'
decode 1 "$SESSION_TOKEN"
field 'keys | join(" ")' "exp iat scope sub"
field .sub "local|you"
field .scope "read write"
field '.exp - .iat' 86400
expect 200 curl "$WAVEGATE_URL/v1/users" -H "Authorization: Bearer $SESSION_TOKEN"

echo
echo "All as documented."
