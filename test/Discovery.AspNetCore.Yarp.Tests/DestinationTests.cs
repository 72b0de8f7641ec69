using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.ServiceDiscovery;

namespace Discovery.AspNetCore.Yarp.Tests;

public sealed class DestinationTests : ProxyTestBase
{
    [Fact]
    public async Task A_service_without_an_instance_is_503_until_it_has_one()
    {
        var proxy = await StartProxyAsync();
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(client)).Status);

        var server = await StartServerAsync();
        await Eventually.IsTrue(async () => await GetAsync(client) == (HttpStatusCode.OK, Port(server)));
    }

    [Fact]
    public async Task The_proxy_starts_without_etcd_and_recovers_with_it()
    {
        var server = await StartServerAsync();
        Etcd.Pause();
        ReadyTimeout = TimeSpan.FromMilliseconds(500);
        var proxy = await StartProxyAsync();
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(client)).Status);
        Assert.True(Log.Has(LogLevel.Warning, "Service 'Greeter'", "503"));

        Etcd.Resume();
        await Eventually.IsTrue(async () => await GetAsync(client) == (HttpStatusCode.OK, Port(server)));
    }

    [Fact]
    public async Task The_record_says_what_the_destination_has()
    {
        var server = await StartServerAsync(static o =>
        {
            o.Weight = 30;
            o.Zone = "a";
            o.Version = "v2";
            o.Tags.Add("x");
            o.Tags.Add("y");
        });
        var proxy = await StartProxyAsync([new DestinationConfig
        {
            Address = "etcd://Greeter/base",
            Health = "etcd://Greeter/health",
            Metadata = new Dictionary<string, string> { ["own"] = "1", ["Etcd.Zone"] = "b" },
        }]);

        var (name, config) = Assert.Single(Destinations(proxy));

        Assert.Equal($"http://127.0.0.1:{Port(server)}/base", config.Address);
        Assert.Equal($"http://127.0.0.1:{Port(server)}/health", config.Health);
        Assert.Equal($"d0[127.0.0.1:{Port(server)}/{config.Metadata![EtcdDestinationMetadata.InstanceId]}]", name);
        Assert.Equal(("1", "b", "30", "v2", "x,y", "Greeter"), (
            config.Metadata["own"],
            config.Metadata[EtcdDestinationMetadata.Zone],
            config.Metadata[EtcdDestinationMetadata.Weight],
            config.Metadata[EtcdDestinationMetadata.Version],
            config.Metadata[EtcdDestinationMetadata.Tags],
            config.Metadata[EtcdDestinationMetadata.Service]));
        Assert.Equal("Greeter", config.Host);
    }

    [Theory]
    [InlineData(null, false, "Greeter")]
    [InlineData("own", false, "own")]
    [InlineData(null, true, "shop.example.com")]
    [InlineData("own", true, "shop.example.com")]
    public async Task The_host_of_requests_without_tls_is_the_name_of_the_service_unless_a_destination_or_a_route_says_another(
        string? host, bool isOriginal, string expected)
    {
        await StartServerAsync(answer: static context => context.Response.WriteAsync(context.Request.Host.Value!));
        var proxy = await StartProxyAsync(builder => builder.Services.AddReverseProxy().LoadFromMemory(
            [
                new RouteConfig
                {
                    RouteId = "all",
                    ClusterId = "greeter",
                    Match = new RouteMatch { Path = "{**rest}" },
                    Transforms = isOriginal ? [new Dictionary<string, string> { ["RequestHeaderOriginalHost"] = "true" }] : null,
                },
            ],
            [
                new ClusterConfig
                {
                    ClusterId = "greeter",
                    Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://Greeter", Host = host } },
                },
            ]).AddEtcdDestinationResolver());
        using var client = ClientOf(proxy);
        client.DefaultRequestHeaders.Host = "shop.example.com";

        Assert.Equal((HttpStatusCode.OK, expected), await GetAsync(client));
    }

    [Fact]
    public async Task Over_tls_the_host_is_the_name_of_the_service()
    {
        await StartServerAsync(static o => o.AdvertisedUrls.Add("https://10.0.0.1:443"));
        var proxy = await StartProxyAsync();

        var config = Assert.Single(Destinations(proxy)).Value;

        Assert.Equal(("https://10.0.0.1:443", "Greeter"), (config.Address, config.Host));
    }

    [Theory]
    [InlineData("a_b", "a-b")]
    [InlineData("a:b", "a-b")]
    [InlineData("日本", "service")]
    [InlineData("helloworld.Greeter", "helloworld.Greeter")]
    public async Task Over_tls_the_host_is_what_other_clients_expect_where_a_host_cannot_be_called_as_the_service(string service, string host)
    {
        await StartServerAsync(o =>
        {
            o.ServiceName = service;
            o.AdvertisedUrls.Add("https://10.0.0.1:443");
        });
        var proxy = await StartProxyAsync("etcd://" + service);

        Assert.Equal(host, Assert.Single(Destinations(proxy)).Value.Host);
    }

    [Fact]
    public async Task A_certificate_for_the_host_of_a_service_with_an_underscore_is_accepted()
    {
        using var certificates = new TestCertificates("proxy");
        using var certificate = certificates.Issue("a-b", withLoopback: false);
        var server = await StartServerAsync(
            static o => o.ServiceName = "a_b", listen: kestrel => kestrel.Listen(IPAddress.Loopback, 0, o => o.UseHttps(certificate)));
        var proxy = await StartProxyAsync(
            new ClusterConfig { ClusterId = "greeter", Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://a_b" } } },
            p => p.ConfigureHttpClient((_, handler) =>
            {
                handler.SslOptions.CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
                handler.SslOptions.CertificateChainPolicy.CustomTrustStore.Add(certificates.Authority);
            }));
        using var client = ClientOf(proxy);

        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client));
    }

    [Fact]
    public async Task A_service_may_stand_in_the_metadata_and_its_address_for_the_scheme()
    {
        var server = await StartServerAsync();
        var proxy = await StartProxyAsync([new DestinationConfig
        {
            Address = "http://anything",
            Metadata = new Dictionary<string, string> { [EtcdDestinationMetadata.Service] = "Greeter" },
        }]);

        Assert.Equal($"http://127.0.0.1:{Port(server)}", Assert.Single(Destinations(proxy)).Value.Address);
    }

    [Fact]
    public async Task Only_the_named_endpoint_is_called()
    {
        await StartServerAsync(static o => o.Metadata.Add("endpoint", "Admin"));
        var server = await StartServerAsync(static o => o.Metadata.Add("endpoint", "Public"));
        var proxy = await StartProxyAsync("etcd://_public.Greeter");

        Assert.Equal($"http://127.0.0.1:{Port(server)}", Assert.Single(Destinations(proxy)).Value.Address);
    }

    [Fact]
    public async Task Other_destinations_stay_as_they_are_and_a_wrong_name_stops_nobody()
    {
        var server = await StartServerAsync();
        var proxy = await StartProxyAsync(
        [
            new DestinationConfig { Address = "etcd://Greeter" },
            new DestinationConfig { Address = "https://example.com/x", Host = "own" },
            new DestinationConfig { Address = "etcd://" },
            new DestinationConfig { Address = "etcd://user:secret@Gree ter" },
        ]);

        Assert.Equal(
            ["d1", $"http://127.0.0.1:{Port(server)}"],
            Destinations(proxy).OrderBy(static d => d.Value.Address, StringComparer.Ordinal).Select(static d => d.Key == "d1" ? d.Key : d.Value.Address).Reverse());
        Assert.Equal("own", Destinations(proxy)["d1"].Host);
        Assert.True(Log.Has(LogLevel.Error, "'d2'", "'etcd://'"));
        Assert.True(Log.Has(LogLevel.Error, "'d3'", "'etcd://***@Gree ter'"));
        Assert.DoesNotContain(Log.Lines, static l => l.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Other_destinations_are_left_to_the_resolver_that_was_added_before()
    {
        await StartServerAsync();
        var builder = Microsoft.AspNetCore.Builder.WebApplication.CreateSlimBuilder();
        builder.Services.AddEtcdClient(o => o.Endpoints = [Etcd.Endpoint]);
        builder.Services.AddReverseProxy().AddDnsDestinationResolver().AddEtcdDestinationResolver().AddEtcdDestinationResolver();
        await using var app = builder.Build();

        var resolved = await app.Services.GetRequiredService<IDestinationResolver>().ResolveDestinationsAsync(
            new Dictionary<string, DestinationConfig>
            {
                ["a"] = new() { Address = "etcd://Greeter" },
                ["b"] = new() { Address = "http://localhost:81" },
            },
            CancellationToken.None);

        Assert.Contains(resolved.Destinations.Values, static d => d.Address == "http://127.0.0.1:81/");
        Assert.Contains(resolved.Destinations.Keys, static k => k.StartsWith("a[", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_server_that_is_restarted_at_its_address_is_another_destination()
    {
        var server = await StartServerAsync();
        var proxy = await StartProxyAsync();
        var before = Assert.Single(Destinations(proxy)).Key;
        var port = int.Parse(Port(server));
        await server.StopAsync();
        await Eventually.IsTrue(() => Destinations(proxy).Count == 0);

        await StartServerAsync(o => o.AdvertisedUrls.Add($"http://127.0.0.1:{port}"));
        await Eventually.IsTrue(() => Destinations(proxy).Count == 1);
        Assert.NotEqual(before, Destinations(proxy).Keys.Single());
    }
}
