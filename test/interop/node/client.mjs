// node client.mjs <interop.proto> <host:port> <check>
// Calls interop.v1.Interop and exits with 0 if the answer is what the proto file promises; else says what it was instead.
// Without a check it lists the checks.
import assert from 'node:assert/strict';
import { grpc, load } from './interop.mjs';
import * as checks from './checks.mjs';

const [proto, address, name] = process.argv.slice(2);
if (!name) {
  console.log(Object.keys(checks).join('\n'));
  process.exit(0);
}

assert.ok(checks[name], `There is no check '${name}'.`);
const client = new (load(proto).Interop)(address, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });

// Whoever started this process may end without a word.
process.stdin.resume();
process.stdin.on('end', () => process.exit(3));
const limit = setTimeout(() => {
  console.error(`Check '${name}' has no result after 20 s.`);
  process.exit(2);
}, 20_000);

try {
  await checks[name](client);
  process.exitCode = 0;
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  clearTimeout(limit);
  client.close();
  process.stdin.destroy();
}
