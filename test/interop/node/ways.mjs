// How services in Node.js stand in etcd, by the package etcd3: in the way of etcd's own Go package "naming", or in that of OpenIM.
import { Etcd3 } from 'etcd3';
import { grpc } from './interop.mjs';

const { registerResolver, splitHostPort, statusOrFromError, statusOrFromValue } = grpc.experimental;

const ways = {
  naming: {
    prefix: (service) => `services/${service}/`,
    target: (service) => `etcd:///services/${service}`,
    write: (address) => JSON.stringify({ Op: 0, Addr: address, Metadata: { Weight: 3, Zone: 'eu-1a' } }),
    read: (value) => JSON.parse(value).Addr,
  },
  openim: {
    prefix: (service) => `openim:///${service}/`,
    target: (service) => `openim:///${service}/`,
    write: (address) => address,
    read: (value) => value,
  },
};

/** Registers an address under a lease that is kept alive, and again when the lease is lost. Gives what undoes it. */
export async function register(hosts, way, service, address) {
  const client = new Etcd3({ hosts });
  let lease;
  let stopped = false;
  const put = async () => {
    lease = client.lease(10);
    lease.on('lost', () => { if (!stopped) put(); });
    await lease.put(ways[way].prefix(service) + address).value(ways[way].write(address));
  };
  await put();
  return async () => {
    stopped = true;
    await lease.revoke();
    client.close();
  };
}

/** A client of the service that is balanced over all of its instances, by list and watch. */
export function connect(Service, hosts, way, service) {
  const { prefix, target, read } = ways[way];
  const scheme = target(service).split(':')[0];
  registerResolver(scheme, class {
    constructor(_, listener) {
      this.listener = listener;
      this.addresses = new Map();
    }

    // Not what the target has there, as grpc-go does it: Node.js refuses an authority that is no host.
    static getDefaultAuthority() {
      return service;
    }

    updateResolution() {
      this.client ??= this.start();
    }

    start() {
      const client = new Etcd3({ hosts });
      this.run(client).catch((error) => this.listener(statusOrFromError({ code: grpc.status.UNAVAILABLE, details: `${error}` }), {}, null, ''));
      return client;
    }

    async run(client) {
      const listed = await client.getAll().prefix(prefix(service)).exec();
      listed.kvs.forEach((pair) => this.addresses.set(pair.key.toString(), read(pair.value.toString())));
      this.tell();

      // From the revision after that of the list, so that nothing in between is missed.
      const watcher = await client.watch().prefix(prefix(service)).startRevision(String(Number(listed.header.revision) + 1)).create();
      watcher.on('put', (pair) => { this.addresses.set(pair.key.toString(), read(pair.value.toString())); this.tell(); });
      watcher.on('delete', (pair) => { this.addresses.delete(pair.key.toString()); this.tell(); });
    }

    tell() {
      const endpoints = [...new Set(this.addresses.values())].map((address) => ({ addresses: [splitHostPort(address)] }));
      this.listener(statusOrFromValue(endpoints), {}, statusOrFromValue({ loadBalancingConfig: [{ round_robin: {} }], methodConfig: [] }), '');
    }

    destroy() {
      this.client?.close();
      this.client = undefined;
    }
  });
  return new Service(target(service), grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
}
