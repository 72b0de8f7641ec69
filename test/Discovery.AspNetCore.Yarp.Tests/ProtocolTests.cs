using System.Net;
using Discovery.AspNetCore.Yarp.Destinations;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>Servers with a port for HTTP/1.1 and one for HTTP/2, as for REST and gRPC: the record of each says what it speaks.</summary>
public sealed class ProtocolTests : ProxyTestBase
{
    private readonly FakeTimeProvider _clock = new();

    private static readonly ForwarderRequestConfig Http2 = new() { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };

    [Theory]
    [InlineData(null, false)]
    [InlineData(null, true)]
    [InlineData(EtcdLoadBalancingPolicies.LeastLoad, false)]
    [InlineData(EtcdLoadBalancingPolicies.LeastLoad, true)]
    public async Task Requests_go_to_the_port_that_speaks_their_version(string? policy, bool isHttp2)
    {
        for (var i = 0; i < 2; i++)
        {
            await StartServerAsync(
                answer: static context => context.Response.WriteAsync(context.Request.Protocol),
                listen: static kestrel =>
                {
                    kestrel.Listen(IPAddress.Loopback, 0, static o => o.Protocols = HttpProtocols.Http1);
                    kestrel.Listen(IPAddress.Loopback, 0, static o => o.Protocols = HttpProtocols.Http2);
                });
        }

        var proxy = await StartProxyAsync(builder => builder.Services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = "greeter", Match = new RouteMatch { Path = "{**rest}" } }],
            [
                new ClusterConfig
                {
                    ClusterId = "greeter",
                    LoadBalancingPolicy = policy,
                    HttpRequest = isHttp2 ? Http2 : null,
                    Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://Greeter" } },
                },
            ]).AddEtcdDestinationResolver());
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        Assert.All(Destinations(proxy).Values, d => Assert.Equal(isHttp2 ? "h2" : "h1", d.Metadata![EtcdDestinationMetadata.Protocols]));
        using var client = ClientOf(proxy);
        var answers = new List<(HttpStatusCode, string)>();
        for (var i = 0; i < 100; i++)
        {
            answers.Add(await GetAsync(client));
        }

        Assert.All(answers, a => Assert.Equal((HttpStatusCode.OK, isHttp2 ? "HTTP/2" : "HTTP/1.1"), a));
    }

    [Theory]
    [InlineData("http://a", "h2", false, true)]
    [InlineData("http://a", "h1", true, true)]
    [InlineData("http://a", "h1", false, false)]
    [InlineData("http://a", "h1,h2", true, false)]
    [InlineData("http://a", null, false, false)]
    [InlineData("http://a", "h9", false, false)]
    [InlineData("https://a", "h2", false, false)]
    public async Task Only_what_plainly_speaks_another_version_is_left_out(string address, string? protocols, bool isHttp2, bool isLeftOut)
    {
        var asked = new DestinationConfig
        {
            Address = address,
            Metadata = protocols is null ? null : new Dictionary<string, string> { [EtcdDestinationMetadata.Protocols] = protocols },
        };
        var cluster = Cluster(isHttp2, asked, new DestinationConfig { Address = "http://other" });

        using var filter = new ProtocolFilter(_clock, Logger());
        var filtered = await filter.ConfigureClusterAsync(cluster, default);

        Assert.Equal(isLeftOut ? ["1"] : ["0", "1"], filtered.Destinations!.Keys.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(false, "h2", "HttpRequest:VersionPolicy to RequestVersionExact")]
    [InlineData(true, "h1", "Kestrel:Endpoints:<name>:Protocols")]
    public async Task Where_nothing_would_be_left_nothing_is_left_out_and_if_that_stays_so_a_warning_says_so_once(bool isHttp2, string protocols, string remedy)
    {
        using var filter = new ProtocolFilter(_clock, Logger());
        var cluster = Cluster(isHttp2, new DestinationConfig
        {
            Address = "http://a",
            Metadata = new Dictionary<string, string> { [EtcdDestinationMetadata.Protocols] = protocols },
        });

        Assert.Same(cluster, await filter.ConfigureClusterAsync(cluster, default));
        _clock.Advance(ProtocolFilter.Patience - TimeSpan.FromSeconds(1));
        Assert.Same(cluster, await filter.ConfigureClusterAsync(cluster, default));
        Assert.Empty(Log.Lines);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Same(cluster, await filter.ConfigureClusterAsync(cluster, default));
        _clock.Advance(TimeSpan.FromHours(1));

        Assert.Contains(remedy, Assert.Single(Log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_is_said_where_others_come_soon_or_all_go(bool come)
    {
        using var filter = new ProtocolFilter(_clock, Logger());
        var cluster = Cluster(isHttp2: false, new DestinationConfig
        {
            Address = "http://a",
            Metadata = new Dictionary<string, string> { [EtcdDestinationMetadata.Protocols] = "h2" },
        });
        await filter.ConfigureClusterAsync(cluster, default);

        await filter.ConfigureClusterAsync(
            come ? Cluster(isHttp2: false, cluster.Destinations!.Values.Single(), new DestinationConfig { Address = "http://b" }) : Cluster(isHttp2: false), default);
        _clock.Advance(TimeSpan.FromHours(1));

        Assert.Empty(Log.Lines);
    }

    private static ClusterConfig Cluster(bool isHttp2, params DestinationConfig[] destinations) => new()
    {
        ClusterId = "greeter",
        HttpRequest = isHttp2 ? Http2 : null,
        Destinations = destinations.Select(static (d, i) => (d, i)).ToDictionary(static d => $"{d.i}", static d => d.d),
    };

    private Logger<EtcdDiscoveryOptions> Logger() => new(LoggerFactory.Create(l => l.AddProvider(Log)));
}
