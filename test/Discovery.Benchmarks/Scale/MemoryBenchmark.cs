using System.Globalization;
using System.Net;
using Discovery.Benchmarks.Calls;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// <c>memory</c>: what an instance takes that is known, and one that is called, beside a bare handler that has a connection to it; and what its
/// connections cost in processor time while they are idle.
/// </summary>
internal static class MemoryBenchmark
{
    private const int Known = 10_000;
    private const int Called = 200;
    private const double MostBytes = 1024;

    public static async Task RunAsync(Report report, bool isQuick)
    {
        // What other lines left behind goes in the first rounds, and what is made once, whatever the number of instances, is there after them.
        var rounds = isQuick ? 5 : 9;
        var known = await Turns.RunAsync<string?>([null, BalancingPolicies.LeastLoad], warmUps: 2, rounds, static p => Task.FromResult<double[]>([MeasureKnown(p)]));
        report.AddValue("memory", "known to the directory", "B", known[0][0], MostBytes);
        report.AddValue("memory", "  and to a client, not called", "B", known[1][0], null);

        await using var server = await ServeCommand.StartAsync("any");
        var port = ServeCommand.AddressOf(server).Split(':')[^1];

        // All of 127.0.0.0/8 is this machine.
        string[] addresses = [.. Enumerable.Range(1, Called).Select(i => string.Create(CultureInfo.InvariantCulture, $"127.0.1.{i}:{port}"))];
        // Pools of buffers are filled by the first rounds, and emptied when they please.
        Func<string[], Task<double>>[] contenders = [MeasureOursAsync, MeasureHandlersAsync];
        var results = await Turns.RunAsync(contenders, warmUps: 2, rounds, async measure => [await measure(addresses)]);
        report.AddDifference("memory", "with an HTTP/2 connection", "B", results[0][0], results[1][0], null);
        await UsedInstances.RunAsync(report, isQuick);
    }

    private static double MeasureKnown(string? policy)
    {
        var before = MeasureHeap();
        using var service = new ServiceOfSize(Known, policy);
        return (MeasureHeap() - before) / (double)Known;
    }

    private static async Task<double> MeasureOursAsync(string[] addresses)
    {
        var services = BenchServices.Create(
            ("Etcd:Endpoints", "http://127.0.0.1:2379"), ("Etcd:Discovery:Policy", BalancingPolicies.RoundRobin),
            ("Etcd:Discovery:Services:bench:Instances", string.Join(',', addresses)));
        services.AddHttpClient("client").AddEtcdDiscovery("bench");
        await using var provider = services.BuildServiceProvider();
        using var client = new HttpMessageInvoker(provider.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler("client"));
        var before = MeasureHeap();
        for (var i = 0; i < 2 * addresses.Length; i++)
        {
            await CallAsync(client, "bench");
        }

        var bytes = (MeasureHeap() - before) / (double)addresses.Length;
        GC.KeepAlive(client);
        return bytes;
    }

    private static async Task<double> MeasureHandlersAsync(string[] addresses)
    {
        var before = MeasureHeap();
        var clients = addresses.Select(static _ => new HttpMessageInvoker(new SocketsHttpHandler())).ToList();
        for (var i = 0; i < 2 * addresses.Length; i++)
        {
            await CallAsync(clients[i % clients.Count], addresses[i % addresses.Length]);
        }

        var bytes = (MeasureHeap() - before) / (double)addresses.Length;
        clients.ForEach(static c => c.Dispose());
        return bytes;
    }

    private static long MeasureHeap()
    {
        // What finalizers free goes with the second collection.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static async Task CallAsync(HttpMessageInvoker client, string authority)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{authority}/")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var response = await client.SendAsync(request, CancellationToken.None);
        await response.Content.CopyToAsync(Stream.Null);
    }
}
