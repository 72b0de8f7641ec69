using Discovery.Benchmarks;
using Discovery.Benchmarks.Calls;
using Discovery.Benchmarks.Charts;
using Discovery.Benchmarks.Embedded;
using Discovery.Benchmarks.Simulation;

(string Verb, string Help, Func<string[], int> Run)[] verbs =
[
    ("bench", BenchCommand.Help, BenchCommand.Run),
    ("charts", ChartsCommand.Help, ChartsCommand.Run),
    ("simulate", SimulateCommand.Help, SimulateCommand.Run),
    ("rebuilds", "measures what a rolling restart of a service costs a client: [INSTANCES]", RebuildsCommand.Run),
    ("embedded", "measures the embedded etcd, or another one: [URL]", EmbeddedEtcdBenchmark.Run),
    ("model", "drives the directory through random histories against a model: [--steps N] [--seed N]", ModelCommand.Run),
    ("serve", "runs a gRPC server for the benchmark of calls", ServeCommand.Run),
];

var verb = args.FirstOrDefault() ?? "--help";
foreach (var candidate in verbs)
{
    if (candidate.Verb == verb)
    {
        return candidate.Run(args[1..]);
    }
}

var isHelp = verb is "--help" or "-h" or "help";
var output = isHelp ? Console.Out : Console.Error;
output.WriteLine(isHelp ? "Benchmarks of Discovery.AspNetCore. Say which:" : $"There is no benchmark '{verb}'. There are:");
foreach (var candidate in verbs)
{
    output.WriteLine($"  {candidate.Verb,-10} {candidate.Help}");
}

return isHelp ? 0 : 2;
