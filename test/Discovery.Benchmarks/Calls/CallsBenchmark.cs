using System.Diagnostics;
using System.Globalization;
using Discovery.TestKit;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>calls</c>: unary gRPC calls over loopback, to servers in processes of their own. Each client gets a short turn, then the next, round
/// after round, so that what else the machine does hits all alike; the medians of the rounds are compared.
/// </summary>
internal static class CallsBenchmark
{
    private static readonly int[] CallerCounts = [1, 16, 64];

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static b => b, static b => b);

    private static readonly Method<byte[], byte[]> Method = new(MethodType.Unary, "bench.Bench", "Call", Bytes, Bytes);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var first = await StartServerAsync();
        await using var second = await StartServerAsync();
        await using var third = await StartServerAsync();
        string[] servers = [AddressOf(first), AddressOf(second), AddressOf(third)];

        await using (var ours = CallsClient.OfDiscovery(servers[..1]))
        await using (var fixedAddress = CallsClient.OfAddress(servers[0]))
        {
            foreach (var callers in CallerCounts)
            {
                var results = await CompareAsync([ours, fixedAddress], callers, isQuick);
                Add(report, "one instance / fixed address", callers, results[0], results[1], least: 0.98);
            }
        }

        await using (var ours = CallsClient.OfDiscovery(servers))
        await using (var microsoft = CallsClient.OfServiceDiscovery(servers))
        await using (var grpc = CallsClient.OfRoundRobin(servers))
        {
            foreach (var callers in CallerCounts)
            {
                var results = await CompareAsync([ours, microsoft, grpc], callers, isQuick);
                Add(report, "three / ServiceDiscovery", callers, results[0], results[1], least: 1);
                Add(report, "three / grpc-dotnet's own", callers, results[0], results[2], least: 1);
            }
        }
    }

    private static void Add(Report report, string what, int callers, Result ours, Result reference, double least)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{what}, {callers}");
        report.AddRatioAtLeast("calls", name, "/s", ours.PerSecond, reference.PerSecond, least);
        report.AddRatioAtMost("calls", "  processor time of the client", "µs", ours.Cpu, reference.Cpu, null);
        report.AddRatioAtMost("calls", "  p50", "µs", ours.Median, reference.Median, null);
        report.AddRatioAtMost("calls", "  p99", "µs", ours.P99, reference.P99, null);
    }

    private static async Task<Result[]> CompareAsync(CallsClient[] clients, int callers, bool isQuick)
    {
        // Short turns: what disturbs one then disturbs its neighbours too.
        var turn = TimeSpan.FromMilliseconds(200);
        var rounds = isQuick ? 7 : 45;
        for (var i = 0; i < 2 * clients.Length; i++)
        {
            await CallAsync(clients[i % clients.Length].Channel, callers, 3 * turn);
        }

        var results = clients.Select(static _ => new List<Result>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < clients.Length; i++)
            {
                // Who begins changes too.
                var turnOf = (i + round) % clients.Length;
                results[turnOf].Add(await CallAsync(clients[turnOf].Channel, callers, turn));
            }
        }

        return [.. results.Select(static r => new Result(
            Middle(r.Select(static x => x.PerSecond)), Middle(r.Select(static x => x.Median)), Middle(r.Select(static x => x.P99)), Middle(r.Select(static x => x.Cpu))))];
    }

    private static async Task<Result> CallAsync(GrpcChannel channel, int callers, TimeSpan time)
    {
        var invoker = channel.CreateCallInvoker();
        var cpu = Environment.CpuUsage.TotalTime;
        var started = Stopwatch.GetTimestamp();
        var end = started + (long)(time.TotalSeconds * Stopwatch.Frequency);
        var times = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(() => CallUntilAsync(invoker, end))));
        var elapsed = Stopwatch.GetElapsedTime(started);
        cpu = Environment.CpuUsage.TotalTime - cpu;
        var all = times.SelectMany(static t => t).Order().ToArray();
        return new Result(all.Length / elapsed.TotalSeconds, InMicroseconds(all[all.Length / 2]), InMicroseconds(all[all.Length * 99 / 100]), cpu.TotalMicroseconds / all.Length);
    }

    private static async Task<List<long>> CallUntilAsync(CallInvoker invoker, long end)
    {
        var times = new List<long>(10_000);
        var options = new CallOptions();
        var request = Array.Empty<byte>();
        for (var now = Stopwatch.GetTimestamp(); now < end;)
        {
            using var call = invoker.AsyncUnaryCall(Method, null, options, request);
            await call.ResponseAsync.ConfigureAwait(false);
            var after = Stopwatch.GetTimestamp();
            times.Add(after - now);
            now = after;
        }

        return times;
    }

    private static async Task<OwnedProcess> StartServerAsync()
    {
        var server = await OwnedProcess.StartAsync(Environment.ProcessPath!, IsDotnet ? [typeof(CallsBenchmark).Assembly.Location, "serve"] : ["serve"]);
        await server.WaitForOutputAsync(static output => output.Contains("listens on ", StringComparison.Ordinal));
        return server;
    }

    private static bool IsDotnet => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet";

    private static string AddressOf(OwnedProcess server) => server.Output.Split("listens on ")[1].Trim();

    private static double InMicroseconds(long ticks) => ticks * 1e6 / Stopwatch.Frequency;

    private static double Middle(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);

    private sealed record Result(double PerSecond, double Median, double P99, double Cpu);
}
