// A real OpenID Connect provider for tests: the npm package oidc-provider with a
// plain sign-in form that takes any password. node.go starts it:
//
//   node provider.mjs FOLDER    FOLDER holds package.json and node_modules
//
// Standard input is one JSON object a line: first the configuration
// {port, clients, users, claimsInIDToken}, then new users ({users}). Each is
// answered with a line on standard output. It ends when standard input does.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// Standard output is for the answers; the package writes notices there.
for (const name of ['log', 'info', 'warn']) console[name] = console.error;
const reply = (text) => process.stdout.write(`${text}\n`);

const require = createRequire(join(process.argv[2], 'package.json'));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
let users = config.users;

const server = createServer();
await new Promise((resolve) => server.listen(config.port, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

function newKey(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig', alg };
}

const provider = new Provider(issuer, {
  clients: config.clients,
  jwks: { keys: [newKey('RS256', 'rsa', { modulusLength: 2048 }), newKey('ES256', 'ec', { namedCurve: 'P-256' })] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: {
    openid: ['sub', 'groups'],
    profile: ['preferred_username', 'name'],
    email: ['email', 'email_verified'],
  },
  conformIdTokenClaims: !config.claimsInIDToken,
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: true, logoutSource: askLogout },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, hidden, out, error) => {
        ctx.body = page('A device at the test provider', `<p role="alert">${error ? 'No such code.' : ''}</p>${hidden}<button type="submit" form="op.deviceInputForm">Continue</button>`);
      },
      userCodeConfirmSource: (ctx, hidden) => {
        ctx.body = page('A device at the test provider', `${hidden}<button type="submit" form="op.deviceConfirmForm">Let it in</button>`);
      },
      successSource: (ctx) => {
        ctx.body = page('A device at the test provider', '<p>It goes on by itself.</p>');
      },
    },
    introspection: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    // Whoever asks for a resource gets a JWT for it (RFC 8707, RFC 9068).
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (ctx, resource) => ({ audience: resource, scope: 'api:read api:write', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      useGrantedResource: async () => true,
    },
  },
  ttl: { AccessToken: 300, AuthorizationCode: 60, ClientCredentials: 300, DeviceCode: 300, IdToken: 300, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
  pkce: { required: () => true },
  // Logout tokens go to this machine, which its own dispatcher does not allow.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  renderError: (ctx, out) => {
    ctx.type = 'html';
    ctx.body = page('Error at the test provider', `<p role="alert">${out.error}</p>`);
  },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: async (ctx, id) => users[id] && { accountId: id, claims: async () => ({ ...users[id], sub: id }) },
  // Everybody agrees to everything: consent is not what these tests are about.
  loadExistingGrant: async (ctx) => {
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile email offline_access');
    if (ctx.oidc.params.resource) grant.addResourceScope(ctx.oidc.params.resource, 'api:read api:write');
    await grant.save();
    return grant;
  },
});

// The package's own pages ask a font service for letters, and no test may.
function page(title, content) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<link rel="icon" href="data:,">
<h1>Test provider</h1>
${content}
</html>
`;
}

function form(action, problem) {
  return page('Sign in at the test provider', `<p role="alert">${problem}</p>
<form method="post" action="${action}">
<label>User <input name="username" autocomplete="username" autofocus required></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button type="submit">Sign in</button>
</form>
<p><a id="cancel" href="${action}/cancel">Cancel</a></p>`);
}

function askLogout(ctx, hidden) {
  ctx.body = page('Sign out at the test provider', `${hidden}
<button id="leave" type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

async function interact(request, response) {
  if (request.url.endsWith('/cancel')) {
    await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The person cancelled.' });
    return;
  }
  const problem = request.method === 'POST' ? await signIn(request, response) : '';
  if (problem === null) return;
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(form(request.url, problem));
}

// signIn finishes the interaction, or says why it cannot.
async function signIn(request, response) {
  const name = (await body(request)).get('username');
  if (!users[name]) return 'No such user.';
  await provider.interactionFinished(request, response, { login: { accountId: name } });
  return null;
}

const serve = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    serve(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
// What it refused, and why: shown when the test has failed.
for (const event of ['server_error', 'authorization.error', 'grant.error', 'userinfo.error', 'end_session.error', 'backchannel.error']) {
  provider.on(event, (ctx, error) => console.error(event, error.error ?? error, error.error_detail ?? ''));
}

reply(`ready ${issuer}`);
for await (const line of lines) {
  ({ users } = JSON.parse(line));
  reply('ok');
}
process.exit(0);
