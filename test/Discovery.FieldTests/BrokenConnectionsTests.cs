using System.Net;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.FieldTests;

/// <summary>Connections that carry many streams and break.</summary>
public sealed class BrokenConnectionsTests
{
    private const int Streams = 16;
    private const int InternalError = 2;

    [Theory]
    [InlineData("message")]
    [InlineData("headers")]
    [InlineData("quiet")]
    public async Task All_streams_of_a_connection_that_breaks_are_one_failure(string stream)
    {
        await using var field = await Field.StartAsync();
        await using var server = await BackendServer.StartAsync(AnswerAsync, HttpProtocols.Http2);
        await using var proxy = TcpProxy.Start(new Uri($"http://{server.Address}").Port);
        await field.RegisterAsync($"127.0.0.1:{proxy.Port}");
        await field.StartServerAsync(AnswerAsync, HttpProtocols.Http2);
        using var client = Client(field);
        await client.GetStringAsync("x");
        await client.GetStringAsync("x");
        var begun = 0;
        var streams = Enumerable.Range(0, Streams).Select(async _ =>
        {
            using var response = await client.GetAsync(stream, HttpCompletionOption.ResponseHeadersRead);
            Interlocked.Increment(ref begun);
            await response.Content.ReadAsStringAsync();
        }).ToList();
        await Eventually.IsTrue(() => server.Requests == 1 + (Streams / 2) && begun == (stream == "quiet" ? 0 : Streams));

        proxy.CutAll();
        await Eventually.IsTrue(() => streams.Count(static s => s.IsFaulted) == Streams / 2);

        var before = server.Requests;
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("hello", await client.GetStringAsync("x"));
        }

        Assert.Equal(10, server.Requests - before);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_breaks_every_call_is_ejected_however_many_are_under_way(bool breaksConnections)
    {
        await using var field = await Field.StartAsync();
        var works = await field.StartServerAsync(AnswerAsync, HttpProtocols.Http2);
        await using var bad = new RawHttp2Server(async (connection, request) =>
        {
            await (breaksConnections ? Task.CompletedTask : connection.ResetAsync(request, InternalError));
            if (breaksConnections)
            {
                connection.Stream.Close();
            }
        });
        await field.RegisterAsync(bad.Address);
        using var client = Client(field);
        for (var i = 0; i < 20; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => client.GetAsync("x"))).ContinueWith(static _ => { }, TaskScheduler.Default);
        }

        await Eventually.IsTrue(() => field.Log.Lines.Any(l => l.Contains("are ejected", StringComparison.Ordinal) && l.Contains(bad.Address, StringComparison.Ordinal)));
        Assert.DoesNotContain(field.Log.Lines, l => l.Contains("failing", StringComparison.Ordinal) && l.Contains(works.Address, StringComparison.Ordinal));
    }

    private static HttpClient Client(Field field)
    {
        var client = field.Client(static o => o.Policy = "RoundRobin");
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        return client;
    }

    /// <summary>Servers send the headers of a stream with its first message, so one that has nothing to say has none.</summary>
    private static async Task AnswerAsync(HttpContext context)
    {
        var stream = context.Request.Path.Value;
        if (stream == "/x" || stream == "/message")
        {
            await context.Response.WriteAsync("hello");
        }

        if (stream != "/x")
        {
            if (stream != "/quiet")
            {
                await context.Response.Body.FlushAsync();
            }

            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        }
    }
}
