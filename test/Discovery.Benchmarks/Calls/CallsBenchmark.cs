using System.Diagnostics;
using System.Globalization;
using Discovery.TestKit;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>calls</c>: unary gRPC calls and server streams over loopback, to servers in processes of their own. Each client gets a short turn, then the next, round
/// after round, so that what else the machine does hits all alike; the medians of the rounds are compared.
/// </summary>
internal static class CallsBenchmark
{
    private const int StreamCallers = 16;

    private static readonly int[] CallerCounts = [1, 16, 64];

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static b => b, static b => b);

    /// <summary>A unary call.</summary>
    public static readonly Method<byte[], byte[]> Method = new(MethodType.Unary, "bench.Bench", "Call", Bytes, Bytes);

    private static readonly Method<byte[], byte[]> StreamMethod = new(MethodType.ServerStreaming, "bench.Bench", ServeCommand.StreamMethod, Bytes, Bytes);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var first = await ServeCommand.StartAsync();
        await using var second = await ServeCommand.StartAsync();
        await using var third = await ServeCommand.StartAsync();
        string[] servers = [ServeCommand.AddressOf(first), ServeCommand.AddressOf(second), ServeCommand.AddressOf(third)];

        await using (var ours = CallsClient.OfDiscovery(servers[..1]))
        await using (var fixedAddress = CallsClient.OfAddress(servers[0]))
        await using (var counting = CallsClient.OfCounting(servers[0]))
        {
            foreach (var callers in CallerCounts)
            {
                var results = await CompareAsync([ours, fixedAddress, counting], callers, isQuick, CallOnceAsync);
                Add(report, "one instance / fixed address", callers, results[0], results[1], least: 0.98);
                AddFloor(report, results);
            }

            var streams = await CompareAsync([ours, fixedAddress, counting], StreamCallers, isQuick, ReadStreamAsync);
            Add(report, "streams, one / fixed address", StreamCallers, streams[0], streams[1], least: 0.98);
            AddFloor(report, streams);
        }

        await using (var ours = CallsClient.OfDiscovery(servers))
        await using (var microsoft = CallsClient.OfServiceDiscovery(servers))
        await using (var grpc = CallsClient.OfRoundRobin(servers))
        {
            foreach (var callers in CallerCounts)
            {
                var results = await CompareAsync([ours, microsoft, grpc], callers, isQuick, CallOnceAsync);
                Add(report, "three / ServiceDiscovery", callers, results[0], results[1], least: 1);
                Add(report, "three / grpc-dotnet's own", callers, results[0], results[2], least: 1);
            }

            var streams = await CompareAsync([ours, microsoft, grpc], StreamCallers, isQuick, ReadStreamAsync);
            Add(report, "streams, three / ServiceDiscovery", StreamCallers, streams[0], streams[1], least: 1);
            Add(report, "streams, three / grpc-dotnet's own", StreamCallers, streams[0], streams[2], least: 1);
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

    private static void AddFloor(Report report, Result[] results)
    {
        report.AddRatioAtLeast("calls", "  the floor: counting calls only / fixed address", "/s", results[2].PerSecond, results[1].PerSecond, null);
        report.AddRatioAtMost("calls", "    its processor time", "µs", results[2].Cpu, results[1].Cpu, null);
    }

    private static async Task<Result[]> CompareAsync(CallsClient[] clients, int callers, bool isQuick, Func<CallInvoker, Task> callOnce)
    {
        // Short turns: what disturbs one then disturbs its neighbours too.
        var turn = TimeSpan.FromMilliseconds(200);
        var rounds = isQuick ? 7 : 45;
        for (var i = 0; i < 2 * clients.Length; i++)
        {
            await CallAsync(clients[i % clients.Length].Channel, callers, 3 * turn, callOnce);
        }

        var results = clients.Select(static _ => new List<Result>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < clients.Length; i++)
            {
                // Who begins changes too.
                var turnOf = (i + round) % clients.Length;
                results[turnOf].Add(await CallAsync(clients[turnOf].Channel, callers, turn, callOnce));
            }
        }

        return [.. results.Select(static r => new Result(
            Middle(r.Select(static x => x.PerSecond)), Middle(r.Select(static x => x.Median)), Middle(r.Select(static x => x.P99)), Middle(r.Select(static x => x.Cpu))))];
    }

    private static async Task<Result> CallAsync(GrpcChannel channel, int callers, TimeSpan time, Func<CallInvoker, Task> callOnce)
    {
        var invoker = channel.CreateCallInvoker();
        var cpu = Environment.CpuUsage.TotalTime;
        var started = Stopwatch.GetTimestamp();
        var end = started + (long)(time.TotalSeconds * Stopwatch.Frequency);
        var times = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(() => CallUntilAsync(invoker, end, callOnce))));
        var elapsed = Stopwatch.GetElapsedTime(started);
        cpu = Environment.CpuUsage.TotalTime - cpu;
        var all = times.SelectMany(static t => t).Order().ToArray();
        return new Result(all.Length / elapsed.TotalSeconds, InMicroseconds(all[all.Length / 2]), InMicroseconds(all[all.Length * 99 / 100]), cpu.TotalMicroseconds / all.Length);
    }

    private static async Task CallOnceAsync(CallInvoker invoker)
    {
        using var call = invoker.AsyncUnaryCall(Method, null, default, []);
        await call.ResponseAsync.ConfigureAwait(false);
    }

    private static async Task ReadStreamAsync(CallInvoker invoker)
    {
        using var call = invoker.AsyncServerStreamingCall(StreamMethod, null, default, []);
        while (await call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false))
        {
            // On to the end.
        }
    }

    private static async Task<List<long>> CallUntilAsync(CallInvoker invoker, long end, Func<CallInvoker, Task> callOnce)
    {
        var times = new List<long>(10_000);
        for (var now = Stopwatch.GetTimestamp(); now < end;)
        {
            await callOnce(invoker).ConfigureAwait(false);
            var after = Stopwatch.GetTimestamp();
            times.Add(after - now);
            now = after;
        }

        return times;
    }

    private static double InMicroseconds(long ticks) => ticks * 1e6 / Stopwatch.Frequency;

    private static double Middle(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);

    private sealed record Result(double PerSecond, double Median, double P99, double Cpu);
}
