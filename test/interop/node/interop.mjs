// Loads interop.proto the same way for both sides.
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

export { grpc };

/** The package interop.v1 of the proto file. */
export function load(proto) {
  return grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true, defaults: true })).interop.v1;
}
