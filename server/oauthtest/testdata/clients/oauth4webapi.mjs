// What apps do that use the npm package oauth4webapi, request by request.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { browse, config, run } from './talk.mjs';

const here = { [oauth.allowInsecureRequests]: true }; // plain http is for this machine alone
let client = { client_id: config.client_id };
const issuer = new URL(config.issuer);

// discover reads the provider's metadata: "oidc", or "oauth2" for those of RFC 8414.
async function discover(algorithm) {
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...here }));
  assert.ok(as.code_challenge_methods_supported.includes('S256'));
  return as;
}

// signIn has the person sign in and redeems the code: with PKCE, state and nonce.
async function signIn(as, authentication, { push = false, ...more } = {}) {
  const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()];
  let parameters = {
    client_id: client.client_id, redirect_uri: config.redirect_uri, response_type: 'code', scope: config.scope, state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  };
  if (push) {
    const response = await oauth.pushedAuthorizationRequest(as, client, authentication, parameters, here);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response);
    parameters = { client_id: client.client_id, request_uri };
  }
  const callback = await browse(`${as.authorization_endpoint}?${new URLSearchParams(parameters)}`);
  const answer = oauth.validateAuthResponse(as, client, callback, state);
  const redeem = async () => {
    const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, config.redirect_uri, verifier, here);
    return read(as, response, oauth.processAuthorizationCodeResponse, { expectedNonce: nonce, requireIdToken: true });
  };
  return { tokens: await redeem(), again: redeem };
}

// read takes the tokens out of an answer, and looks at the ID token's signature.
async function read(as, response, process, options) {
  const tokens = await process(as, client, response, options);
  if (tokens.id_token) await oauth.validateApplicationLevelSignature(as, response, here);
  return tokens;
}

async function refresh(as, authentication, token) {
  return read(as, await oauth.refreshTokenGrantRequest(as, client, authentication, token, here), oauth.processRefreshTokenResponse);
}

async function userInfo(as, tokens) {
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  return oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token, here));
}

async function introspect(as, authentication, token) {
  return oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, authentication, token, here));
}

async function clientCredentials(as, authentication) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: config.scope, resource: config.resource }, here);
  return read(as, response, oauth.processClientCredentialsResponse);
}

// checked does what an API does with an access token that it gets (RFC 9068).
function checked(as, tokens) {
  const request = new Request(config.resource, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  return oauth.validateJwtAccessToken(as, request, config.resource, { signingAlgorithms: ['ES256'], ...here });
}

// refused fails unless the call is refused with an OAuth error.
const refused = (call, error) => assert.rejects(call, { error });

await run({
  async web() {
    const as = await discover('oidc');
    const secret = oauth.ClientSecretBasic(config.client_secret);
    const { tokens } = await signIn(as, secret);
    const userinfo = await userInfo(as, tokens);
    const renewed = await refresh(as, secret, tokens.refresh_token);
    assert.notEqual(renewed.access_token, tokens.access_token);
    assert.ok(renewed.refresh_token && renewed.refresh_token !== tokens.refresh_token);
    const introspection = await introspect(as, secret, renewed.access_token);
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, secret, renewed.refresh_token, here));
    await refused(refresh(as, secret, renewed.refresh_token), 'invalid_grant');
    assert.equal((await introspect(as, secret, renewed.access_token)).active, false);
    const leave = new URLSearchParams({ post_logout_redirect_uri: config.post_logout_redirect_uri, id_token_hint: tokens.id_token, state: 'bye' });
    const back = await browse(`${as.end_session_endpoint}?${leave}`);
    assert.equal(back.href, `${config.post_logout_redirect_uri}?state=bye`);
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), userinfo, introspection };
  },

  async pushed() {
    const as = await discover(config.metadata);
    const secret = oauth.ClientSecretPost(config.client_secret);
    const { tokens, again } = await signIn(as, secret, { push: true, resource: config.resource });
    const renewed = await refresh(as, secret, tokens.refresh_token);
    const access = await checked(as, renewed);
    await refused(again(), 'invalid_grant');
    await refused(refresh(as, secret, renewed.refresh_token), 'invalid_grant'); // the replay has ended it
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), access };
  },

  async native() {
    const as = await discover(config.metadata);
    const { tokens } = await signIn(as, oauth.None());
    const userinfo = await userInfo(as, tokens);
    await refresh(as, oauth.None(), tokens.refresh_token);
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), userinfo };
  },

  async newcomer() {
    const as = await discover(config.metadata);
    const metadata = { client_name: 'Newcomer', redirect_uris: [config.redirect_uri], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' };
    client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, metadata, here));
    const { tokens } = await signIn(as, oauth.None());
    await refresh(as, oauth.None(), tokens.refresh_token);
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), client_id: client.client_id };
  },

  async service() {
    const as = await discover(config.metadata);
    const tokens = await clientCredentials(as, oauth.ClientSecretBasic(config.client_secret));
    return { tokens, access: await checked(as, tokens) };
  },

  async signer() {
    const as = await discover(config.metadata);
    const key = await crypto.subtle.importKey('jwk', config.private_jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    const tokens = await clientCredentials(as, oauth.PrivateKeyJwt({ key, kid: config.private_jwk.kid }));
    return { tokens, access: await checked(as, tokens) };
  },

  async device() {
    const as = await discover(config.metadata);
    const response = await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: config.scope }, here);
    const device = await oauth.processDeviceAuthorizationResponse(as, client, response);
    const poll = async () => read(as, await oauth.deviceCodeGrantRequest(as, client, oauth.None(), device.device_code, here), oauth.processDeviceCodeResponse);
    await refused(poll(), 'authorization_pending');
    await browse(device.verification_uri, device.user_code);
    await new Promise((resolve) => setTimeout(resolve, (device.interval ?? 5) * 1000));
    const tokens = await poll();
    const userinfo = await userInfo(as, tokens);
    await refused(poll(), 'invalid_grant');
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), userinfo };
  },
});
