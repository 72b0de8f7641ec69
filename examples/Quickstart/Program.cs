using System.Runtime.InteropServices;
using Discovery.EmbeddedEtcd;
using Quickstart;

if (args.Contains("--help"))
{
    Console.WriteLine(
        """
        A tour of service discovery in one process: three greeter instances, a web API that calls them, and a client.

          --embedded                           run an etcd in this process, in memory
          --serve                              stay up afterwards, until Ctrl+C
          --Etcd:Endpoints=URL                 the etcd to use (default: http://localhost:2379)
          --Etcd:Registration:ServiceName=NAME the service's name (default: greeter)
          --Etcd:Registration:Layout=LAYOUT    the wire format: EtcdNaming (default) or OpenIm
          --Etcd:Discovery:Policy=POLICY       the load balancing policy (default: LeastLoad)

        Every other setting can be given the same way, or in appsettings.json or the environment (Etcd__Endpoints=URL).
        Exit code: 0 if everything held, 1 if not.
        """);
    return 0;
}

using var interrupt = new CancellationTokenSource();
using var ctrlC = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var kill = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
void Interrupt(PosixSignalContext signal)
{
    // The tour ends by itself, so that its instances leave etcd.
    signal.Cancel = true;
    interrupt.Cancel();
}

await using var embedded = args.Contains("--embedded") ? await EmbeddedEtcdServer.StartAsync() : null;
string[] settings =
[
    .. args.Where(static a => a is not ("--serve" or "--embedded")),
    .. embedded is null ? (string[])[] : [$"--Etcd:Endpoints:0={embedded.Endpoint}"],
];
await using var tour = new Tour(settings);
var holds = await tour.RunAsync(interrupt.Token);
if (args.Contains("--serve") && !interrupt.IsCancellationRequested)
{
    await tour.ServeAsync(interrupt.Token);
}

return holds ? 0 : 1;
