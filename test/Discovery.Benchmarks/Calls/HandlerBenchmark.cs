using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Tests.Calls;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>handler</c>: what a call through <see cref="DiscoveryHandler"/> costs beyond the same call on the instance's own
/// <see cref="SocketsHttpHandler"/>. The two take turns, call by call, on one connection that ends in memory, so what the median call of one
/// takes longer than that of the other is the handler's. Nobody listens to metrics.
/// </summary>
internal static class HandlerBenchmark
{
    private static readonly Kind[] Kinds =
    [
        new("HTTP/1.1, no body", HttpVersion.Version11, CannedConnection.Answer.Empty, MostBytes: 136),
        new("HTTP/1.1, body", HttpVersion.Version11, CannedConnection.Answer.Body, MostBytes: null),
        new("HTTP/2, no body", HttpVersion.Version20, CannedConnection.Answer.Empty, MostBytes: 136),
        new("HTTP/2, body", HttpVersion.Version20, CannedConnection.Answer.Body, MostBytes: null),
        new("unary gRPC", HttpVersion.Version20, CannedConnection.Answer.Grpc, MostBytes: 250),
    ];

    private const double MostNanoseconds = 400;

    public static async Task RunAsync(Report report, bool isQuick)
    {
        var calls = isQuick ? 20_000 : 60_000;
        foreach (var kind in Kinds)
        {
            await MeasureAsync(report, kind, calls);
        }
    }

    private static async Task MeasureAsync(Report report, Kind kind, int calls)
    {
        await using var harness = new Harness(client: builder => builder.ConfigureEtcdTransport(handler =>
            handler.PlaintextStreamFilter = (context, _) =>
            {
                context.PlaintextStream.Dispose();
                return new ValueTask<Stream>(new CannedConnection(kind.Answer, kind.Version == HttpVersion.Version20));
            }));
        var server = await harness.StartServerAsync();
        using var ours = new HttpMessageInvoker(new DiscoveryHandler(() => harness.Pool));
        var uri = new Uri($"http://{server.Address}/a.Service/Method");
        await CallAsync(ours, uri, kind);
        var bare = harness.Pool.Current!.Instances[0].Transport!.Invoker;

        // The first part has the compiler optimise both.
        await MeasureTimesAsync(calls / 2);
        await Task.Delay(200);
        await MeasureTimesAsync(calls / 2);
        var (bareTime, ourTime) = await MeasureTimesAsync(calls);
        var bareBytes = await MeasureBytesAsync(bare);
        var ourBytes = await MeasureBytesAsync(ours);
        report.AddDifference("handler", $"{kind.Name}: allocated", "B", ourBytes, bareBytes, kind.MostBytes);
        report.AddDifference("handler", $"{kind.Name}: time", "ns", ourTime, bareTime, MostNanoseconds);

        async Task<(double Bare, double Ours)> MeasureTimesAsync(int pairs)
        {
            var (bareTimes, ourTimes) = (new double[pairs], new double[pairs]);
            for (var i = 0; i < pairs; i++)
            {
                // Which of a pair is first has an effect too.
                if (Random.Shared.Next(2) == 0)
                {
                    bareTimes[i] = await TimeAsync(bare, uri, kind);
                    ourTimes[i] = await TimeAsync(ours, uri, kind);
                }
                else
                {
                    ourTimes[i] = await TimeAsync(ours, uri, kind);
                    bareTimes[i] = await TimeAsync(bare, uri, kind);
                }
            }

            return (Median(bareTimes), Median(ourTimes));
        }

        async Task<double> MeasureBytesAsync(HttpMessageInvoker invoker)
        {
            // The least of several rounds: now and then something else in the process allocates too.
            var least = double.MaxValue;
            for (var round = 0; round < 5; round++)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                for (var i = 0; i < calls / 10; i++)
                {
                    await CallAsync(invoker, uri, kind);
                }

                least = Math.Min(least, (GC.GetTotalAllocatedBytes(precise: true) - before) / (calls / 10.0));
            }

            return least;
        }
    }

    private static async Task<double> TimeAsync(HttpMessageInvoker invoker, Uri uri, Kind kind)
    {
        var started = Stopwatch.GetTimestamp();
        await CallAsync(invoker, uri, kind);
        return Stopwatch.GetElapsedTime(started).TotalNanoseconds;
    }

    private static async Task CallAsync(HttpMessageInvoker invoker, Uri uri, Kind kind)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Version = kind.Version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (kind.Answer == CannedConnection.Answer.Grpc)
        {
            request.Method = HttpMethod.Post;
            request.Headers.TryAddWithoutValidation("User-Agent", "grpc-dotnet/2.85.0");
            request.Headers.TryAddWithoutValidation("TE", "trailers");
            request.Headers.TryAddWithoutValidation("grpc-accept-encoding", "identity,gzip,deflate");
            request.Content = new ByteArrayContent(EmptyMessage) { Headers = { ContentType = GrpcContent } };
        }

        using var response = await invoker.SendAsync(request, CancellationToken.None);
        var body = await response.Content.ReadAsStreamAsync();
        while (await body.ReadAsync(Buffer) > 0)
        {
            // On to the end.
        }
    }

    private static readonly byte[] Buffer = new byte[100];
    private static readonly byte[] EmptyMessage = new byte[5];
    private static readonly MediaTypeHeaderValue GrpcContent = new("application/grpc");

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }

    private sealed record Kind(string Name, Version Version, CannedConnection.Answer Answer, double? MostBytes);
}
