using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>Calls that can never succeed as things are set: the log says so once, with the setting, as exceptions are often swallowed or far away.</summary>
public sealed class NowhereToGoTests
{
    /// <summary>As <c>dotnet new webapi</c> has it: http and https endpoints, and <c>app.UseHttpsRedirection()</c>.</summary>
    [Theory]
    [InlineData(307)]
    [InlineData(301)]
    public async Task A_service_that_redirects_to_https_is_told_of_once(int status)
    {
        await using var field = await Field.StartAsync();
        await StartRedirectingAsync(field, status, static c => $"https://{c.Request.Host.Host}:7001{c.Request.Path}");
        await StartRedirectingAsync(field, status, static c => $"https://{c.Request.Host.Host}:7002{c.Request.Path}");
        using var client = field.Client();
        for (var i = 0; i < 10; i++)
        {
            using var response = await client.GetAsync("orders/1");
            Assert.Equal((HttpStatusCode)status, response.StatusCode);
        }

        var warning = Assert.Single(Redirects(field));
        Assert.Contains($"'{Field.Service}'", warning, StringComparison.Ordinal);
        Assert.Contains($"set Etcd:Discovery:Services:{Field.Service}:Scheme", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task To_gRPC_clients_too()
    {
        await using var field = await Field.StartAsync();
        await StartRedirectingAsync(field, 307, static c => $"https://{c.Request.Host.Host}:7001{c.Request.Path}", HttpProtocols.Http2);
        var client = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)).GetRequiredService<Greeter.GreeterClient>();

        await Assert.ThrowsAsync<RpcException>(() => client.SayHelloAsync(new HelloRequest()).ResponseAsync);

        Assert.Single(Redirects(field));
    }

    [Theory]
    [InlineData("/login")]
    [InlineData("https://shop.example.com/login")]
    [InlineData("http://svc/orders/1")]
    public async Task Other_redirects_are_the_services_own(string location)
    {
        await using var field = await Field.StartAsync();
        await StartRedirectingAsync(field, 302, _ => location);
        using var client = field.Client();
        using var response = await client.GetAsync("orders/1");

        Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        Assert.Empty(Redirects(field));
    }

    [Theory]
    [InlineData("mistyped", "etcd has no key under 'services/mistyped/'")]
    [InlineData("version", "none of them fits Etcd:Discovery:Services:svc:Select (Version v2)")]
    [InlineData("scheme", "none of them supports https calls")]
    public async Task A_service_without_a_fitting_instance_is_told_of_once(string mistake, string reason)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(metadata: """ "scheme":"http","version":"v1" """);
        var services = field.Application(
            s => s.AddHttpClient("client").AddEtcdDiscovery(mistake == "mistyped" ? mistake : Field.Service),
            o =>
            {
                // What is looked for in vain is waited for once.
                o.ReadyTimeout = TimeSpan.FromSeconds(1);
                o.Select.Version = mistake == "version" ? "v2" : null;
                o.Scheme = mistake == "scheme" ? "https" : "http";
            });
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        // A first list that takes longer has another message, and no line.
        await Eventually.IsTrue(async () =>
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("orders/1"));
            return Told(field).Count > 0;
        });
        for (var i = 0; i < 3; i++)
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("orders/1"));
        }

        var warning = Assert.Single(Told(field));
        Assert.Contains(reason, warning, StringComparison.Ordinal);
    }

    private static Task<BackendServer> StartRedirectingAsync(
        Field field, int status, Func<HttpContext, string> location, HttpProtocols protocols = HttpProtocols.Http1)
        => field.StartServerAsync(
            c =>
            {
                c.Response.StatusCode = status;
                c.Response.Headers.Location = location(c);
                return Task.CompletedTask;
            },
            protocols);

    private static IReadOnlyList<string> Told(Field field)
        => [.. field.Log.At(LogLevel.Warning).Where(static l => l.Contains("have nowhere to go", StringComparison.Ordinal))];

    private static IReadOnlyList<string> Redirects(Field field)
        => [.. field.Log.At(LogLevel.Warning).Where(static l => l.Contains("with a redirect to https", StringComparison.Ordinal))];
}
