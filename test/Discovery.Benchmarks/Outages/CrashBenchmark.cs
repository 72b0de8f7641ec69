using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Discovery.Benchmarks.Calls;
using Discovery.Benchmarks.Client;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Outages;

/// <summary>
/// <c>crash</c>: one of three servers is killed under load: how many calls fail, and until when any is sent to it. Its key stays in etcd, as
/// the key of a crashed server does until its lease ends.
/// </summary>
internal static class CrashBenchmark
{
    private const string Service = "crash";
    private const int Callers = 16;
    private const double MostMilliseconds = 100;

    private static readonly TimeSpan Before = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan After = TimeSpan.FromSeconds(2);

    /// <summary>What gRPC's documentation recommends for calls that may be repeated.</summary>
    private static readonly MethodConfig Retries = new()
    {
        Names = { MethodName.Default },
        RetryPolicy = new RetryPolicy
        {
            MaxAttempts = 3,
            InitialBackoff = TimeSpan.FromMilliseconds(10),
            MaxBackoff = TimeSpan.FromMilliseconds(100),
            BackoffMultiplier = 2,
            RetryableStatusCodes = { StatusCode.Unavailable },
        },
    };

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        var rounds = isQuick ? 3 : 10;
        foreach (var retries in new[] { true, false })
        {
            var (failed, times, calls) = (0, new List<double>(), 0);
            for (var round = 0; round < rounds; round++)
            {
                var result = await CrashAsync(etcd.Endpoint, retries);
                failed += result.Failed;
                calls += result.Calls;
                times.Add(result.Milliseconds);
            }

            var what = string.Create(CultureInfo.InvariantCulture, $"{rounds} crashes, failed calls{(retries ? ", with retries" : "")}");
            report.AddValue("crash", what, "", failed, retries ? 0 : null);
            report.AddValue("crash", "  of", "", calls, null);
            report.AddValue("crash", "  until the last is sent to it, at most", "ms", times.Max(), MostMilliseconds);
        }

        Report.Note("Without retries those fail that the server had when it died: whether they were carried out, nobody knows.");
    }

    private static async Task<(int Failed, int Calls, double Milliseconds)> CrashAsync(string etcd, bool retries)
    {
        await using var first = await ServeCommand.StartAsync();
        await using var second = await ServeCommand.StartAsync();
        await using var third = await ServeCommand.StartAsync();
        using var raw = new RawEtcd(etcd);
        await raw.DeleteAllAsync(Records.PrefixOf(Service));
        string[] addresses = [ServeCommand.AddressOf(first), ServeCommand.AddressOf(second), ServeCommand.AddressOf(third)];
        await raw.PutAllAsync(addresses.Select(static a => (Records.KeyOf(Service, a), Records.ValueOf(Service, a))));

        var services = BenchServices.Create(("Etcd:Endpoints", etcd));
        services.AddEtcdGrpcChannels();
        await using var provider = services.BuildServiceProvider();
        var pool = provider.GetRequiredService<PoolCache>().OfService(Service);
        using var channel = GrpcChannel.ForAddress($"http://{Service}", new GrpcChannelOptions
        {
            HttpHandler = new DiscoveryHandler(() => pool),
            ServiceConfig = retries ? new ServiceConfig { MethodConfigs = { Retries } } : null,
        });
        var (failed, calls) = (0, 0);
        using var stop = new CancellationTokenSource();
        var callers = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            var invoker = channel.CreateCallInvoker();
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    using var call = invoker.AsyncUnaryCall(CallsBenchmark.Method, null, default, []);
                    await call.ResponseAsync.ConfigureAwait(false);
                }
                catch (RpcException)
                {
                    Interlocked.Increment(ref failed);
                }

                Interlocked.Increment(ref calls);
            }
        })));
        await Task.Delay(Before);
        var victim = pool.Current!.Instances.First(i => i.Record.Address == addresses[0]);
        using var process = Process.GetProcessById(first.Id);
        var killed = Stopwatch.GetTimestamp();
        process.Kill();
        var last = await WatchAsync(victim, killed);
        await stop.CancelAsync();
        await callers;
        return (failed, calls, last);
    }

    /// <returns>Milliseconds until the instance got its last call. It gets another one when its first ejection ends, long after this.</returns>
    private static async Task<double> WatchAsync(InstanceState victim, long since)
    {
        var (last, calls) = (0.0, victim.Calls);
        while (Stopwatch.GetElapsedTime(since) < After)
        {
            if (victim.Calls != calls)
            {
                (last, calls) = (Stopwatch.GetElapsedTime(since).TotalMilliseconds, victim.Calls);
            }

            await Task.Delay(1);
        }

        return last;
    }
}
