using System.Net;
using Discovery.TestKit;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// <c>serve</c>: a gRPC server in a process of its own, for the benchmark of calls. It answers every unary call by an empty message, calls of
/// a stream by a few, and does as little as it can besides.
/// </summary>
internal static class ServeCommand
{
    /// <summary>The path of the call that is answered by a stream.</summary>
    public const string StreamMethod = "Stream";

    /// <summary>The path of the call whose answer never ends.</summary>
    public const string EndlessMethod = "Endless";

    /// <summary>How many messages a stream has.</summary>
    public const int StreamLength = 10;

    /// <summary>Has it listen on all addresses of this machine.</summary>
    private const string AnyAddress = "any";

    private const string Announcement = "listens on ";

    private static readonly byte[] EmptyMessage = new byte[5];

    public static int Run(string[] args) => RunAsync(args is [AnyAddress]).GetAwaiter().GetResult();

    /// <summary>Starts a server and waits until it listens.</summary>
    public static async Task<OwnedProcess> StartAsync(params string[] arguments)
    {
        var isDotnet = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet";
        string[] program = isDotnet ? [typeof(ServeCommand).Assembly.Location, "serve"] : ["serve"];
        var server = await OwnedProcess.StartAsync(Environment.ProcessPath!, [.. program, .. arguments]);
        await server.WaitForOutputAsync(static output => output.Contains(Announcement, StringComparison.Ordinal));
        return server;
    }

    /// <summary>Where it listens.</summary>
    public static string AddressOf(OwnedProcess server) => server.Output.Split(Announcement)[1].Trim();

    private static async Task<int> RunAsync(bool isAny)
    {
        await using var server = await BackendServer.StartAsync(
            AnswerAsync, HttpProtocols.Http2, address: new IPEndPoint(isAny ? IPAddress.Any : IPAddress.Loopback, 0));
        Console.WriteLine(Announcement + server.Address);
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null);
        context.Response.ContentType = "application/grpc";
        if (context.Request.Path.Value!.EndsWith(EndlessMethod, StringComparison.Ordinal))
        {
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }

        var isStream = context.Request.Path.Value!.EndsWith(StreamMethod, StringComparison.Ordinal);
        for (var i = 0; i < (isStream ? StreamLength : 1); i++)
        {
            await context.Response.Body.WriteAsync(EmptyMessage);
        }

        context.Response.AppendTrailer("grpc-status", "0");
    }
}
