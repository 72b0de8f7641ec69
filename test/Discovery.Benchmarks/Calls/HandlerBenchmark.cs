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
/// <c>handler</c>: what a call through <see cref="DiscoveryHandler"/> costs beyond one that is not handled at all, beside an asynchronous handler
/// that only passes calls on, one that only counts them, and the handler of Microsoft.Extensions.ServiceDiscovery. They take turns, call by call, so what the median
/// call of one takes longer than that of another is its handler's. Once with answers that are at hand, on one thread: nothing but the handlers is
/// measured. And once on the instance's own <see cref="SocketsHttpHandler"/>, whose connections end in memory. Nobody listens to metrics.
/// </summary>
internal static class HandlerBenchmark
{
    private const double MostNanoseconds = 400;
    private const double MostOfServiceDiscovery = 0.5;

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
        var calls = isQuick ? 20_000 : 100_000;
        foreach (var kind in Kinds)
        {
            if (kind.Version.Major == 1 || kind.Answer == CannedConnection.Answer.Grpc)
            {
                // Whatever the version: it is the connection's.
                await MeasureAloneAsync(report, kind, calls * 5);
            }
        }

        foreach (var kind in Kinds)
        {
            await MeasureAsync(report, kind, calls);
        }

        Report.Note("The floor of a handler that learns how a call ended is one task for each call: 104 B, and 8 B for each thing that it keeps. Passing on");
        Report.Note("keeps 3. Ours keeps the instance, the request, the token and the start, and for a body two objects: a content (72 B) and a stream (40 B).");
    }

    private static async Task MeasureAloneAsync(Report report, Kind kind, int calls)
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync();
        using var ours = new HttpMessageInvoker(Create(harness, kind));
        var inner = new AnswersAtHand(kind.Answer);
        var bare = await inner.TakeTheCallsOfAsync(harness.Pool);
        using var passingOn = new HttpMessageInvoker(new PassingOn(bare));
        var (handler, services) = CallsClient.CreateServiceDiscovery(Harness.Service, [server.Address], new Forwarding(bare));
        await using var microsofts = services;
        using var microsoft = new HttpMessageInvoker(handler);
        using var counting = new HttpMessageInvoker(new CountingCalls(bare));
        HttpMessageInvoker[] all = [bare, passingOn, ours, microsoft, counting];

        // The first call of each may wait for more than the answer.
        foreach (var invoker in all)
        {
            var call = CallAsync(invoker, kind);
            while (!call.IsCompleted)
            {
                inner.TryAnswer();
                await Task.Yield();
            }
        }

        Task CallAloneAsync(HttpMessageInvoker invoker)
        {
            var call = CallAsync(invoker, kind);
            inner.TryAnswer();
            return call;
        }

        for (var i = 0; i < 3; i++)
        {
            await MeasureTimesAsync(all, CallAloneAsync, 15_000);
            await Task.Delay(300);
        }

        var times = await MeasureTimesAsync(all, CallAloneAsync, calls);
        var bytes = await MeasureBytesAsync(all, CallAloneAsync, calls / 50);
        var name = kind.Answer switch
        {
            CannedConnection.Answer.Empty => "alone, no body",
            CannedConnection.Answer.Body => "alone, body",
            _ => "alone, unary gRPC",
        };
        report.AddDifference("handler", name + ": allocated", "B", bytes[2], bytes[0], kind.MostBytes, tolerance: 1);
        report.AddDifference("handler", name + ": time, by passing on", "ns", times[2], times[1], MostNanoseconds);
        report.AddDifference("handler", "  by no handler", "ns", times[2], times[0], null);
        report.AddDifference("handler", "  by counting calls only", "ns", times[2], times[4], null);
        report.AddRatioAtMost("handler", "  added, by ServiceDiscovery's", "ns", times[2] - times[0], times[3] - times[0], MostOfServiceDiscovery);
    }

    private static DiscoveryHandler Create(Harness harness, Kind kind)
    {
        var pool = harness.Pool;
        if (kind.Answer != CannedConnection.Answer.Grpc)
        {
            return new DiscoveryHandler(() => pool, harness.Services.GetRequiredService<ClientCatalog>().Find("client"));
        }

        // A channel asks for its pool with each call, as it may have been forgotten.
        var entry = new PoolEntry(pool, unlink: static () => { }, release: static () => { });
        return new DiscoveryHandler(() =>
        {
            entry.OnUsed();
            return entry.Pool!;
        });
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
        using var ours = new HttpMessageInvoker(Create(harness, kind));
        await CallAsync(ours, kind);
        var bare = harness.Pool.Current!.Instances[0].Transport!.Invoker;
        using var passingOn = new HttpMessageInvoker(new PassingOn(bare));
        var (handler, services) = CallsClient.CreateServiceDiscovery(Harness.Service, [server.Address], new Forwarding(bare));
        await using var microsofts = services;
        using var microsoft = new HttpMessageInvoker(handler);
        using var counting = new HttpMessageInvoker(new CountingCalls(bare));
        HttpMessageInvoker[] all = [bare, passingOn, ours, microsoft, counting];

        // Calls and pauses have the compiler optimise all of them.
        for (var i = 0; i < 3; i++)
        {
            await MeasureTimesAsync(all, invoker => CallAsync(invoker, kind), 15_000);
            await Task.Delay(300);
        }

        var times = await MeasureTimesAsync(all, invoker => CallAsync(invoker, kind), calls);
        var bytes = await MeasureBytesAsync(all, invoker => CallAsync(invoker, kind), calls / 50);
        AddRows(report, kind.Name + ": allocated", "B", bytes, kind.MostBytes, tolerance: 1);
        AddRows(report, kind.Name + ": time", "ns", times, MostNanoseconds, tolerance: 0);
    }

    /// <param name="report">Where to.</param>
    /// <param name="what">What was measured.</param>
    /// <param name="unit">Its unit.</param>
    /// <param name="measured">Of the bare call, of passing on only, of ours, of Microsoft's, and of counting only.</param>
    /// <param name="most">The goal of what ours adds to the bare call.</param>
    /// <param name="tolerance">What the measurement may be off by.</param>
    private static void AddRows(Report report, string what, string unit, double[] measured, double? most, double tolerance)
    {
        var (bare, passingOn, ours, microsoft, counting) = (measured[0], measured[1], measured[2], measured[3], measured[4]);
        report.AddDifference("handler", what, unit, ours, bare, most, tolerance);
        report.AddDifference("handler", "  beside passing on only", unit, ours, passingOn, null);
        report.AddDifference("handler", "  beside counting calls only", unit, ours, counting, null);
        report.AddRatioAtMost("handler", "  added, by ServiceDiscovery's", unit, ours - bare, microsoft - bare, MostOfServiceDiscovery);
    }

    /// <returns>The median of each.</returns>
    private static async Task<double[]> MeasureTimesAsync(HttpMessageInvoker[] all, Func<HttpMessageInvoker, Task> callAsync, int calls)
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
                await callAsync(all[turn]);
                times[turn][i] = (Stopwatch.GetTimestamp() - started) * (1e9 / Stopwatch.Frequency);
            }
        }

        return [.. times.Select(static t => t.Order().ElementAt(t.Length / 2))];
    }

    /// <returns>The median of rounds in turns: now and then something else in the process allocates too, or a call ends at once.</returns>
    private static async Task<double[]> MeasureBytesAsync(HttpMessageInvoker[] all, Func<HttpMessageInvoker, Task> callAsync, int calls)
    {
        var bytes = all.Select(static _ => new List<double>()).ToArray();
        for (var round = 0; round < 15; round++)
        {
            for (var i = 0; i < all.Length; i++)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                for (var call = 0; call < calls; call++)
                {
                    await callAsync(all[i]);
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

    /// <summary>Puts what sends requests below other handlers, at no cost of its own.</summary>
    private sealed class Forwarding(HttpMessageInvoker inner) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
            => inner.SendAsync(request, cancellationToken);
    }

    /// <summary>The least that an asynchronous handler costs.</summary>
    private sealed class PassingOn(HttpMessageInvoker inner) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
            => await inner.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }
}
