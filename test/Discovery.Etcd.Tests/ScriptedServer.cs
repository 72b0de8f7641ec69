using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests;

/// <summary>A server on HTTP/2 that says what a test wants it to say, byte by byte where need be.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Func<HttpContext, Task>> _handlers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _calls = new();
    private readonly WebApplication _app;

    private ScriptedServer(WebApplication app) => _app = app;

    public string Endpoint => _app.Services.GetServerAddress();

    /// <summary>The methods that were called, in order.</summary>
    public IReadOnlyList<string> Calls => [.. _calls];

    public static async Task<ScriptedServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k =>
        {
            k.Limits.MinRequestBodyDataRate = null;
            k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2);
        });
        var app = builder.Build();
        var server = new ScriptedServer(app);
        app.Run(server.HandleAsync);
        await app.StartAsync();
        return server;
    }

    /// <summary>Sets what a method does.</summary>
    public void On(string method, Func<HttpContext, Task> handler) => _handlers[method] = handler;

    /// <summary>Sets what a unary method answers.</summary>
    public void On(string method, Func<IMessage> answer) => On(method, http => AnswerAsync(http, answer()));

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
    }

    /// <summary>A whole, well-formed answer.</summary>
    public static async Task AnswerAsync(HttpContext http, IMessage message)
    {
        http.Response.ContentType = GrpcFraming.ContentType;
        await http.Response.Body.WriteAsync(GrpcFraming.Frame(message));
        http.Response.AppendTrailer("grpc-status", "0");
    }

    /// <summary>An error in the headers, as gRPC servers send it when they send no message.</summary>
    public static Task RefuseAsync(HttpContext http, StatusCode code, string message)
    {
        http.Response.ContentType = GrpcFraming.ContentType;
        http.Response.Headers["grpc-status"] = $"{(int)code}";
        http.Response.Headers["grpc-message"] = Uri.EscapeDataString(message);
        return Task.CompletedTask;
    }

    /// <summary>Takes the request and never answers.</summary>
    public static async Task HangAsync(HttpContext http) =>
        await Task.Delay(Timeout.Infinite, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Takes the request, sends the headers and the first bytes of an answer, and nothing more.</summary>
    public static async Task BeginToAnswerAsync(HttpContext http)
    {
        http.Response.ContentType = GrpcFraming.ContentType;
        await http.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 1, 0, 1 });
        await http.Response.Body.FlushAsync();
        await HangAsync(http);
    }

    private Task HandleAsync(HttpContext http)
    {
        var path = http.Request.Path.Value!;
        var method = path[(path.LastIndexOf('/') + 1)..];
        _calls.Enqueue(method);
        return _handlers.TryGetValue(method, out var handler) ? handler(http) : HangAsync(http);
    }
}

file static class AddressExtensions
{
    public static string GetServerAddress(this IServiceProvider services) =>
        ((Microsoft.AspNetCore.Hosting.Server.IServer)services.GetService(typeof(Microsoft.AspNetCore.Hosting.Server.IServer))!)
        .Features.Get<IServerAddressesFeature>()!.Addresses.Single();
}
