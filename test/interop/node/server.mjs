// node server.mjs <interop.proto>
// Serves interop.v1.Interop on a free port of 127.0.0.1. Prints "listening <port>" once it does. Ends when its standard input closes,
// and so never outlives the process that started it.
import { grpc, load } from './interop.mjs';
import { implementation } from './service.mjs';

const { Interop } = load(process.argv[2]);

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
