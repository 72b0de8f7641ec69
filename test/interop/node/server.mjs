// node server.mjs <interop.proto>
// Serves interop.v1.Interop on a free port of 127.0.0.1. Prints "listening <port>" once it does and "cancelled <method>" for each
// call that its client gave up. Ends when its standard input closes, and so never outlives the process that started it.
import { grpc, load } from './interop.mjs';

const { Interop } = load(process.argv[2]);

function failure(code, details) {
  const metadata = new grpc.Metadata();
  metadata.set('reason', 'asked');
  return { code, details, metadata };
}

function count(call) {
  for (let i = 0; i < call.request.number; i++) {
    call.write({ text: String(i), number: i });
  }
}

function reportCancel(call, method) {
  call.on('cancelled', () => console.log(`cancelled ${method}`));
}

const implementation = {
  Echo: (call, callback) => callback(null, call.request),

  Count: (call) => {
    count(call);
    const trailers = new grpc.Metadata();
    trailers.set('count', String(call.request.number));
    call.end(trailers);
  },

  Collect: (call, callback) => {
    const texts = [];
    call.on('data', (message) => texts.push(message.text));
    call.on('end', () => callback(null, { text: texts.join(''), number: texts.length }));
  },

  Chat: (call) => {
    reportCancel(call, 'Chat');
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
    call.on('error', () => {});
  },

  Fail: (call, callback) => callback(failure(call.request.number, call.request.text)),

  FailLate: (call) => {
    count(call);
    call.emit('error', failure(grpc.status.ABORTED, call.request.text));
  },

  EchoMetadata: (call, callback) => {
    const headers = new grpc.Metadata();
    const trailers = new grpc.Metadata();
    let number = 0;
    for (const name of Object.keys(call.metadata.getMap()).filter((key) => key.startsWith('echo-'))) {
      for (const value of call.metadata.get(name)) {
        headers.add(name, value);
        trailers.add(`trailer-${name}`, value);
        number++;
      }
    }
    call.sendMetadata(headers);
    callback(null, { number }, trailers);
  },

  Wait: (call, callback) => {
    reportCancel(call, 'Wait');
    if (call.request.number >= 0) {
      setTimeout(() => callback(null, { text: 'waited' }), call.request.number);
    }
  },

  WaitStream: (call) => {
    reportCancel(call, 'WaitStream');
    call.write({ text: 'first' });
    if (call.request.number > 0) {
      setTimeout(() => { call.write({ text: 'second' }); call.end(); }, call.request.number);
    }
  },

  Large: (call, callback) => callback(null, { payload: Buffer.alloc(call.request.number) }),
};

const server = new grpc.Server({ 'grpc.max_send_message_length': -1 });
server.addService(Interop.service, implementation);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    throw error;
  }
  console.log(`listening ${port}`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
