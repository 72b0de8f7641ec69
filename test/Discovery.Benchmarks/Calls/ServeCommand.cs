using System.Net;
using Discovery.TestKit;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>serve</c>: a gRPC server in a process of its own, for the benchmark of calls. It answers every unary call by an empty message, and
/// does as little as it can besides.
/// </summary>
internal static class ServeCommand
{
    private static readonly byte[] EmptyMessage = new byte[5];

    public static int Run(string[] args) => RunAsync().GetAwaiter().GetResult();

    private static async Task<int> RunAsync()
    {
        await using var server = await BackendServer.StartAsync(AnswerAsync, HttpProtocols.Http2);
        Console.WriteLine($"listens on {server.Address}");
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null);
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(EmptyMessage);
        context.Response.AppendTrailer("grpc-status", "0");
    }
}
