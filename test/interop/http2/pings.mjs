// node pings.mjs [tolerant]
// An HTTP/2 server with the rule of gRPC servers for pings, one in five minutes without data, but stricter: they close the connection at
// the third that breaks it, this one at the first. A client's pings within moments of data measure the round trip and are no matter.
// Answers with headers at once, and with the rest after the milliseconds that the path says: /30000.
// Prints "listening <port>", and "silent ping" for each that comes long after data. With "tolerant" it closes nothing, as Kestrel.
import http2 from 'node:http2';

const MEASUREMENT = 5000;
const isTolerant = process.argv[2] === 'tolerant';
const server = http2.createServer();

server.on('session', (session) => {
  session.sentAt = Date.now();
  session.on('ping', () => {
    if (Date.now() - session.sentAt < MEASUREMENT) {
      return;
    }
    console.log('silent ping');
    if (!isTolerant) {
      session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
      session.destroy();
    }
  });
  session.on('error', () => {});
});

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'text/plain' });
  stream.session.sentAt = Date.now();
  setTimeout(() => {
    if (!stream.destroyed) {
      stream.end('done');
    }
  }, Number(headers[':path'].slice(1)));
});

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
