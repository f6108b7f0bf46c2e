// Checks webhook signatures with the npm package standardwebhooks:
//
//   node verify.mjs FOLDER    FOLDER holds package.json and node_modules
//
// Standard input is one JSON object a line: {secret, headers, payload}. Each is
// answered with a line on standard output: "ok", or why it is refused.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(join(process.argv[2], 'package.json'));
const { Webhook } = require('standardwebhooks');

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, payload } = JSON.parse(line);
  try {
    new Webhook(secret).verify(payload, headers);
    console.log('ok');
  } catch (error) {
    console.log(error.message);
  }
}
