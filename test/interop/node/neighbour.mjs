// A neighbour in a cluster: a server of interop.proto that registers itself by etcd3, or a client that finds its servers that way. Prints
// what test/interop/go/neighbour prints.
//
//   node neighbour.mjs <interop.proto> serve|check|load <etcd> naming|openim <service>
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import * as checks from './checks.mjs';
import { grpc, load } from './interop.mjs';
import { implementation } from './service.mjs';
import { connect, register } from './ways.mjs';

const [proto, role, etcd, way, service] = process.argv.slice(2);
const { Interop } = load(proto);
const terminated = new Promise((resolve) => { process.on('SIGTERM', resolve); });

await { serve, check, load: makeLoad }[role]();
process.exit(0);

async function serve() {
  const server = new grpc.Server({ 'grpc.max_send_message_length': -1 });
  let address;
  server.addService(Interop.service, {
    ...implementation,
    Echo: (call, callback) => {
      const identity = new grpc.Metadata();
      identity.set('served-by', address);
      identity.set('received-authority', call.getHost());
      call.sendMetadata(identity);
      callback(null, call.request);
    },
    Fail: (call, callback) => implementation.Fail(call, (error) => {
      error.metadata.set('grpc-status-details-bin', details(call.request.number, call.request.text));
      callback(error);
    }),
  });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  address = `127.0.0.1:${port}`;
  const deregister = await register(etcd, way, service, address);
  console.log(`listening ${address}`);
  await terminated;
  await deregister();

  // tryShutdown closes connections that are idle at once, and what a client has just sent on one is lost: it must have turned away before.
  await setTimeout(500);
  await new Promise((resolve) => { server.tryShutdown(resolve); });
}

async function check() {
  const client = connect(Interop, etcd, way, service);
  for (const [name, run] of [...Object.entries(checks), ['error_with_details', errorWithDetails]]) {
    await run(client);
    console.log(`ok ${name}`);
  }
}

async function makeLoad() {
  const client = connect(Interop, etcd, way, service);
  const answers = new Map();
  let [made, failed, stopping] = [0, 0, false];
  const print = () => console.log(`made ${made} failed ${failed}`);
  const caller = async () => {
    while (!stopping) {
      await new Promise((resolve) => {
        const call = client.Echo({ text: 'load' }, { deadline: Date.now() + 20_000 }, (error) => {
          made++;
          if (error) {
            failed++;
            console.log(`failure ${error.message}`);
          } else {
            answers.set(call.getPeer(), (answers.get(call.getPeer()) ?? 0) + 1);
          }
          setTimeout(2).then(resolve);
        });
      });
    }
  };
  const callers = [caller(), caller(), caller(), caller()];
  const printing = setInterval(print, 50);
  await terminated;
  stopping = true;
  await Promise.all(callers);
  clearInterval(printing);
  answers.forEach((number, address) => console.log(`answered ${address} ${number}`));
  print();
}

async function errorWithDetails(client) {
  const text = 'größer als 100 %\n日本 🙂';
  const error = await new Promise((resolve) => { client.Fail({ number: grpc.status.FAILED_PRECONDITION, text }, resolve); });
  assert.equal(error.details, text);
  assert.deepEqual(error.metadata.get('grpc-status-details-bin'), [details(grpc.status.FAILED_PRECONDITION, text)]);
}

/** A google.rpc.Status with an ErrorInfo, in the wire format: grpc-js leaves that to its users. */
function details(code, text) {
  const field = (number, bytes) => Buffer.concat([varint((number << 3) | 2), varint(Buffer.byteLength(bytes)), Buffer.from(bytes)]);
  const entry = Buffer.concat([field(1, 'text'), field(2, text)]);
  const info = Buffer.concat([field(1, 'ASKED'), field(2, 'interop.v1'), field(3, entry)]);
  const any = Buffer.concat([field(1, 'type.googleapis.com/google.rpc.ErrorInfo'), field(2, info)]);
  return Buffer.concat([varint(1 << 3), varint(code), field(2, text), field(3, any)]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) {
    bytes.push((value & 127) | 128);
  }
  return Buffer.from([...bytes, value]);
}
