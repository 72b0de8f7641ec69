using System.Net;
using System.Net.Sockets;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using static Discovery.Etcd.Tests.ScriptedServer;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>Peers that answer wrongly: each gives a clear error, and the client goes on.</summary>
public sealed class BadAnswersTests
{
    private static readonly RangeResponse Good = new() { Header = new ResponseHeader { Revision = 7, ClusterId = 1 } };

    private static readonly Dictionary<string, (Func<HttpContext, Task> Answer, string Message)> Bad = new(StringComparer.Ordinal)
    {
        ["truncated"] = (http => WriteAsync(http, GrpcFraming.Frame(Good)[..^2], "0"), "malformed: Unexpected end of content while reading the message content"),
        ["truncated header"] = (http => WriteAsync(http, [0, 0, 0], "0"), "malformed: Unexpected end of content while reading the message header"),
        ["compressed"] = (http => WriteAsync(http, [1, 0, 0, 0, 1, 0], "0"), "grpc-encoding"),
        ["garbage"] = (http => WriteAsync(http, [0, 0, 0, 0, 2, 0xff, 0xff], "0"), "malformed: "),
        ["no message"] = (http => WriteAsync(http, [], "0"), "Failed to deserialize response message"),
        ["two messages"] = (http => WriteAsync(http, [.. GrpcFraming.Frame(Good), .. GrpcFraming.Frame(Good)], "0"), "malformed: Unexpected data after finished reading message"),
        ["no status"] = (http => WriteAsync(http, GrpcFraming.Frame(Good), null), "No grpc-status found"),
        ["strange status"] = (http => WriteAsync(http, GrpcFraming.Frame(Good), "fine"), "malformed: Unexpected grpc-status value: fine"),
        ["html"] = (http => WriteHtmlAsync(http, 200), "Invalid content-type value: text/html: something else than etcd"),
        ["gateway"] = (http => WriteHtmlAsync(http, 502), "HTTP status code: 502: something else than etcd"),
        ["no content type"] = (_ => Task.CompletedTask, "did not have a content-type header: something else than etcd"),
        ["reset"] = (http => { http.Abort(); return Task.CompletedTask; }, "http"),
        ["reset in the middle"] = (ResetInTheMiddleAsync, "http"),
    };

    public static TheoryData<string> Kinds => [.. Bad.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_bad_answer_is_described(string kind)
    {
        await using var server = await StartAsync();
        server.On(EtcdMethods.Range, Bad[kind].Answer);
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1) }, timeProvider: clock);

        // It is asked again after a pause; then the time is up. On the clock of the test, so that a slow machine is not taken for a silent peer.
        var call = client.GetAsync("a");
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return server.Calls.Count >= 2;
        });
        clock.Advance(TimeSpan.FromHours(1));
        var error = await Assert.ThrowsAsync<EtcdException>(() => call);

        Assert.Contains(Bad[kind].Message, error.Message, StringComparison.Ordinal);
        Assert.Equal([server.Endpoint], error.Endpoints);
    }

    [Fact]
    public async Task A_web_server_that_knows_no_http2_is_described_in_words()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var answers = 0;
        var serving = Task.Run(async () =>
        {
            while (true)
            {
                using var connection = await listener.AcceptTcpClientAsync();
                var stream = connection.GetStream();
                await stream.ReadExactlyAsync(new byte[24]);
                await stream.WriteAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
                Interlocked.Increment(ref answers);

                // To close with something unread is a reset, which may overtake the answer.
                connection.Client.Shutdown(SocketShutdown.Send);
                await stream.CopyToAsync(Stream.Null).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        });
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions
            {
                Endpoints = [$"http://{listener.LocalEndpoint}"], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1),
            },
            timeProvider: clock);

        var call = client.GetAsync("a");
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return Volatile.Read(ref answers) >= 3;
        });
        clock.Advance(TimeSpan.FromHours(1));
        var error = await Assert.ThrowsAsync<EtcdException>(() => call);

        Assert.Contains("server sent invalid data on the connection", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("HttpProtocolError", error.Message, StringComparison.Ordinal);
        listener.Stop();
        await Assert.ThrowsAnyAsync<Exception>(() => serving);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task After_a_bad_answer_the_next_one_is_asked_for(string kind)
    {
        await using var server = await StartAsync();
        var calls = 0;
        server.On(EtcdMethods.Range, http => Interlocked.Increment(ref calls) == 1 ? Bad[kind].Answer(http) : AnswerAsync(http, Good));
        await using var client = ConnectPatiently(server);

        Assert.Null(await client.GetAsync("a"));
        Assert.Equal(2, calls);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_watch_outlives_a_bad_answer(string kind)
    {
        await using var server = await StartAsync();
        var calls = 0;
        server.On(EtcdMethods.Watch, http => Interlocked.Increment(ref calls) == 1 ? Bad[kind].Answer(http) : ScriptedWatch.ServeAsync(http, _ => { }));
        await using var client = ConnectPatiently(server);
        await using var watch = client.Watch("a", 5);
        var updates = watch.ReadAllAsync().GetAsyncEnumerator();

        // What is well-formed among the bad may open the watch for a moment; in the end it is open for good.
        await Eventually.IsTrue(async () => await updates.MoveNextAsync() && updates.Current.Kind == EtcdWatchUpdateKind.Opened);
        Assert.True(calls >= 1);
    }

    [Fact]
    public async Task An_oversized_answer_is_refused()
    {
        await using var server = await StartAsync();
        server.On(EtcdMethods.Range, http => WriteAsync(http, [0, 0x7f, 0xff, 0xff, 0xff, 1], "0"));
        await using var client = ConnectPatiently(server);

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync("a"));

        Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
        Assert.Contains("exceeds the maximum configured message size", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_error_message_is_decoded()
    {
        await using var server = await StartAsync();
        server.On(EtcdMethods.Range, http => RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied – ü%"));
        await using var client = ConnectPatiently(server);

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync("a"));

        Assert.Equal(StatusCode.PermissionDenied, error.StatusCode);
        Assert.Contains("permission denied – ü%", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_that_are_too_large_are_asked_for_in_smaller_pieces()
    {
        await using var server = await StartAsync();
        var limits = new List<long>();
        server.On(EtcdMethods.Range, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(RangeRequest.Parser, default);
            limits.Add(request!.Limit);
            await (request.Limit > 100 ? WriteAsync(http, [0, 0x7f, 0xff, 0xff, 0xff, 1], "0") : AnswerAsync(http, Good));
        });
        await using var client = ConnectPatiently(server);

        Assert.Equal(7, (await client.ListAsync("a")).Revision);
        Assert.Equal([2000, 125, 7], limits);
    }

    // However busy the machine, no attempt is made twice because of its limit.
    private static EtcdClient ConnectPatiently(ScriptedServer server) => new(new EtcdClientOptions
    {
        Endpoints = [server.Endpoint],
        AttemptTimeout = TimeSpan.FromMinutes(1),
        RequestTimeout = TimeSpan.FromMinutes(1),
    });

    private static async Task WriteAsync(HttpContext http, byte[] body, string? status)
    {
        http.Response.ContentType = GrpcFraming.ContentType;
        await http.Response.Body.WriteAsync(body);
        if (status is not null)
        {
            http.Response.AppendTrailer("grpc-status", status);
        }
    }

    private static async Task WriteHtmlAsync(HttpContext http, int status)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "text/html";
        await http.Response.WriteAsync("<html><body>It works!</body></html>");
    }

    private static async Task ResetInTheMiddleAsync(HttpContext http)
    {
        http.Response.ContentType = GrpcFraming.ContentType;
        await http.Response.Body.WriteAsync(GrpcFraming.Frame(Good).AsMemory(0, 6));
        await http.Response.Body.FlushAsync();
        http.Abort();
    }
}
