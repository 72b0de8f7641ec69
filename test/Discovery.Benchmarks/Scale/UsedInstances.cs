using System.Globalization;
using System.Net;
using Discovery.AspNetCore.Connections;
using Discovery.Benchmarks.Calls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// What the connections to 1,000 instances cost a client that does not call them, in processor time: with the pings that instances get which this
/// library registered, and without. Pings are sent while a call is under way, so once with a stream to each instance.
/// </summary>
internal static class UsedInstances
{
    private const int Count = 1_000;

    /// <summary>One percent of a processor: below that the pings stay.</summary>
    private const double MostMicroseconds = 10_000;

    /// <summary>The timer of each connection pool goes off once: with so many instances every 20 s.</summary>
    private static readonly TimeSpan TimerWindow = TimeSpan.FromSeconds(20);

    /// <summary>Each connection is pinged once, after 80 s of silence.</summary>
    private static readonly TimeSpan PingWindow = TimeSpan.FromSeconds(100);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var server = await ServeCommand.StartAsync("any");
        var port = int.Parse(ServeCommand.AddressOf(server).Split(':')[^1], CultureInfo.InvariantCulture);
        var idle = await MeasureAsync(port, withPings: true, withStreams: false, TimerWindow);
        var idleWithout = await MeasureAsync(port, withPings: false, withStreams: false, TimerWindow);
        var streams = await MeasureAsync(port, withPings: true, withStreams: true, isQuick ? TimerWindow : PingWindow);
        var streamsWithout = await MeasureAsync(port, withPings: false, withStreams: true, TimerWindow);
        report.AddDifference("memory", "1,000 called, then idle: processor", "µs/s", idle, idleWithout, MostMicroseconds);
        report.AddDifference("memory", "  with a stream each, which is silent", "µs/s", streams, streamsWithout, MostMicroseconds);
        Report.Note($"The reference has no pings. A percent of a processor is 10,000 µs/s.{(isQuick ? " With --quick no stream is silent long enough for one." : "")}");
    }

    /// <returns>The processor time of a second, in microseconds.</returns>
    private static async Task<double> MeasureAsync(int port, bool withPings, bool withStreams, TimeSpan window)
    {
        var options = new EtcdDiscoveryOptions { AllowLoopback = true, ConnectTimeout = TimeSpan.FromSeconds(30) };
        var filter = new AddressFilter(options);
        var factory = new TransportFactory(options, filter, [], TimeProvider.System, NullLogger.Instance, meters: null) { InstanceCount = Count };
        var transports = Enumerable.Range(0, Count).Select(i => factory.Create(new ServiceInstance
        {
            Key = $"bench/{i}",
            ServiceName = "bench",

            // All of 127.0.0.0/8 is this machine.
            Host = string.Create(CultureInfo.InvariantCulture, $"127.0.{2 + (i / 250)}.{(i % 250) + 1}"),
            Port = port,
            Protocols = withPings ? InstanceProtocols.Http2 : InstanceProtocols.Unspecified,
        })).ToList();
        List<HttpResponseMessage> streams = [];
        foreach (var transport in transports)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, withStreams ? $"http://bench/{ServeCommand.EndlessMethod}" : "http://bench/")
            {
                Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            var response = await transport.SendAsync(request, CancellationToken.None);
            if (withStreams)
            {
                streams.Add(response);
            }
            else
            {
                await response.Content.CopyToAsync(Stream.Null);
                response.Dispose();
            }
        }

        GC.Collect();
        await Task.Delay(TimeSpan.FromSeconds(1));
        var before = Environment.CpuUsage.TotalTime;
        await Task.Delay(window);
        var used = (Environment.CpuUsage.TotalTime - before).TotalMicroseconds / window.TotalSeconds;
        streams.ForEach(static s => s.Dispose());
        transports.ForEach(static t => t.Dispose());
        return used;
    }
}
