using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.Etcd.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Connections;

public sealed class ConnectTests
{
    [Fact]
    public async Task A_call_moves_on_when_nobody_listens_and_takes_its_body_along()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(async c => await c.Request.Body.CopyToAsync(c.Response.Body));
        harness.Register(Harness.RefusingAddress());
        harness.Register(Harness.RefusingAddress());
        using var client = harness.Client();

        for (var i = 0; i < 20; i++)
        {
            using var response = await client.PostAsync("echo", new StringContent($"body {i}"));
            Assert.Equal($"body {i}", await response.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_call_that_was_sent_is_not_sent_again()
    {
        await using var harness = new Harness();
        var servers = new[]
        {
            await harness.StartServerAsync(Abort),
            await harness.StartServerAsync(Abort),
        };
        using var client = harness.Client();

        await Assert.ThrowsAsync<HttpRequestException>(() => client.PostAsync("x", new StringContent("pay")));

        Assert.Equal(1, servers.Sum(s => s.Requests));

        static Task Abort(HttpContext context)
        {
            context.Abort();
            return Task.CompletedTask;
        }
    }

    [Theory]
    [InlineData(HttpProtocols.Http1)]
    [InlineData(HttpProtocols.Http2)]
    public async Task Calls_leave_an_instance_that_lets_connections_wait_after_the_connect_timeout(HttpProtocols protocols)
    {
        using var hole = new BlackHole();
        await using var harness = new Harness(o => o.ConnectTimeout = TimeSpan.FromSeconds(1));
        await harness.StartServerAsync(protocols: protocols);
        harness.Register(hole.Address);
        using var client = harness.Client(protocols == HttpProtocols.Http2 ? HttpVersion.Version20 : HttpVersion.Version11);
        var clock = Stopwatch.StartNew();

        // Many at a time: over HTTP/2 they all wait for the one connection, and must not do so one after another.
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => client.GetStringAsync("x")));

        Assert.All(answers, a => Assert.NotEqual(hole.Address, a));
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(0.9), TimeSpan.FromSeconds(12));
    }

    [Fact]
    public async Task A_name_that_nobody_resolves_fails_the_call_after_the_connect_timeout()
    {
        await using var harness = new Harness(static o => o.ConnectTimeout = TimeSpan.FromSeconds(0.3), services: ResolveNothing);
        harness.Register("silent.test:80");
        using var client = harness.Client();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x").WaitAsync(TimeSpan.FromSeconds(30)));

        Assert.Contains("no connection within 0.3 s (Etcd:Discovery:ConnectTimeout)", e.Message, StringComparison.Ordinal);

        // As after an address that does not answer, the next calls prefer others at once.
        Assert.NotNull(harness.Pool.Current!.Instances[0].Transport!.GetTimeSinceTimeout());
    }

    [Fact]
    public async Task Calls_leave_an_instance_whose_name_nobody_resolves()
    {
        await using var harness = new Harness(
            static o => (o.ConnectTimeout, o.Policy) = (TimeSpan.FromSeconds(0.3), BalancingPolicies.PickFirst), services: ResolveNothing);
        harness.Register("silent.test:80", key: "0");
        var server = await harness.StartServerAsync();
        using var client = harness.Client();

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x").WaitAsync(TimeSpan.FromSeconds(30)));
        }
    }

    [Fact]
    public async Task When_nobody_can_be_connected_to_the_error_names_the_service_and_the_instances()
    {
        await using var harness = new Harness();
        var address = Harness.RefusingAddress();
        harness.Register(address);
        using var client = harness.Client();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        Assert.Equal(HttpRequestError.ConnectionError, e.HttpRequestError);
        Assert.Contains($"No connection to service 'svc': 1 instance tried ({address})", e.Message, StringComparison.Ordinal);
        Assert.Contains("refused", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disposed_request_body_is_the_callers_fault_and_no_endpoints()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync();
        await harness.StartServerAsync();
        using var client = harness.Client();
        using var content = new ByteArrayContent([1, 2, 3]);
        content.Dispose();

        await Assert.ThrowsAnyAsync<Exception>(() => client.PostAsync("x", content));

        Assert.All(harness.Pool.Current!.Instances, e => Assert.Equal(0, e.InFlight));
        Assert.All(harness.Pool.Current!.Instances, e => Assert.Equal(0, e.FailureRate));
    }

    [Fact]
    public async Task An_instance_at_an_IPv6_address_is_called()
    {
        if (!Socket.OSSupportsIPv6)
        {
            return;
        }

        using var listener = new TcpListener(IPAddress.IPv6Loopback, 0);
        listener.Start();
        await using var harness = new Harness();
        harness.Register(listener.LocalEndpoint.ToString()!);
        using var client = harness.Client();
        var answer = client.GetStringAsync("x");

        using var connection = await listener.AcceptTcpClientAsync().WaitAsync(TimeSpan.FromSeconds(30));
        await connection.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix"u8.ToArray());

        Assert.Equal("six", await answer);
    }

    [Fact]
    public async Task A_cancelled_call_is_cancelled_and_goes_nowhere_else()
    {
        using var hole = new BlackHole();
        await using var harness = new Harness(o => o.ConnectTimeout = TimeSpan.FromSeconds(20));
        harness.Register(hole.Address);
        using var client = harness.Client();
        using var stop = new CancellationTokenSource();

        var call = client.GetAsync("x", stop.Token);
        await Eventually.IsTrue(() => harness.Pool.Current is { } current && current.Instances[0].InFlight == 1);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Equal(0, harness.Pool.Current!.Instances[0].InFlight);
        Assert.Equal(0, harness.Pool.Current!.Instances[0].FailureRate);
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    [InlineData("[::ffff:127.0.0.1]")]
    public async Task An_instance_outside_the_allowed_networks_is_never_dialled(string host)
    {
        await using var harness = new Harness(o => o.AllowedNetworks = ["10.0.0.0/8"]);
        var server = await BackendServer.StartAsync(null, HttpProtocols.Http1, null);
        harness.Register(server.Address.Replace("127.0.0.1", host, StringComparison.Ordinal));
        using var client = harness.Client();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        Assert.Contains("AllowedNetworks", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, server.Requests);
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData("localhost.")]
    [InlineData("127.0.0.1.")]
    public async Task A_trailing_dot_leads_round_no_rule(string host)
    {
        await using var harness = new Harness(o => o.AllowedNetworks = ["10.0.0.0/8"]);
        var server = await BackendServer.StartAsync(null, HttpProtocols.Http1, null);
        harness.Register(server.Address.Replace("127.0.0.1", host, StringComparison.Ordinal));
        using var client = harness.Client();

        // Whether the resolver knows it differs.
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        Assert.Equal(0, server.Connections);
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData("http://etcd.example:2379", false)]
    [InlineData("http://127.0.0.1:2379", true)]
    [InlineData("http://localhost:2379", true)]
    public async Task A_loopback_record_is_dialled_only_where_etcd_is_local(string etcd, bool isDialled)
    {
        await using var harness = new Harness(o => o.AllowLoopback = false);
        harness.Etcd.Endpoints = [new Uri(etcd)];
        var server = await harness.StartServerAsync();
        using var client = harness.Client();

        if (isDialled)
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }
        else
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            Assert.Contains("AllowLoopback", e.Message, StringComparison.Ordinal);
            Assert.Equal(0, server.Requests);
        }
    }

    [Theory]
    [InlineData(SocketError.AddressNotAvailable, true)]
    [InlineData(SocketError.TooManyOpenSockets, true)]
    [InlineData(SocketError.NoBufferSpaceAvailable, true)]
    [InlineData(SocketError.ConnectionRefused, false)]
    [InlineData(SocketError.HostUnreachable, false)]
    [InlineData(SocketError.TimedOut, false)]
    public void What_this_machine_lacks_is_no_fault_of_an_instance(SocketError error, bool isLocal)
        => Assert.Equal(isLocal, InstanceDialer.IsLocal(new SocketException((int)error)));

    [Fact]
    public async Task A_changed_connect_timeout_holds_for_instances_that_are_called_already()
    {
        await using var harness = new Harness(settings: [("Etcd:Discovery:ConnectTimeout", "00:10:00")]);
        var server = await harness.StartServerAsync();
        var address = IPEndPoint.Parse(server.Address);
        using (var client = harness.Client())
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }

        harness.Services.GetRequiredService<PoolCache>().FollowConfiguration();
        var configuration = (IConfigurationRoot)harness.Services.GetRequiredService<IConfiguration>();
        await server.DisposeAsync();
        using var hole = new BlackHole(address);

        configuration["Etcd:Discovery:ConnectTimeout"] = "00:00:00.05";
        configuration.Reload();
        using var other = harness.Client();
        var e = await Assert.ThrowsAsync<HttpRequestException>(() => other.GetAsync("x").WaitAsync(TimeSpan.FromMinutes(1)));

        Assert.Contains("no connection within 0.05 s", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Changed_rules_for_addresses_hold_for_instances_that_are_called_already()
    {
        await using var harness = new Harness(settings: [("Etcd:Discovery:AllowedNetworks", "127.0.0.0/8")]);
        var server = await harness.StartServerAsync();
        using var client = harness.Client();
        Assert.Equal(server.Address, await client.GetStringAsync("x"));
        harness.Services.GetRequiredService<PoolCache>().FollowConfiguration();
        var configuration = (IConfigurationRoot)harness.Services.GetRequiredService<IConfiguration>();

        configuration["Etcd:Discovery:AllowedNetworks"] = "10.0.0.0/8";
        configuration.Reload();
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Count == 0);
        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
        Assert.Contains("AllowedNetworks", e.Message, StringComparison.Ordinal);

        configuration["Etcd:Discovery:AllowedNetworks"] = "127.0.0.0/8";
        configuration.Reload();
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Count == 1);
        Assert.Equal(server.Address, await client.GetStringAsync("x"));
    }

    /// <summary>As on Unix while the name servers are silent: the system's look-up is a blocking call there, which no token ends.</summary>
    private static void ResolveNothing(IServiceCollection services)
        => services.AddSingleton(new HostResolver(static (_, _) => new TaskCompletionSource<IPAddress[]>().Task));
}
