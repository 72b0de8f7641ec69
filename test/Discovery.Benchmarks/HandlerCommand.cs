using System.Diagnostics;
using System.Globalization;
using System.Net;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Tests.Calls;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.Benchmarks;

/// <summary>
/// What a call through <see cref="DiscoveryHandler"/> costs beyond the same call on the endpoint's own connections: calls of both kinds
/// one after another, to a server in this process, whose own cost is in both and so in neither's difference.
/// </summary>
internal static class HandlerCommand
{
    private const int Rounds = 9;

    public static int Run(string[] args)
    {
        var calls = args.Length == 0 ? 4000 : int.Parse(args[0], CultureInfo.InvariantCulture);
        Console.WriteLine($"Medians of {Rounds} rounds of {calls} calls; the body is read to its end.");
        Console.WriteLine($"{"protocol",-10} {"answer",-10} {"bare B",8} {"ours B",8} {"more B",8} {"bare ns",9} {"more ns",9}");
        foreach (var version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
        {
            MeasureAsync("text", version, static c => c.Response.WriteAsync("hello"), calls).GetAwaiter().GetResult();
            MeasureAsync("empty", version, static _ => Task.CompletedTask, calls).GetAwaiter().GetResult();
        }

        MeasureAsync("gRPC", HttpVersion.Version20, AnswerGrpcAsync, calls).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task MeasureAsync(string answer, Version version, RequestDelegate respond, int calls)
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync(respond, version == HttpVersion.Version20 ? HttpProtocols.Http2 : HttpProtocols.Http1);
        using var ours = new HttpMessageInvoker(new DiscoveryHandler(() => harness.Pool));
        var uri = new Uri($"http://{server.Address}/");
        await CallAsync(ours, uri, version, 1000);
        var bare = harness.Pool.Current!.Instances[0].Transport!.Invoker;
        await CallAsync(bare, uri, version, 1000);

        var (bareBytes, bareTime, ourBytes, ourTime) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        for (var i = 0; i < Rounds; i++)
        {
            await RoundAsync(bare, bareBytes, bareTime);
            await RoundAsync(ours, ourBytes, ourTime);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"HTTP/{version,-5} {answer,-10} {Median(bareBytes),8:F0} {Median(ourBytes),8:F0} {Median(ourBytes) - Median(bareBytes),8:F0} "
            + $"{Median(bareTime),9:F0} {Median(ourTime) - Median(bareTime),9:F0}"));

        async Task RoundAsync(HttpMessageInvoker invoker, List<double> bytes, List<double> times)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            var started = Stopwatch.GetTimestamp();
            await CallAsync(invoker, uri, version, calls);
            times.Add(Stopwatch.GetElapsedTime(started).TotalNanoseconds / calls);
            bytes.Add((GC.GetTotalAllocatedBytes(precise: true) - before) / (double)calls);
        }
    }

    private static async Task CallAsync(HttpMessageInvoker invoker, Uri uri, Version version, int calls)
    {
        var buffer = new byte[100];
        for (var i = 0; i < calls; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await invoker.SendAsync(request, CancellationToken.None);
            var body = await response.Content.ReadAsStreamAsync();
            while (await body.ReadAsync(buffer) > 0)
            {
                // On to the end.
            }
        }
    }

    private static async Task AnswerGrpcAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
