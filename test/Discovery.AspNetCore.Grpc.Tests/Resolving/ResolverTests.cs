using Discovery.EmbeddedEtcd;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Helloworld;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests.Resolving;

/// <summary>Channels on the balancing of Grpc.Net.Client whose address is in etcd.</summary>
public sealed class ResolverTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task A_channel_balances_over_the_service_as_it_is_now()
    {
        await using var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        var second = await GreeterServer.StartAsync(_etcd.Endpoint, configure: static o => o.LeaveDelay = TimeSpan.FromSeconds(3));
        await using var services = Services();
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);

        await EventuallyAnswered(client, first.Port, second.Port);
        await using var third = await GreeterServer.StartAsync(_etcd.Endpoint);
        await EventuallyAnswered(client, first.Port, second.Port, third.Port);

        // It leaves, and then stops: no call fails, and soon none goes to it any longer.
        var leaving = second.DisposeAsync();
        await EventuallyAnswered(client, first.Port, third.Port);
        await leaving;
        Assert.Equal(new SortedSet<int> { first.Port, third.Port }, await PortsAsync(client));
    }

    [Fact]
    public async Task A_drained_or_withdrawn_instance_gets_no_new_calls_unless_there_is_no_other()
    {
        await using var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var second = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services();
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);
        await EventuallyAnswered(client, first.Port, second.Port);

        await second.Registration.SetWeightAsync(0);
        await EventuallyAnswered(client, first.Port);
        await second.Registration.SetWeightAsync(5);
        await EventuallyAnswered(client, first.Port, second.Port);
        await second.Registration.WithdrawAsync();
        await EventuallyAnswered(client, first.Port);
        await second.Registration.RestoreAsync();
        await EventuallyAnswered(client, first.Port, second.Port);
        await Task.WhenAll(first.Registration.SetWeightAsync(0), second.Registration.SetWeightAsync(0));
        await EventuallyAnswered(client, first.Port, second.Port);
    }

    [Theory]
    [InlineData("User")]
    [InlineData("helloworld.Greeter_V2")]
    public async Task Names_keep_their_case(string name)
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, name);
        await using var services = Services();
        using var channel = Channel(services, $"etcd:///{name}");

        Assert.Equal([server.Port], await PortsAsync(new Greeter.GreeterClient(channel)));

        await using var impatient = Services(static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(200));
        using var other = Channel(impatient, $"etcd:///{name.ToLowerInvariant()}");
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Greeter.GreeterClient(other).SayHelloAsync(new HelloRequest()));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains($"'{name.ToLowerInvariant()}'", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_etcd_is_away_the_last_known_instances_are_called()
    {
        await using var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var second = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var proxy = TcpProxy.Start(new Uri(_etcd.Endpoint).Port);
        await using var services = Services(etcd: proxy.Endpoint);
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);
        await EventuallyAnswered(client, first.Port, second.Port);

        proxy.Refuses = true;
        proxy.CutAll();
        await Eventually.IsTrue(() => !services.GetRequiredService<IServiceDirectory>().GetStatus("greeter").IsConnected);

        Assert.Equal(new SortedSet<int> { first.Port, second.Port }, await PortsAsync(client));
    }

    [Fact]
    public async Task Without_etcd_a_call_is_unavailable_names_service_and_endpoints_and_the_channel_recovers()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var proxy = TcpProxy.Start(new Uri(_etcd.Endpoint).Port);
        proxy.Refuses = true;
        await using var services = Services(static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(200), proxy.Endpoint);
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("'greeter'", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Contains(proxy.Endpoint, failure.Status.Detail, StringComparison.Ordinal);
        proxy.Refuses = false;
        Assert.Equal("x " + server.Port, (await client.SayHelloAsync(new HelloRequest { Name = "x" }, new CallOptions().WithWaitForReady())).Message);
    }

    [Fact]
    public async Task A_service_without_instances_is_unavailable_until_there_is_one_and_again_when_all_have_gone()
    {
        await using var services = Services();
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("services/greeter/", failure.Status.Detail, StringComparison.Ordinal);

        var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        Assert.Equal("x " + server.Port, (await client.SayHelloAsync(new HelloRequest { Name = "x" }, new CallOptions().WithWaitForReady())).Message);

        // What the channel is connected to, it calls on.
        await server.Registration.WithdrawAsync();
        await Eventually.IsTrue(() => services.GetRequiredService<IServiceDirectory>().GetSnapshot("greeter")!.Instances.Count == 0);
        Assert.Equal([server.Port], await PortsAsync(client));
        await server.DisposeAsync();
        await Eventually.IsTrue(async () =>
        {
            failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));
            return failure.Status.Detail.Contains("services/greeter/", StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Without_tls_the_authority_is_the_services_name()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "a_B.c");
        await using var services = Services();
        using var channel = Channel(services, "etcd:///a_B.c");

        var reply = await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = GreeterServer.AskForAuthority });

        Assert.Equal($"a-b.c {server.Port}", reply.Message);
    }

    [Theory]
    [InlineData("service", "greeter")]
    [InlineData("greeter.internal", "greeter.internal")]
    [InlineData("endpoint", "127.0.0.1")]
    public async Task With_tls_the_certificate_is_that_of_the_target_host(string setting, string certified)
    {
        using var certificates = new TestCertificates("resolver");
        using var certificate = certificates.Issue(certified, withLoopback: setting == "endpoint");
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, listen: l => l.UseHttps(certificate));
        await using var services = Services(o => o.TlsTargetHost = setting);
        using var channel = Channel(services, "etcd:///greeter", options =>
        {
            options.Credentials = ChannelCredentials.SecureSsl;
            var handler = new SocketsHttpHandler();
            handler.SslOptions.CertificateChainPolicy = new() { TrustMode = System.Security.Cryptography.X509Certificates.X509ChainTrustMode.CustomRootTrust, RevocationMode = System.Security.Cryptography.X509Certificates.X509RevocationMode.NoCheck };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(certificates.CaFile);
            options.HttpHandler = handler;
            options.DisposeHttpClient = true;
        });

        Assert.Equal([server.Port], await PortsAsync(new Greeter.GreeterClient(channel)));
    }

    [Fact]
    public async Task Credentials_decide_which_instances_are_called()
    {
        using var certificates = new TestCertificates("resolver");
        using var certificate = certificates.Issue("greeter");
        await using var secure = await GreeterServer.StartAsync(_etcd.Endpoint, listen: l => l.UseHttps(certificate));
        await using var services = Services();
        using var channel = Channel(services, "etcd:///greeter");
        var client = new Greeter.GreeterClient(channel);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("credentials ask for http", failure.Status.Detail, StringComparison.Ordinal);
        await using var plain = await GreeterServer.StartAsync(_etcd.Endpoint);
        await client.SayHelloAsync(new HelloRequest(), new CallOptions().WithWaitForReady());
        await EventuallyAnswered(client, plain.Port);
    }

    [Fact]
    public async Task Clients_of_the_factory_may_stay_on_official_balancing_too()
    {
        await using var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var second = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(add: static s => s
            .AddGrpcClient<Greeter.GreeterClient>(static o => o.Address = new Uri("etcd:///greeter"))
            .ConfigureChannel(static o =>
            {
                o.Credentials = ChannelCredentials.Insecure;
                o.ServiceConfig = RoundRobin;
            }));

        await EventuallyAnswered(services.GetRequiredService<Greeter.GreeterClient>(), first.Port, second.Port);
    }

    [Theory]
    [InlineData("etcd://greeter", "etcd:///")]
    [InlineData("etcd://10.0.0.1:2379/greeter", "Etcd:Endpoints")]
    [InlineData("etcd:///", "etcd:///greeter")]
    [InlineData("etcd:///a/b", "'a/b'")]
    [InlineData("etcd:///greeter?policy=round_robin", "Etcd:Discovery:Services")]
    public async Task An_address_that_names_no_service_is_refused_with_a_valid_one(string address, string part)
    {
        await using var services = Services();

        var failure = Assert.Throws<ArgumentException>(() => Channel(services, address));

        Assert.Contains(address, failure.Message, StringComparison.Ordinal);
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Adding_the_resolver_twice_is_adding_it_once_and_a_channel_that_was_disposed_hears_no_more()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(add: static s => s.AddEtcdGrpcResolver());
        Assert.Single(services.GetServices<global::Grpc.Net.Client.Balancer.ResolverFactory>());

        for (var i = 0; i < 3; i++)
        {
            using var channel = Channel(services, "etcd:///greeter");
            Assert.Equal([server.Port], await PortsAsync(new Greeter.GreeterClient(channel)));
        }
    }

    private static ServiceConfig RoundRobin => new() { LoadBalancingConfigs = { new RoundRobinConfig() } };

    private static GrpcChannel Channel(IServiceProvider services, string address, Action<GrpcChannelOptions>? configure = null)
    {
        var options = new GrpcChannelOptions
        {
            ServiceProvider = services,
            Credentials = ChannelCredentials.Insecure,
            ServiceConfig = RoundRobin,
            InitialReconnectBackoff = TimeSpan.FromMilliseconds(50),
        };
        configure?.Invoke(options);
        return GrpcChannel.ForAddress(address, options);
    }

    private static async Task EventuallyAnswered(Greeter.GreeterClient client, params int[] ports)
        => await Eventually.IsTrue(async () => (await PortsAsync(client)).SetEquals(ports));

    /// <summary>The ports that answer a number of calls, of which none fails.</summary>
    private static async Task<SortedSet<int>> PortsAsync(Greeter.GreeterClient client)
    {
        var ports = new SortedSet<int>();
        for (var i = 0; i < 12; i++)
        {
            var reply = await client.SayHelloAsync(new HelloRequest { Name = "x" });
            ports.Add(int.Parse(reply.Message.Split(' ')[1]));
        }

        return ports;
    }

    private ServiceProvider Services(
        Action<EtcdDiscoveryOptions>? configure = null, string? etcd = null, Action<IServiceCollection>? add = null)
    {
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [etcd ?? _etcd.Endpoint]);
        services.AddEtcdDiscovery(configure);
        services.AddEtcdGrpcResolver();
        add?.Invoke(services);
        return services.BuildServiceProvider();
    }
}
