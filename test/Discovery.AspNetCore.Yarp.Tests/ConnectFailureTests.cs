using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>Servers to which no connection comes about, and those that close one while a body is sent.</summary>
public sealed class ConnectFailureTests : ProxyTestBase
{
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(10);

    [Fact]
    public async Task A_server_that_refuses_connections_is_left_out_after_two_requests()
    {
        var proxy = await StartAsync("http://127.0.0.1:1");

        Assert.Equal(HttpStatusCode.BadGateway, await FailuresUntilEjectedAsync(proxy, expected: 2));
        await StartServerAsync();
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        Assert.Contains(Log.Lines, static l => l.Contains("2 failures in a row to connect", StringComparison.Ordinal) && !l.Contains("the last", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_setting_says_how_many_failures_to_connect_it_takes()
    {
        var proxy = await StartAsync("http://127.0.0.1:1", static o => o.Ejection.ConsecutiveConnectFailures = 4);

        await FailuresUntilEjectedAsync(proxy, expected: 4);
    }

    [Fact]
    public async Task A_server_that_lets_the_time_to_connect_pass_is_left_out_after_two_requests()
    {
        using var hole = new BlackHole();
        var proxy = await StartAsync($"http://{hole.Address}", handler: static h => h.ConnectTimeout = TimeSpan.FromSeconds(0.3));

        Assert.Equal(HttpStatusCode.GatewayTimeout, await FailuresUntilEjectedAsync(proxy, expected: 2));
    }

    [Fact]
    public async Task A_server_with_which_TLS_fails_is_left_out_after_two_requests()
    {
        await using var plain = await BackendServer.StartAsync();
        var proxy = await StartAsync($"https://{plain.Address}");

        await FailuresUntilEjectedAsync(proxy, expected: 2);
    }

    [Fact]
    public async Task That_the_proxy_has_no_port_or_handle_left_ejects_nobody()
    {
        var proxy = await StartAsync(
            "http://127.0.0.1:1", handler: static h => h.ConnectCallback = static (_, _) => throw new SocketException((int)SocketError.TooManyOpenSockets));
        using var client = ClientOf(proxy);

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.BadGateway, (await GetAsync(client)).Status);
        }

        await Eventually.IsTrue(() => BalancerOf(proxy).InFlight == 0);
        Assert.True(BalancerOf(proxy).Instances.Single() is { IsEjected: false, FailureRate: 0 });
    }

    /// <summary>The limit of the servers is below the proxy's. They answer 413 and close, and .NET, which still writes, never reads it.</summary>
    [Fact]
    public async Task Bodies_that_are_larger_than_servers_take_eject_nobody()
    {
        await StartServerAsync(answer: AnswerAsync, listen: static k => k.Limits.MaxRequestBodySize = 100_000);
        await StartServerAsync(answer: AnswerAsync, listen: static k => k.Limits.MaxRequestBodySize = 100_000);
        var proxy = await StartAsync("etcd://Greeter");
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);

        var statuses = await UploadAsync(proxy, 60);

        Assert.All(statuses, static s => Assert.True(s is HttpStatusCode.BadGateway or HttpStatusCode.RequestEntityTooLarge, $"{s}"));
        Assert.Contains(HttpStatusCode.BadGateway, statuses);
        Assert.All(BalancerOf(proxy).Instances, static i => Assert.True(i is { IsEjected: false, FailureRate: 0 }, $"{i}: {i.FailureRate}"));
    }

    [Fact]
    public async Task A_server_that_closes_on_every_body_while_others_do_not_is_left_out()
    {
        await StartServerAsync(answer: static context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartAsync("etcd://Greeter");
        await Eventually.IsTrue(() => Destinations(proxy).Count == 3);

        await Eventually.IsTrue(async () =>
        {
            await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => UploadAsync(proxy, 2, size: 5_000_000)));
            return BalancerOf(proxy).Instances.Count(static i => i.IsEjected) == 1;
        }, TimeSpan.FromMinutes(2));

        Assert.All(await UploadAsync(proxy, 10), static s => Assert.Equal(HttpStatusCode.OK, s));
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        await context.Response.WriteAsync("hello");
    }

    private static async Task<IReadOnlyList<HttpStatusCode>> UploadAsync(WebApplication proxy, int uploads, int size = 20_000_000)
    {
        using var client = ClientOf(proxy);
        var body = new byte[size];
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < uploads; i++)
        {
            try
            {
                using var response = await client.PostAsync(new Uri("/", UriKind.Relative), new ByteArrayContent(body));
                statuses.Add(response.StatusCode);
            }
            catch (HttpRequestException)
            {
                // The proxy answers 502 and closes the connection on which this client still writes.
                statuses.Add(HttpStatusCode.BadGateway);
            }
        }

        return statuses;
    }

    private static async Task<HttpStatusCode> FailuresUntilEjectedAsync(WebApplication proxy, int expected)
    {
        using var client = ClientOf(proxy);
        var balancer = BalancerOf(proxy);
        HttpStatusCode status = default;
        for (var i = 1; i <= expected; i++)
        {
            status = (await GetAsync(client)).Status;
            await Eventually.IsTrue(() => balancer is { InFlight: 0, Instances.Count: 1 });
            Assert.Equal(i == expected, balancer.Instances[0].IsEjected);
        }

        return status;
    }

    /// <summary>Starts a proxy to one address, and to whatever servers are registered.</summary>
    private Task<WebApplication> StartAsync(string address, Action<EtcdDiscoveryOptions>? configure = null, Action<SocketsHttpHandler>? handler = null)
        => StartProxyAsync(
            new ClusterConfig
            {
                ClusterId = "greeter",
                LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad,
                Destinations = new[] { address, "etcd://Greeter" }.Distinct().ToDictionary(static a => a, static a => new DestinationConfig { Address = a }),
            },
            proxy =>
            {
                proxy.Services.AddEtcdDiscovery(o =>
                {
                    (o.SlowStart, o.ReadyTimeout, o.Ejection.BaseDuration, o.Ejection.MaxDuration) = (TimeSpan.Zero, TimeSpan.FromSeconds(1), LongTime, LongTime);
                    configure?.Invoke(o);
                });
                if (handler is not null)
                {
                    proxy.ConfigureHttpClient((_, h) => handler(h));
                }
            });
}
