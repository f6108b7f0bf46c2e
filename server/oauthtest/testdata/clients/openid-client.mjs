// What apps do that use the npm package openid-client.
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { browse, config, run } from './talk.mjs';

// discover reads the provider's metadata. Plain http is for this machine alone.
async function discover(authentication) {
  return prepare(await client.discovery(new URL(config.issuer), config.client_id, {}, authentication, { execute: [client.allowInsecureRequests] }));
}

function prepare(discovered) {
  client.enableNonRepudiationChecks(discovered); // look at the signature of what came straight from the provider too
  assert.ok(discovered.serverMetadata().supportsPKCE());
  return discovered;
}

// signIn has the person sign in and redeems the code: with PKCE, state and nonce.
async function signIn(discovered, build, parameters) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true };
  const start = await build(discovered, {
    redirect_uri: config.redirect_uri,
    scope: config.scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...parameters,
  });
  const callback = await browse(start);
  const redeem = () => client.authorizationCodeGrant(discovered, callback, checks);
  return { start, tokens: await redeem(), again: redeem };
}

// refresh renews the tokens: they are others, and the person is the same.
async function refresh(discovered, tokens) {
  const renewed = await client.refreshTokenGrant(discovered, tokens.refresh_token);
  assert.notEqual(renewed.access_token, tokens.access_token);
  assert.ok(renewed.refresh_token && renewed.refresh_token !== tokens.refresh_token);
  assert.equal(renewed.claims().sub, tokens.claims().sub);
  return renewed;
}

// refused fails unless the call is refused with an OAuth error.
const refused = (call, error) => assert.rejects(call, { error });

await run({
  async web() {
    const discovered = await discover(client.ClientSecretBasic(config.client_secret));
    const { tokens } = await signIn(discovered, client.buildAuthorizationUrl);
    const userinfo = await client.fetchUserInfo(discovered, tokens.access_token, tokens.claims().sub);
    const renewed = await refresh(discovered, tokens);
    const active = await client.tokenIntrospection(discovered, renewed.access_token);
    await client.tokenRevocation(discovered, renewed.refresh_token);
    await refused(client.refreshTokenGrant(discovered, renewed.refresh_token), 'invalid_grant');
    const { active: revoked } = await client.tokenIntrospection(discovered, renewed.access_token);
    assert.equal(revoked, false);
    const back = await browse(client.buildEndSessionUrl(discovered, {
      post_logout_redirect_uri: config.post_logout_redirect_uri, id_token_hint: tokens.id_token, state: 'bye',
    }));
    assert.equal(back.href, `${config.post_logout_redirect_uri}?state=bye`);
    return { tokens, claims: tokens.claims(), userinfo, introspection: active };
  },

  async pushed() {
    const discovered = await discover(client.ClientSecretPost(config.client_secret));
    const { start, tokens, again } = await signIn(discovered, client.buildAuthorizationUrlWithPAR, { resource: config.resource });
    assert.deepEqual([...start.searchParams.keys()].sort(), ['client_id', 'request_uri']);
    const renewed = await refresh(discovered, tokens);
    await refused(again(), 'invalid_grant');
    await refused(client.refreshTokenGrant(discovered, renewed.refresh_token), 'invalid_grant'); // the replay has ended it
    return { tokens, claims: tokens.claims() };
  },

  async native() {
    const discovered = await discover(client.None());
    const { tokens } = await signIn(discovered, client.buildAuthorizationUrl);
    const userinfo = await client.fetchUserInfo(discovered, tokens.access_token, tokens.claims().sub);
    await refresh(discovered, tokens);
    return { tokens, claims: tokens.claims(), userinfo };
  },

  async newcomer() {
    const discovered = prepare(await client.dynamicClientRegistration(new URL(config.issuer), {
      client_name: 'Newcomer', redirect_uris: [config.redirect_uri], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_post',
    }, undefined, { execute: [client.allowInsecureRequests] }));
    const { tokens } = await signIn(discovered, client.buildAuthorizationUrl);
    await refresh(discovered, tokens);
    return { tokens, claims: tokens.claims(), client_id: discovered.clientMetadata().client_id };
  },

  async service() {
    const discovered = await discover(client.ClientSecretBasic(config.client_secret));
    const tokens = await client.clientCredentialsGrant(discovered, { scope: config.scope, resource: config.resource });
    return { tokens };
  },

  async signer() {
    const key = await crypto.subtle.importKey('jwk', config.private_jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    const discovered = await discover(client.PrivateKeyJwt({ key, kid: config.private_jwk.kid }));
    const tokens = await client.clientCredentialsGrant(discovered, { scope: config.scope, resource: config.resource });
    return { tokens };
  },

  async device() {
    const discovered = await discover(client.None());
    const device = await client.initiateDeviceAuthorization(discovered, { scope: config.scope });
    await browse(device.verification_uri_complete);
    const tokens = await client.pollDeviceAuthorizationGrant(discovered, device);
    const userinfo = await client.fetchUserInfo(discovered, tokens.access_token, tokens.claims().sub);
    await refused(client.pollDeviceAuthorizationGrant(discovered, { ...device, interval: 0 }), 'invalid_grant');
    return { tokens, claims: tokens.claims(), userinfo };
  },
});
