using System.Diagnostics;
using System.Globalization;
using Discovery.Etcd.Protocol;

namespace Discovery.Benchmarks.Client;

/// <summary>
/// <c>client</c>: our client of etcd beside dotnet-etcd and beside bare stubs, on one etcd in a process of its own: puts, gets, and events
/// of a watch while another client writes as fast as etcd takes it.
/// </summary>
internal static class EtcdClientBenchmark
{
    /// <summary>As many as the reference, less what two runs of one and the same client differ by.</summary>
    private const double Least = 0.98;

    private const int Keys = 1_000;
    private const int EventsPerTransaction = 100;
    private const int WritersOfEvents = 4;

    private static readonly int[] InFlight = [1, 64];
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(200);
    private static readonly string Value = new('v', 100);
    private static readonly TimeSpan EventLimit = TimeSpan.FromSeconds(30);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var ours = new EtcdContender.Ours(etcd.Endpoint);
        await using var dotnetEtcd = new EtcdContender.DotnetEtcd(etcd.Endpoint);
        await using var stub = new EtcdContender.Stub(etcd.Endpoint);
        EtcdContender[] all = [ours, dotnetEtcd, stub];
        var rounds = isQuick ? 7 : 45;
        foreach (var inFlight in InFlight)
        {
            var puts = await Turns.RunAsync(all, warmUps: 3, rounds, c => CallAsync(inFlight, i => c.PutAsync(KeyOf(i), Value)));
            Add(report, string.Create(CultureInfo.InvariantCulture, $"put, {inFlight} in flight"), puts);
        }

        foreach (var inFlight in InFlight)
        {
            var gets = await Turns.RunAsync(all, warmUps: 3, rounds, c => CallAsync(inFlight, i => c.GetAsync(KeyOf(i))));
            Add(report, string.Create(CultureInfo.InvariantCulture, $"get, {inFlight} in flight"), gets);
        }

        using var writer = new RawEtcd(etcd.Endpoint);
        Add(report, "events of a watch", await Turns.RunAsync(all, warmUps: 2, rounds, c => WatchAsync(c, writer, transactions: isQuick ? 100 : 300)));
    }

    private static string KeyOf(int number) => string.Create(CultureInfo.InvariantCulture, $"bench/{number % Keys:0000}");

    /// <param name="report">Where to.</param>
    /// <param name="what">What was measured.</param>
    /// <param name="results">Per second, and processor time and bytes of each, of ours, dotnet-etcd and the stub.</param>
    private static void Add(Report report, string what, double[][] results)
    {
        report.AddRatioAtLeast("client", what + " / dotnet-etcd", "/s", results[0][0], results[1][0], Least);
        AddCosts(report, results[0], results[1]);
        report.AddRatioAtLeast("client", what + " / bare stub", "/s", results[0][0], results[2][0], Least);
        AddCosts(report, results[0], results[2]);
    }

    private static void AddCosts(Report report, double[] ours, double[] reference)
    {
        report.AddRatioAtMost("client", "  processor time", "µs", ours[1], reference[1], null);
        report.AddRatioAtMost("client", "  allocated", "B", ours[2], reference[2], null);
    }

    private static async Task<double[]> CallAsync(int inFlight, Func<int, Task> call)
    {
        var calls = 0;
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var cpu = Environment.CpuUsage.TotalTime;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(_ => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(started) < Turn)
            {
                await call(Interlocked.Increment(ref calls)).ConfigureAwait(false);
            }
        })));
        var elapsed = Stopwatch.GetElapsedTime(started);
        var used = Environment.CpuUsage.TotalTime - cpu;
        return [calls / elapsed.TotalSeconds, used.TotalMicroseconds / calls, (GC.GetTotalAllocatedBytes(precise: true) - allocated) / (double)calls];
    }

    /// <summary>Writes while the contender watches, until it has seen everything. The writer's work is the same for all, and is counted with it.</summary>
    private static async Task<double[]> WatchAsync(EtcdContender contender, RawEtcd writer, int transactions)
    {
        var left = transactions * EventsPerTransaction;
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var watch = await contender.WatchAsync("events/", count =>
        {
            if (Interlocked.Add(ref left, -count) <= 0)
            {
                seen.TrySetResult();
            }
        });
        await using (watch)
        {
            var allocated = GC.GetTotalAllocatedBytes(precise: true);
            var cpu = Environment.CpuUsage.TotalTime;
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, WritersOfEvents).Select(_ => Task.Run(async () =>
            {
                for (var i = 0; i < transactions / WritersOfEvents; i++)
                {
                    await writer.KeyValues.TxnAsync(Events).ConfigureAwait(false);
                }
            })));
            await seen.Task.WaitAsync(EventLimit);
            var elapsed = Stopwatch.GetElapsedTime(started);
            var events = transactions * EventsPerTransaction;
            var used = Environment.CpuUsage.TotalTime - cpu;
            return [events / elapsed.TotalSeconds, used.TotalMicroseconds / events, (GC.GetTotalAllocatedBytes(precise: true) - allocated) / (double)events];
        }
    }

    private static TxnRequest Events { get; } = new()
    {
        Success =
        {
            Enumerable.Range(0, EventsPerTransaction).Select(static i => new RequestOp
            {
                RequestPut = new PutRequest
                {
                    Key = Google.Protobuf.ByteString.CopyFromUtf8(string.Create(CultureInfo.InvariantCulture, $"events/{i:000}")),
                    Value = Google.Protobuf.ByteString.CopyFromUtf8(Value),
                },
            }),
        },
    };
}
