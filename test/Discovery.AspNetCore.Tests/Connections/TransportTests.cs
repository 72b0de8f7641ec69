using System.Net;
using System.Net.Security;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.AspNetCore.Tests.Pools;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Connections;

public sealed class TransportTests
{
    [Theory]
    [InlineData(HttpProtocols.Http1, "HTTP/1.1")]
    [InlineData(HttpProtocols.Http2, "HTTP/2")]
    public async Task Cleartext_works_over_both_versions_and_the_request_keeps_its_uri(HttpProtocols protocols, string expected)
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(Describe, protocols);
        using var client = harness.Client(protocols == HttpProtocols.Http2 ? HttpVersion.Version20 : HttpVersion.Version11);

        Assert.Equal($"{expected} svc /base/path?q=1", await client.GetStringAsync("base/path?q=1"));
    }

    [Theory]
    [InlineData(HttpProtocols.Http1, "HTTP/1.1")]
    [InlineData(HttpProtocols.Http2, "HTTP/2")]
    public async Task Https_works_over_both_versions_with_the_services_name_in_the_certificate(HttpProtocols protocols, string expected)
    {
        using var certificate = Certificates.For("svc");
        await using var harness = Https(certificate, o => o.Scheme = "https");
        string? sni = null;
        await harness.StartServerAsync(
            Describe,
            protocols,
            l => l.UseHttps(https => https.ServerCertificateSelector = (_, name) =>
            {
                sni = name;
                return certificate;
            }),
            scheme: "https");
        using var client = harness.Client(protocols == HttpProtocols.Http2 ? HttpVersion.Version20 : HttpVersion.Version11);

        Assert.Equal($"{expected} svc /x", await client.GetStringAsync("x"));
        Assert.Equal("svc", sni);
    }

    /// <summary>
    /// As behind an address that several servers share. .NET uses HTTP/1.1 alone after the first refusal of HTTP/2, and writes it into a connection for
    /// which HTTP/2 was agreed on.
    /// </summary>
    [Fact]
    public async Task Where_http_2_was_refused_once_it_is_not_offered_to_a_server_that_would_take_it()
    {
        using var certificate = Certificates.For("svc");
        await using var harness = Https(certificate, static o => o.Scheme = "https");
        var handshakes = 0;
        await harness.StartServerAsync(
            static c =>
            {
                c.Response.Headers.Connection = "close";
                return Describe(c);
            },
            HttpProtocols.Http1AndHttp2,
            l => l.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate,
                    ApplicationProtocols = Interlocked.Increment(ref handshakes) == 1
                        ? [SslApplicationProtocol.Http11]
                        : [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
                }),
            }),
            scheme: "https");
        using var client = harness.Client(HttpVersion.Version20);
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower;

        for (var i = 1; i <= 3; i++)
        {
            Assert.Equal("HTTP/1.1 svc /x", await client.GetStringAsync("x"));
            Assert.Equal(i, handshakes);
        }
    }

    [Theory]
    [InlineData("service", "svc")]
    [InlineData("endpoint", "127.0.0.1")]
    [InlineData("greeter.example.com", "greeter.example.com")]
    public async Task The_certificate_must_bear_the_name_that_is_set(string setting, string name)
    {
        await CheckNameAsync(setting, name, HttpProtocols.Http1);
        await CheckNameAsync(setting, name, HttpProtocols.Http2);
    }

    private static async Task CheckNameAsync(string setting, string name, HttpProtocols protocols)
    {
        using var right = Certificates.For(name);
        using var wrong = Certificates.For("other.example.com");
        foreach (var certificate in new[] { right, wrong })
        {
            await using var harness = Https(certificate, o => (o.Scheme, o.TlsTargetHost) = ("https", setting));
            await harness.StartServerAsync(Describe, protocols, l => l.UseHttps(certificate), scheme: "https");
            using var client = harness.Client(protocols == HttpProtocols.Http2 ? HttpVersion.Version20 : HttpVersion.Version11);

            if (certificate == right)
            {
                Assert.Equal($"{(protocols == HttpProtocols.Http2 ? "HTTP/2" : "HTTP/1.1")} svc /x", await client.GetStringAsync("x"));
            }
            else
            {
                var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
                Assert.Contains("RemoteCertificateNameMismatch", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Settings_for_one_service_win_over_those_for_all_and_code_wins_over_both()
    {
        await using var harness = new Harness(
            o => o.RelistInterval = TimeSpan.FromMinutes(7),
            settings:
            [
                ("Etcd:Discovery:Policy", "RoundRobin"),
                ("Etcd:Discovery:ConnectTimeout", "00:00:03"),
                ("Etcd:Discovery:RelistInterval", "00:06:00"),
                ("Etcd:Discovery:AllowedPorts:0", "1-100"),
                ("Etcd:Discovery:Services:svc:ConnectTimeout", "00:00:04"),
                ("Etcd:Discovery:Services:svc:AllowedPorts", "200, 300-400"),
                ("Etcd:Discovery:Services:other:ConnectTimeout", "00:00:05"),
            ]);

        var options = harness.Pool.Options;

        Assert.Equal((TimeSpan.FromSeconds(4), TimeSpan.FromMinutes(7)), (options.ConnectTimeout, options.RelistInterval));
        Assert.Equal(["200", "300-400"], options.AllowedPorts);
        var other = harness.Services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("other");
        Assert.Equal((TimeSpan.FromSeconds(5), "1-100"), (other.ConnectTimeout, Assert.Single(other.AllowedPorts)));
    }

    [Fact]
    public async Task The_transport_can_be_configured_but_not_its_way_to_the_instance()
    {
        await using var fine = new Harness(client: c => c.ConfigureEtcdTransport(t => t.AutomaticDecompression = DecompressionMethods.GZip));
        await fine.StartServerAsync(c => c.Response.WriteAsync(c.Request.Headers.AcceptEncoding.ToString()));
        using var client = fine.Client();
        Assert.Equal("gzip", await client.GetStringAsync("x"));

        await using var wrong = new Harness(client: c => c.ConfigureEtcdTransport(t => t.ConnectCallback = (_, _) => throw new IOException()));
        await wrong.StartServerAsync();
        using var other = wrong.Client();
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => other.GetAsync("x"));
        Assert.Contains("ConfigureEtcdTransport of service 'svc' sets ConnectCallback", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_transport_is_made_by_the_first_call_to_its_instance()
    {
        var made = 0;
        await using var harness = new Harness(o => o.Policy = "PickFirst", c => c.ConfigureEtcdTransport(_ => Interlocked.Increment(ref made)));
        for (var i = 0; i < 5; i++)
        {
            await harness.StartServerAsync();
        }

        using var client = harness.Client();
        await client.GetStringAsync("x");
        await client.GetStringAsync("x");

        Assert.Equal(1, made);
    }

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("localhost", true)]
    public async Task A_name_is_resolved_again_every_few_minutes(string host, bool isLimited)
    {
        var lifetime = TimeSpan.Zero;
        await using var harness = new Harness(client: c => c.ConfigureEtcdTransport(t => lifetime = t.PooledConnectionLifetime));
        await using var server = await BackendServer.StartAsync();
        harness.Register(server.Address.Replace("127.0.0.1", host, StringComparison.Ordinal));
        using var client = harness.Client();

        await client.GetStringAsync("x");

        if (isLimited)
        {
            Assert.InRange(lifetime, TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(6));
        }
        else
        {
            Assert.Equal(Timeout.InfiniteTimeSpan, lifetime);
        }
    }

    [Theory]
    [InlineData(10, 0, 20, 10)]
    [InlineData(200, 0, 20, 16)]
    [InlineData(1000, 0, 80, 80)]
    [InlineData(1000, 100, 20, 10)]
    [InlineData(5000, 0, 120, 120)]
    public void Pings_are_fewer_where_thousands_of_instances_are_used(int count, int subset, int delay, int timeout)
    {
        SocketsHttpHandler? handler = null;
        using var rig = new PoolRig(
            PoolRig.Records(count).Select(static r => r with { Protocols = InstanceProtocols.Http2 }), o => o.SubsetSize = subset, transport: h => handler = h);

        _ = rig.Pool.Current!.Instances[0].Transport!.Invoker;

        Assert.Equal((delay, timeout), (handler!.KeepAlivePingDelay.TotalSeconds, handler.KeepAlivePingTimeout.TotalSeconds));
    }

    [Fact]
    public void Instances_that_others_registered_are_not_pinged()
    {
        SocketsHttpHandler? handler = null;
        using var rig = new PoolRig(PoolRig.Records(1000), transport: h => handler = h);

        _ = rig.Pool.Current!.Instances[0].Transport!.Invoker;

        Assert.Equal(Timeout.InfiniteTimeSpan, handler!.KeepAlivePingDelay);
    }

    [Theory]
    [InlineData("a_b", "a-b", "service", true)]
    [InlineData("订单", "service", "service", true)]
    [InlineData("a_b", "a-b", "a-b", false)]
    [InlineData("a-b", "a-b", "service", false)]
    [InlineData("Orders", "orders", "service", false)]
    [InlineData("a_b", "127.0.0.1", "endpoint", false)]
    public async Task A_name_that_no_certificate_can_bear_is_warned_of_once_with_what_to_set(string service, string name, string setting, bool isWarned)
    {
        using var certificate = Certificates.For(name);
        await using var server = await BackendServer.StartAsync(Describe, listen: l => l.UseHttps(certificate));
        await using var harness = new Harness(services: s => s.AddHttpClient("secure")
            .AddEtcdDiscovery(service, o =>
            {
                (o.Scheme, o.TlsTargetHost, o.AllowLoopback, o.ConnectTimeout) = ("https", setting, true, TimeSpan.FromSeconds(30));
                o.Instances.Add($"https://{server.Address}");
            })
            .ConfigureEtcdTransport(t => t.SslOptions = Certificates.Trust(certificate)));
        using var client = harness.Services.GetRequiredService<IHttpClientFactory>().CreateClient("secure");
        client.DefaultRequestHeaders.ConnectionClose = true;

        await client.GetStringAsync("x");
        await client.GetStringAsync("x");

        var warnings = harness.Log.At(LogLevel.Warning).Where(static l => l.Contains("TlsTargetHost", StringComparison.Ordinal)).ToList();
        Assert.Equal(isWarned ? 1 : 0, warnings.Count);
        Assert.All(warnings, w => Assert.Contains($"'{service}' are known by certificates for '{name}'", w, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Connections_are_measured_by_the_meters_of_the_container()
    {
        System.Diagnostics.Metrics.IMeterFactory? meters = null;
        await using var harness = new Harness(client: c => c.ConfigureEtcdTransport(t => meters = t.MeterFactory));
        await harness.StartServerAsync();
        using var client = harness.Client();

        await client.GetStringAsync("x");

        Assert.Same(harness.Services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>(), meters);
    }

    private static Harness Https(System.Security.Cryptography.X509Certificates.X509Certificate2 certificate, Action<EtcdDiscoveryOptions> options)
        => new(
            o =>
            {
                // A busy machine may take long for the keys.
                o.ConnectTimeout = TimeSpan.FromSeconds(30);
                options(o);
            },
            c => c.ConfigureEtcdTransport(t => t.SslOptions = Certificates.Trust(certificate)));

    private static Task Describe(HttpContext context)
    {
        var request = context.Request;
        return context.Response.WriteAsync($"{request.Protocol} {request.Host.Host} {request.Path}{request.QueryString}");
    }
}
