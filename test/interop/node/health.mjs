// node health.mjs <interop.proto> <host:port> <service>
// Watches the health of a service, and prints each change of its status with a number, "1 SERVING", until standard input closes.
import { fileURLToPath } from 'node:url';
import loader from '@grpc/proto-loader';
import { grpc } from './interop.mjs';

const [, address, service = ''] = process.argv.slice(2);
const proto = fileURLToPath(new URL('../health.proto', import.meta.url));
const { Health } = grpc.loadPackageDefinition(loader.loadSync(proto, { enums: String, defaults: true })).grpc.health.v1;
const client = new Health(address, grpc.credentials.createInsecure());
const call = client.Watch({ service });
let changes = 0;
let last;
call.on('data', ({ status }) => {
  if (status !== last) {
    last = status;
    console.log(`${++changes} ${status}`);
  }
});
call.on('end', () => console.log('end'));
call.on('error', (error) => console.log(`error ${error.code}`));

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
