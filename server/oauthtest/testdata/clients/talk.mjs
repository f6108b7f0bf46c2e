// How a script talks with the test that runs it: one JSON object a line. The first
// line of standard input is the configuration. What the person in front of the
// browser has to do is asked for on standard output, and the next line of standard
// input says where the browser came out. The last line of standard output is
// {"done": …}. A script that fails says why on standard error.
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => {
  const { done, value } = await lines.next();
  if (done) process.exit(1); // the test has given up, and says why
  return JSON.parse(value);
};
const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

export const config = await read();

// browse has the person open an address, typing the code if the page asks for one,
// and returns the address where the browser comes out.
export async function browse(url, code = '') {
  write({ browse: String(url), code });
  return new URL((await read()).at);
}

// run runs the flow that the configuration names and says what came of it.
export async function run(flows) {
  write({ done: await flows[config.flow]() });
  process.exit(0);
}
