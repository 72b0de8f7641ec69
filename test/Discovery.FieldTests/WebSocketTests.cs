using System.Net;
using System.Net.Security;
using System.Net.WebSockets;
using System.Text;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.WebSockets;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>WebSockets to a service, over the handler that discovery gives to HttpClient.</summary>
public sealed class WebSocketTests
{
    [Theory]
    [InlineData("http", 1, false)]
    [InlineData("http", 1, true)]
    [InlineData("http", 2, false)]
    [InlineData("https", 1, false)]
    [InlineData("https", 2, true)]
    public async Task A_web_socket_is_opened_to_an_instance_and_echoes(string scheme, int version, bool isPinned)
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        var server = await field.StartServerAsync(
            EchoAsync,
            version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2,
            l =>
            {
                if (scheme == "https")
                {
                    l.UseHttps(certificate);
                }
            },
            $"\"scheme\":\"{scheme}\"");

        // Somebody else of the other scheme, who must not be called.
        await field.RegisterAsync(Field.DeadAddress(1), $"\"scheme\":\"{(scheme == "http" ? "https" : "http")}\"");
        using var invoker = Invoker(field);
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = new Version(version, version == 1 ? 1 : 0);
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        if (isPinned)
        {
            socket.Options.SetRequestHeader(EtcdCallMetadata.Instance, server.Address);
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await socket.ConnectAsync(new Uri(scheme == "http" ? "ws://svc/x" : "wss://svc/x"), invoker, limit.Token);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, limit.Token);
        var buffer = new byte[100];
        var received = await socket.ReceiveAsync(buffer, limit.Token);

        Assert.Equal("hello", Encoding.UTF8.GetString(buffer, 0, received.Count));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, limit.Token);
    }

    /// <summary>Servers by Go and Node, and nginx, speak HTTP/2 without it.</summary>
    [Fact]
    public async Task A_server_that_opens_no_web_socket_over_http_2_is_not_ejected()
    {
        await using var field = await Field.StartAsync();
        await using var server = new RawHttp2Server(static (_, _) => Task.CompletedTask);
        await field.RegisterAsync(server.Address);
        using var invoker = Invoker(field);
        for (var i = 0; i < 10; i++)
        {
            using var socket = new ClientWebSocket();
            (socket.Options.HttpVersion, socket.Options.HttpVersionPolicy) = (new Version(2, 0), HttpVersionPolicy.RequestVersionExact);
            var e = await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(new Uri("ws://svc/x"), invoker, CancellationToken.None));
            Assert.Equal(HttpRequestError.ExtendedConnectNotSupported, Assert.IsType<HttpRequestException>(e.InnerException).HttpRequestError);
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("is closed")]
    [InlineData("is aborted")]
    [InlineData("loses its server")]
    public async Task A_web_socket_is_a_call_under_way_until_it(string end)
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(EchoAsync);
        var services = field.Application(
            static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service), static o => o.ConnectTimeout = TimeSpan.FromSeconds(30));
        using var metrics = new MetricRecorder(services, static i => i.Name == "discovery.client.active_calls");
        using var invoker = new HttpMessageInvoker(services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler("client"), disposeHandler: false);
        using var socket = new ClientWebSocket();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await socket.ConnectAsync(new Uri("ws://svc/x"), invoker, limit.Token);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, limit.Token);
        await socket.ReceiveAsync(new byte[100], limit.Token);
        Assert.Equal(1, metrics.Value("discovery.client.active_calls"));

        switch (end)
        {
            case "is closed":
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, limit.Token);
                break;
            case "is aborted":
                socket.Abort();
                break;
            default:
                var receiving = socket.ReceiveAsync(new byte[100], limit.Token);
                await server.KillAsync();
                await Assert.ThrowsAnyAsync<Exception>(() => receiving);
                break;
        }

        await Eventually.IsTrue(() => metrics.Value("discovery.client.active_calls") == 0);
    }

    private static HttpMessageInvoker Invoker(Field field)
    {
        var services = field.Application(
            static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service).ConfigureEtcdTransport(static t =>
                t.SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true }),
            static o => o.ConnectTimeout = TimeSpan.FromSeconds(30));
        return new HttpMessageInvoker(services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler("client"), disposeHandler: false);
    }

    private static Task EchoAsync(HttpContext context)
    {
        var middleware = new WebSocketMiddleware(
            static async c =>
            {
                using var socket = await c.WebSockets.AcceptWebSocketAsync();
                var buffer = new byte[100];
                while (await socket.ReceiveAsync(buffer, c.RequestAborted) is { MessageType: not WebSocketMessageType.Close } received)
                {
                    await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, c.RequestAborted);
                }

                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, c.RequestAborted);
            },
            Microsoft.Extensions.Options.Options.Create(new WebSocketOptions()),
            Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
        return middleware.Invoke(context);
    }
}
