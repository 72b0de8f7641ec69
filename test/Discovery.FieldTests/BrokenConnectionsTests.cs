using System.Net;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.FieldTests;

/// <summary>Connections that carry many streams and break.</summary>
public sealed class BrokenConnectionsTests
{
    private const int Streams = 16;

    [Fact]
    public async Task All_streams_of_a_connection_that_breaks_are_one_failure()
    {
        await using var field = await Field.StartAsync();
        await using var server = await BackendServer.StartAsync(AnswerAsync, HttpProtocols.Http2);
        await using var proxy = TcpProxy.Start(new Uri($"http://{server.Address}").Port);
        await field.RegisterAsync($"127.0.0.1:{proxy.Port}");
        await field.StartServerAsync(AnswerAsync, HttpProtocols.Http2);
        using var client = field.Client(static o => o.Policy = "RoundRobin");
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        var bodies = new List<Task<string>>();
        for (var i = 0; i < Streams; i++)
        {
            var response = await client.GetAsync("stream", HttpCompletionOption.ResponseHeadersRead);
            bodies.Add(response.Content.ReadAsStringAsync());
        }

        proxy.CutAll();
        await Eventually.IsTrue(() => bodies.Count(static b => b.IsFaulted) == Streams / 2);

        var before = server.Requests;
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("hello", await client.GetStringAsync("x"));
        }

        Assert.Equal(10, server.Requests - before);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Response.WriteAsync("hello");
        if (context.Request.Path == "/stream")
        {
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        }
    }
}
