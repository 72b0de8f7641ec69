using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Connections;

public sealed class WrongEndpointTests
{
    [Theory]
    [InlineData(HttpProtocols.Http1)]
    [InlineData(HttpProtocols.Http1AndHttp2)]
    [InlineData(HttpProtocols.Http2)]
    public async Task A_web_server_at_the_address_is_called_one(HttpProtocols protocols)
    {
        await using var web = await StartAsync(protocols);
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(log));
        var clock = new FakeTimeProvider();
        var limit = TimeSpan.FromHours(1);
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [web.Urls.Single()], AttemptTimeout = limit, RequestTimeout = limit }, loggers, clock);
        var call = client.GetAsync("a");
        await Eventually.IsTrue(() => log.Has(LogLevel.Debug, "Range failed at"));
        clock.Advance(limit);

        var error = await Assert.ThrowsAsync<EtcdException>(() => call);

        Assert.Contains("web server", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("error 13", error.Message, StringComparison.Ordinal);
    }

    private static async Task<WebApplication> StartAsync(HttpProtocols protocols)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols));
        var app = builder.Build();
        app.Run(http => http.Response.WriteAsync("It works!"));
        await app.StartAsync();
        return app;
    }
}
