using Discovery.EmbeddedEtcd;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Grpc.Net.ClientFactory;
using Helloworld;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>Clients that know their service by their contract, the settings or their address, and those of one contract in two services.</summary>
public sealed class ContractClientTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task Without_a_name_a_client_calls_the_service_of_its_contract()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "helloworld.Greeter");
        await using var services = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>());

        Assert.Equal(server.Port, await PortAsync(services.GetRequiredService<Greeter.GreeterClient>()));
        Assert.Equal(
            server.Port,
            await PortAsync(services.GetRequiredService<GrpcClientFactory>().CreateClient<Greeter.GreeterClient>("helloworld.Greeter")));
    }

    [Fact]
    public async Task The_settings_may_name_another_service_for_a_client_that_code_names_none_for()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "shop-greeter");
        await using var services = Services(
            static s =>
            {
                s.AddEtcdGrpcClient<Greeter.GreeterClient>();
                s.AddHttpClient("web").AddEtcdDiscovery();
            },
            ("Etcd:Discovery:Clients:helloworld.Greeter:Service", "shop-greeter"),
            ("Etcd:Discovery:Services:shop-greeter:Policy", "RoundRobin"),
            ("Etcd:Discovery:Clients:web:Service", "shop_web"));

        Assert.Equal(server.Port, await PortAsync(services.GetRequiredService<Greeter.GreeterClient>()));
        Assert.Equal(new Uri("http://shop-web/"), services.GetRequiredService<IHttpClientFactory>().CreateClient("web").BaseAddress);
    }

    [Fact]
    public async Task A_setting_that_names_no_service_is_refused_with_its_value()
    {
        await using var services = Services(
            static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(), ("Etcd:Discovery:Clients:helloworld.Greeter:Service", "a/b"));

        var failure = Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<Greeter.GreeterClient>());

        Assert.Contains("Etcd:Discovery:Clients:helloworld.Greeter:Service is 'a/b'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_of_clients_that_have_no_effect_are_told_at_the_start()
    {
        var log = new LogRecorder();
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(Settings(
            ("Etcd:Endpoints", _etcd.Endpoint),
            ("Etcd:Discovery:Clients:helloworld.Greter:Service", "a"),
            ("Etcd:Discovery:Clients:named:Service", "b")));
        builder.Services.AddLogging(l => l.AddProvider(log));
        builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>();
        builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>("named", "greeter");
        using var host = builder.Build();

        await host.StartAsync();

        Assert.True(log.Has(LogLevel.Warning, "'helloworld.Greter'", "Did you mean 'helloworld.Greeter'?"));
        Assert.True(log.Has(LogLevel.Warning, "Clients:named", "'greeter'"));
        await host.StopAsync();
    }

    [Fact]
    public void A_type_that_is_no_generated_client_needs_a_name()
    {
        var failure = Assert.Throws<ArgumentException>(() => new ServiceCollection().AddEtcdGrpcClient<HttpClient>());

        Assert.Contains("AddEtcdGrpcClient<HttpClient>(\"greeter\")", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_contract_of_two_services_is_injected_by_key()
    {
        await using var blue = await GreeterServer.StartAsync(_etcd.Endpoint, "blue");
        await using var green = await GreeterServer.StartAsync(_etcd.Endpoint, "green");
        await using var services = Services(static s =>
        {
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("blue");
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("billing-eu", "green");
            s.AddTransient<Both>();
        });

        var both = services.GetRequiredService<Both>();

        Assert.Equal(blue.Port, await PortAsync(both.Blue));
        Assert.Equal(green.Port, await PortAsync(both.Green));
    }

    [Fact]
    public async Task An_address_in_etcd_is_understood_by_AddGrpcClient_and_by_the_channels()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "User");
        await using var services = Services(static s =>
        {
            s.AddGrpcClient<Greeter.GreeterClient>(static o => o.Address = new Uri("etcd:///User")).AddEtcdDiscovery();
            s.AddGrpcClient<Greeter.GreeterClient>("own", static o => o.Address = new Uri("etcd:///User")).AddEtcdDiscovery(static o => o.Policy = "Random");
            s.AddGrpcClient<Greeter.GreeterClient>("named", static o => o.Address = new Uri("etcd:///User")).AddEtcdDiscovery("User");
        });
        var factory = services.GetRequiredService<GrpcClientFactory>();

        Assert.Equal(server.Port, await PortAsync(factory.CreateClient<Greeter.GreeterClient>("GreeterClient")));
        Assert.Equal(server.Port, await PortAsync(factory.CreateClient<Greeter.GreeterClient>("own")));
        Assert.Equal(server.Port, await PortAsync(factory.CreateClient<Greeter.GreeterClient>("named")));
        await using var others = Services(static s => s.AddEtcdGrpcChannels());
        var channels = others.GetRequiredService<IEtcdGrpcChannels>();
        Assert.Same(channels.GetChannel("User"), channels.GetChannel(new Uri("etcd:///User")));
        Assert.Equal(server.Port, await PortAsync(new Greeter.GreeterClient(channels.GetChannel(new Uri("etcd:///User")))));
        Assert.Throws<ArgumentException>(() => channels.GetChannel(new Uri("http://greeter")));
    }

    /// <summary>The first registration is the only one, for others would bring along what it needs.</summary>
    [Theory]
    [InlineData("etcd:///User", false)]
    [InlineData("etcd:///User", true)]
    [InlineData("http://orders.internal:5000", false)]
    [InlineData("http://orders.internal:5000", true)]
    public async Task A_service_that_is_named_beside_an_address_is_the_one_that_is_called(string address, bool isCustomised)
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "User");
        await using var services = Services(s =>
        {
            var client = s.AddGrpcClient<Greeter.GreeterClient>(o => o.Address = new Uri(address));
            _ = isCustomised ? client.AddEtcdDiscovery("User", static o => o.Policy = "Random") : client.AddEtcdDiscovery("User");
        });

        Assert.Equal(server.Port, await PortAsync(services.GetRequiredService<Greeter.GreeterClient>()));
    }

    [Fact]
    public async Task A_client_of_AddGrpcClient_without_an_address_in_etcd_has_its_own_name_as_before()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "GreeterClient");
        await using var services = Services(static s => s.AddGrpcClient<Greeter.GreeterClient>().AddEtcdDiscovery());

        Assert.Equal(server.Port, await PortAsync(services.GetRequiredService<Greeter.GreeterClient>()));
    }

    [Fact]
    public async Task An_address_of_another_service_than_the_one_discovered_is_refused()
    {
        await using var services = Services(static s =>
        {
            s.AddEtcdGrpcChannels();
            s.AddGrpcClient<Greeter.GreeterClient>(static (_, o) => o.Address = new Uri("etcd:///greeter")).AddEtcdDiscovery();
        });

        var failure = Assert.Throws<InvalidOperationException>(() => services.GetRequiredService<Greeter.GreeterClient>());

        Assert.Contains("AddEtcdDiscovery(\"greeter\")", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Channels_whose_settings_were_wrong_at_the_first_use_work_once_these_are_mended_without_a_restart()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s => s.AddEtcdGrpcChannels(), ("Etcd:Discovery:Services:greeter:Policy", "Nonsense"));
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        for (var i = 0; i < 2; i++)
        {
            Assert.Contains("Nonsense", Assert.Throws<OptionsValidationException>(() => channels.GetChannel("greeter")).Message, StringComparison.Ordinal);
            Assert.Contains("Nonsense", Assert.Throws<OptionsValidationException>(() => channels.GetChannels("greeter")).Message, StringComparison.Ordinal);
        }

        var configuration = (IConfigurationRoot)services.GetRequiredService<IConfiguration>();
        configuration["Etcd:Discovery:Services:greeter:Policy"] = BalancingPolicies.RoundRobin;
        configuration.Reload();

        Assert.Equal(server.Port, await PortAsync(new Greeter.GreeterClient(channels.GetChannel("greeter"))));
        await Eventually.IsTrue(() => channels.GetChannels("greeter").Count == 1);
        Assert.Equal(server.Port, await PortAsync(new Greeter.GreeterClient(channels.GetChannels("greeter")[0].Channel)));
    }

    [Fact]
    public async Task Options_of_the_channel_are_set_beside_those_of_discovery()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(
            "greeter", configureChannel: static c => c.MaxSendMessageSize = 10));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        Assert.Equal(server.Port, await PortAsync(client));
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest { Name = new string('x', 100) }));
        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
    }

    [Fact]
    public async Task Options_of_the_channel_that_would_go_round_discovery_are_refused_with_what_to_use()
    {
        Assert.Contains("ConfigureEtcdTransport", await FailureOf(static c => c.HttpHandler = new SocketsHttpHandler()), StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:Policy", await FailureOf(static c => c.ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new RoundRobinConfig() } }), StringComparison.Ordinal);

        async Task<string> FailureOf(Action<GrpcChannelOptions> configure)
        {
            await using var services = Services(s => s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter", configureChannel: configure));
            return Assert.Throws<InvalidOperationException>(() => services.GetRequiredService<Greeter.GreeterClient>()).Message;
        }
    }

    private static async Task<int> PortAsync(Greeter.GreeterClient client)
        => int.Parse((await client.SayHelloAsync(new HelloRequest { Name = "x" })).Message.Split(' ')[1]);

    private static IEnumerable<KeyValuePair<string, string?>> Settings(params (string Key, string Value)[] settings)
        => settings.Select(static s => KeyValuePair.Create(s.Key, (string?)s.Value));

    private ServiceProvider Services(Action<IServiceCollection> add, params (string Key, string Value)[] settings)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(Settings(settings)).Build());
        services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        add(services);
        return services.BuildServiceProvider();
    }

    private sealed class Both(
        [FromKeyedServices("blue")] Greeter.GreeterClient blue, [FromKeyedServices("billing-eu")] Greeter.GreeterClient green)
    {
        public Greeter.GreeterClient Blue => blue;

        public Greeter.GreeterClient Green => green;
    }
}
