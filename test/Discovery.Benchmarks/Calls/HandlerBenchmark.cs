using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Calls;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>handler</c>: what a call through <see cref="DiscoveryHandler"/> costs beyond the same call on the instance's own
/// <see cref="SocketsHttpHandler"/>. They take turns, call by call, on one connection that ends in memory, so what the median call of one
/// takes longer than that of the other is the handler's. Nobody listens to metrics.
/// </summary>
internal static class HandlerBenchmark
{
    private const double MostNanoseconds = 400;

    private static readonly Kind[] Kinds =
    [
        new("HTTP/1.1, no body", HttpVersion.Version11, CannedConnection.Answer.Empty, MostBytes: 136),
        new("HTTP/1.1, body", HttpVersion.Version11, CannedConnection.Answer.Body, MostBytes: null),
        new("HTTP/2, no body", HttpVersion.Version20, CannedConnection.Answer.Empty, MostBytes: 136),
        new("HTTP/2, body", HttpVersion.Version20, CannedConnection.Answer.Body, MostBytes: null),
        new("unary gRPC", HttpVersion.Version20, CannedConnection.Answer.Grpc, MostBytes: 250),
    ];

    private static readonly byte[] Buffer = new byte[100];
    private static readonly byte[] EmptyMessage = new byte[5];
    private static readonly MediaTypeHeaderValue GrpcContent = new("application/grpc");

    public static async Task RunAsync(Report report, bool isQuick)
    {
        foreach (var kind in Kinds)
        {
            await MeasureAsync(report, kind, isQuick ? 20_000 : 100_000);
        }

        Report.Note("The floor of a handler that learns how a call ended is one task for each call: 104 B, and 8 B for each thing that it keeps. Passing on");
        Report.Note("keeps 3. Ours keeps the instance, the request, the token and the start, and for a body two objects: a content (80 B) and a stream (32 B).");
    }

    private static async Task MeasureAsync(Report report, Kind kind, int calls)
    {
        await using var harness = new Harness(client: builder => builder.ConfigureEtcdTransport(handler =>
            handler.PlaintextStreamFilter = (context, _) =>
            {
                context.PlaintextStream.Dispose();
                return new ValueTask<Stream>(new CannedConnection(kind.Answer, kind.Version == HttpVersion.Version20));
            }));
        await harness.StartServerAsync();
        var client = kind.Answer == CannedConnection.Answer.Grpc ? null : harness.Services.GetRequiredService<ClientCatalog>().Find("client");
        using var ours = new HttpMessageInvoker(new DiscoveryHandler(() => harness.Pool, client));
        await CallAsync(ours, kind);
        var bare = harness.Pool.Current!.Instances[0].Transport!.Invoker;
        using var passingOn = new HttpMessageInvoker(new PassingOn(bare));
        HttpMessageInvoker[] all = [bare, passingOn, ours];

        // Calls and pauses have the compiler optimise all three.
        for (var i = 0; i < 3; i++)
        {
            await MeasureTimesAsync(all, kind, 15_000);
            await Task.Delay(300);
        }

        var times = await MeasureTimesAsync(all, kind, calls);
        var bytes = await MeasureBytesAsync(all, kind, calls / 50);

        report.AddDifference("handler", $"{kind.Name}: allocated", "B", bytes[2], bytes[0], kind.MostBytes, tolerance: 1);
        report.AddDifference("handler", $"{kind.Name}: time", "ns", times[2], times[0], MostNanoseconds);
        Report.Note(string.Create(
            CultureInfo.InvariantCulture, $"An asynchronous handler that only passes on: {bytes[1] - bytes[0]:+0} B, {times[1] - times[0]:+0;-0} ns."));
    }

    /// <returns>The median of each.</returns>
    private static async Task<double[]> MeasureTimesAsync(HttpMessageInvoker[] all, Kind kind, int calls)
    {
        var times = all.Select(_ => new double[calls]).ToArray();
        for (var i = 0; i < calls; i++)
        {
            // Who is first has an effect too.
            var first = Random.Shared.Next(all.Length);
            for (var j = 0; j < all.Length; j++)
            {
                var turn = (first + j) % all.Length;
                var started = Stopwatch.GetTimestamp();
                await CallAsync(all[turn], kind);
                times[turn][i] = (Stopwatch.GetTimestamp() - started) * (1e9 / Stopwatch.Frequency);
            }
        }

        return [.. times.Select(static t => t.Order().ElementAt(t.Length / 2))];
    }

    /// <returns>The median of rounds in turns: now and then something else in the process allocates too, or a call ends at once.</returns>
    private static async Task<double[]> MeasureBytesAsync(HttpMessageInvoker[] all, Kind kind, int calls)
    {
        var bytes = all.Select(static _ => new List<double>()).ToArray();
        for (var round = 0; round < 15; round++)
        {
            for (var i = 0; i < all.Length; i++)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                for (var call = 0; call < calls; call++)
                {
                    await CallAsync(all[i], kind);
                }

                bytes[i].Add((GC.GetTotalAllocatedBytes(precise: true) - before) / (double)calls);
            }
        }

        return [.. bytes.Select(static b => b.Order().ElementAt(b.Count / 2))];
    }

    private static async Task CallAsync(HttpMessageInvoker invoker, Kind kind)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, kind.Uri) { Version = kind.Version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
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

    private sealed record Kind(string Name, Version Version, CannedConnection.Answer Answer, double? MostBytes)
    {
        public Uri Uri { get; } = new($"http://{Harness.Service}/a.Service/Method");
    }

    /// <summary>The least that an asynchronous handler costs.</summary>
    private sealed class PassingOn(HttpMessageInvoker inner) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
            => await inner.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }
}
