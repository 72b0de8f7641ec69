// Load reports as gRPC's ORCA has them, by what grpc-js has for them. Both roles end when their standard input closes.
//
//   node reports.mjs <interop.proto> serve <calls in flight>  serves interop.v1.Interop and reports so many calls in flight with each answer
//   node reports.mjs <interop.proto> read <host:port>         calls it, and prints the report that comes with the answer as JSON
import { createRequire } from 'node:module';
import path from 'node:path';
import loader from '@grpc/proto-loader';
import { grpc, load } from './interop.mjs';
import { implementation } from './service.mjs';

const [proto, role, argument] = process.argv.slice(2);
const { Interop } = load(proto);

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
({ serve, read })[role]();

function serve() {
  const server = new grpc.Server({ 'grpc.server_call_metric_recording': 1 });
  server.addService(Interop.service, {
    ...implementation,
    Echo: (call, callback) => {
      const report = call.getMetricsRecorder();
      report.recordCPUUtilizationMetric(0.5);
      report.recordNamedMetric('rif', Number(argument));
      callback(null, { text: argument });
    },
  });
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) {
      throw error;
    }
    console.log(`listening ${port}`);
  });
}

function read() {
  const client = new Interop(argument, grpc.credentials.createInsecure());
  const call = client.Echo({}, { deadline: Date.now() + 20_000 }, (error) => {
    if (error) {
      throw error;
    }
  });
  call.on('status', ({ metadata }) => {
    const reports = metadata.get('endpoint-load-metrics-bin').map(decode);
    console.log(`reports ${JSON.stringify(reports)}`);
    process.exit(0);
  });
}

/** Reads a report by the proto file that grpc-js reads it by. */
function decode(bytes) {
  const root = path.join(path.dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json')), 'proto');
  const definition = loader.loadSync('xds/data/orca/v3/orca_load_report.proto', {
    keepCase: true,
    defaults: true,
    includeDirs: [path.join(root, 'xds'), path.join(root, 'protoc-gen-validate')],
  });
  return grpc.loadPackageDefinition(definition).xds.data.orca.v3.OrcaLoadReport.deserialize(bytes);
}
