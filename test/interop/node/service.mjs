// The service interop.v1.Interop, as interop.proto describes it. Prints "cancelled <method>" for each call that its client gave up.
import { grpc } from './interop.mjs';

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

export const implementation = {
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
