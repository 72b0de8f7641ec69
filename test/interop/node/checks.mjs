// What a client in this language expects of a server of interop.proto; each export is one check.
import assert from 'node:assert/strict';
import { grpc } from './interop.mjs';

/** Makes a call with one response; gives everything that came, the error included. */
function unary(client, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve) => {
    const result = {};
    const call = client[method](request, metadata, options, (error, response) => Object.assign(result, { error, response }));
    call.on('metadata', (headers) => { result.headers = headers; });
    call.on('status', (status) => resolve({ ...result, status }));
  });
}

/** Reads a stream of responses to its end. */
function drain(call) {
  return new Promise((resolve) => {
    const messages = [];
    call.on('data', (message) => messages.push(message));
    call.on('error', () => {});
    call.on('status', (status) => resolve({ messages, status }));
  });
}

function metadata(entries) {
  const result = new grpc.Metadata();
  entries.forEach(([name, value]) => result.add(name, value));
  return result;
}

const soon = (milliseconds) => ({ deadline: new Date(Date.now() + milliseconds) });

export async function unary_call(client) {
  const { response, status } = await unary(client, 'Echo', { text: 'hello', number: -7, payload: Buffer.from([0, 255]) });
  assert.deepEqual([response.text, response.number, [...response.payload]], ['hello', -7, [0, 255]]);
  assert.equal(status.code, grpc.status.OK);
}

export async function empty_message(client) {
  const { response } = await unary(client, 'Echo', {});
  assert.equal(response.text, '');
}

export async function server_stream_with_trailers(client) {
  const { messages, status } = await drain(client.Count({ number: 200 }));
  assert.deepEqual(messages.map((message) => message.number), Array.from({ length: 200 }, (_, i) => i));
  assert.equal(status.code, grpc.status.OK);
  assert.deepEqual(status.metadata.get('count'), ['200']);
}

export async function empty_server_stream(client) {
  const { messages, status } = await drain(client.Count({}));
  assert.deepEqual([messages.length, status.code], [0, grpc.status.OK]);
}

export async function client_stream(client) {
  const response = await new Promise((resolve, reject) => {
    const call = client.Collect((error, answer) => (error ? reject(error) : resolve(answer)));
    ['a', 'b', 'c'].forEach((text) => call.write({ text }));
    call.end();
  });
  assert.deepEqual([response.text, response.number], ['abc', 3]);
}

export async function duplex_stream_answers_each_message_at_once(client) {
  const call = client.Chat();
  for (let i = 0; i < 50; i++) {
    const answer = new Promise((resolve) => call.once('data', resolve));
    call.write({ number: i });
    assert.equal((await answer).number, i);
  }
  const end = drain(call);
  call.end();
  assert.equal((await end).status.code, grpc.status.OK);
}

export async function error_with_detail_and_trailers(client) {
  for (const code of [3, 5, 9, 16]) {
    const { status } = await unary(client, 'Fail', { number: code, text: 'größer als 100 %\n日本 🙂' });
    assert.equal(status.code, code);
    assert.equal(status.details, 'größer als 100 %\n日本 🙂');
    assert.deepEqual(status.metadata.get('reason'), ['asked']);
  }
}

export async function error_after_messages(client) {
  const { messages, status } = await drain(client.FailLate({ number: 2, text: 'late' }));
  assert.deepEqual([messages.length, status.code, status.details], [2, grpc.status.ABORTED, 'late']);
  assert.deepEqual(status.metadata.get('reason'), ['asked']);
}

export async function metadata_both_ways(client) {
  const bytes = Buffer.from([0, 1, 254, 255, 65]);
  const { headers, status, response } = await unary(
    client, 'EchoMetadata', {}, metadata([['echo-text', 'some text, with a comma'], ['echo-bytes-bin', bytes]]));
  assert.equal(response.number, 2);
  assert.deepEqual(headers.get('echo-text'), ['some text, with a comma']);
  assert.deepEqual(headers.get('echo-bytes-bin'), [bytes]);
  assert.deepEqual(status.metadata.get('trailer-echo-text'), ['some text, with a comma']);
  assert.deepEqual(status.metadata.get('trailer-echo-bytes-bin'), [bytes]);
}

export async function deadline_of_a_call(client) {
  const { status } = await unary(client, 'Wait', { number: -1 }, undefined, soon(300));
  assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
}

export async function deadline_of_a_stream(client) {
  // On a busy machine the first deadline may pass before the first message.
  for (let limit = 1000, received = 0; received === 0; limit *= 2) {
    assert.ok(limit <= 8000, 'No stream began before its deadline.');
    const { messages, status } = await drain(client.WaitStream({}, soon(limit)));
    assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
    received = messages.length;
  }
}

export async function deadline_that_is_met(client) {
  const { response } = await unary(client, 'Wait', { number: 10 }, undefined, soon(15_000));
  assert.equal(response.text, 'waited');
}

export async function cancelled_stream(client) {
  const call = client.WaitStream({});
  const end = drain(call);
  call.once('data', () => call.cancel());
  assert.equal((await end).status.code, grpc.status.CANCELLED);
}

export async function method_that_is_not_implemented(client) {
  assert.equal((await unary(client, 'Missing', {})).status.code, grpc.status.UNIMPLEMENTED);
}

export async function service_that_does_not_exist(client) {
  const identity = (buffer) => buffer;
  const status = await new Promise((resolve) => {
    client.makeUnaryRequest('/interop.v1.Unheard/Echo', identity, identity, Buffer.alloc(0), () => {}).on('status', resolve);
  });
  assert.equal(status.code, grpc.status.UNIMPLEMENTED);
}

export async function large_messages(client) {
  const { response } = await unary(client, 'Echo', { payload: Buffer.alloc(3_000_000, 7) });
  assert.ok(response.payload.equals(Buffer.alloc(3_000_000, 7)));
  const { status } = await unary(client, 'Echo', { payload: Buffer.alloc(5_000_000) });
  assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
}

export async function many_calls_at_once(client) {
  const results = await Promise.all(Array.from({ length: 300 }, (_, number) => unary(client, 'Echo', { number })));
  assert.deepEqual(results.map((result) => result.response?.number), Array.from({ length: 300 }, (_, i) => i));
}
