using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.AspNetCore.Tests.Registration.Addresses;
using Discovery.Etcd;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration;

/// <summary>Which address an application is registered by as the machine's addresses and routes come and go.</summary>
public sealed class RegistrationPlannerTests : IAsyncLifetime
{
    private const string OverLoopback = "http://127.0.0.1:2379";

    private readonly FakeLocalAddresses _machine = new("127.0.0.1", "10.0.0.7", "192.168.1.7", "172.16.0.7")
    {
        Routes = { ["etcd"] = ["10.0.0.7"], ["127.0.0.1"] = ["127.0.0.1"] },
    };

    private readonly EtcdRegistrationOptions _options = new() { ServiceName = "shop" };
    private readonly LogRecorder _log = new();
    private readonly List<EtcdClient> _clients = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _log.Dispose();
        foreach (var client in _clients)
        {
            await client.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("", "192.168.1.7 10.0.0.7 172.16.0.7", "192.168.1.7")]
    [InlineData("", "172.16.0.7 10.0.0.7 192.168.1.7", "172.16.0.7")]
    [InlineData("10.0.0.0/8", "192.168.1.7 10.0.0.7 172.16.0.7", "192.168.1.7")]
    [InlineData("10.0.0.0/8,172.16.0.0/12", "192.168.1.7 10.0.0.7 172.16.0.7", "172.16.0.7")]
    public async Task One_port_on_several_addresses_moves_to_one_that_the_machine_has_and_back(string preferred, string bound, string meanwhile)
    {
        preferred.Split(',', StringSplitOptions.RemoveEmptyEntries).ToList().ForEach(_options.PreferredNetworks.Add);
        var planner = Plan("http://etcd:2379", [.. bound.Split(' ').Select(static host => $"http://{host}:5000")]);
        Assert.Equal("10.0.0.7", await LookAsync(planner));
        Assert.False(planner.IsOutdated);

        (_machine.Addresses, _machine.Routes["etcd"]) = (["127.0.0.1", "192.168.1.7", "172.16.0.7"], ["172.16.0.9"]);
        Assert.True(planner.IsOutdated);
        Assert.Equal(meanwhile, await LookAsync(planner));
        Assert.False(planner.IsOutdated);

        _machine.Addresses = ["127.0.0.1", "192.168.1.7", "172.16.0.7", "10.0.0.7"];
        Assert.True(planner.IsOutdated);
        Assert.Equal("10.0.0.7", await LookAsync(planner));
        Assert.False(planner.IsOutdated);
    }

    [Fact]
    public async Task One_port_on_several_addresses_stays_while_others_come_and_go_and_where_it_is_while_all_are_away()
    {
        var planner = Plan("http://etcd:2379", "http://192.168.1.7:5000", "http://10.0.0.7:5000", "http://172.16.0.7:5000");
        Assert.Equal("10.0.0.7", await LookAsync(planner));

        foreach (var addresses in (string[][])[["10.0.0.7"], ["192.168.1.7", "10.0.0.7"], ["172.16.0.7", "10.0.0.7"]])
        {
            _machine.Addresses = addresses;
            Assert.False(planner.IsOutdated);
            Assert.Equal("10.0.0.7", await LookAsync(planner));
        }

        _machine.Addresses = ["172.16.0.7"];
        Assert.Equal("172.16.0.7", await LookAsync(planner));

        // For a moment the machine has none of them.
        _machine.Addresses = ["127.0.0.1"];
        Assert.Equal("172.16.0.7", await LookAsync(planner));
        Assert.False(planner.IsOutdated);
        _machine.Addresses = ["192.168.1.7"];
        Assert.True(planner.IsOutdated);
        Assert.Equal("192.168.1.7", await LookAsync(planner));
        _machine.Addresses = ["192.168.1.7", "10.0.0.7"];
        Assert.True(planner.IsOutdated);
        Assert.Equal("10.0.0.7", await LookAsync(planner));
    }

    [Fact]
    public async Task One_port_on_several_addresses_does_not_move_to_a_lost_one_while_the_system_tells_none()
    {
        _machine.Routes["etcd"] = ["10.0.0.9"];
        var planner = Plan("http://etcd:2379", "http://10.0.0.7:5000", "http://192.168.1.7:5000");
        _machine.IsChanging = true;
        Assert.Equal("10.0.0.7", await LookAsync(planner));
        _machine.IsChanging = false;
        Assert.False(planner.IsOutdated);

        _machine.Addresses = ["192.168.1.7"];
        Assert.Equal("192.168.1.7", await LookAsync(planner));
        _machine.IsChanging = true;
        Assert.False(planner.IsOutdated);
        Assert.Equal("192.168.1.7", await LookAsync(planner));

        (_machine.IsChanging, _machine.Addresses) = (false, ["10.0.0.7", "192.168.1.7"]);
        Assert.True(planner.IsOutdated);
        Assert.Equal("10.0.0.7", await LookAsync(planner));
    }

    [Fact]
    public async Task Addresses_that_the_system_does_not_tell_of_are_not_looked_at_again_and_again()
    {
        var planner = Plan(OverLoopback, "http://127.0.0.3:5000", "http://127.0.0.2:5000");

        Assert.Equal("127.0.0.3", await LookAsync(planner));
        Assert.False(planner.IsOutdated);
    }

    [Fact]
    public async Task A_wildcard_does_not_follow_what_a_port_on_several_addresses_lost()
    {
        var planner = Plan("http://etcd:2379", "http://*:5000", "https://192.168.1.7:5001", "https://172.16.0.7:5001");
        Assert.Equal("10.0.0.7 192.168.1.7", await LookAsync(planner));

        _machine.Addresses = ["10.0.0.7", "172.16.0.7"];
        Assert.Equal("10.0.0.7 172.16.0.7", await LookAsync(planner));
        _machine.Addresses = ["192.168.1.7", "10.0.0.7", "172.16.0.7"];
        Assert.Equal("10.0.0.7 192.168.1.7", await LookAsync(planner));
    }

    [Theory]
    [InlineData(OverLoopback)]
    [InlineData("http://unknown:2379")]
    public async Task Without_a_route_that_decides_a_wildcard_stays_at_its_address_until_that_is_lost_or_there_is_one(string etcd)
    {
        _machine.Addresses = ["127.0.0.1"];
        _options.AllowLoopback = true;
        var planner = Plan(etcd, "http://*:5000");
        Assert.Equal("127.0.0.1", await LookAsync(planner));
        _machine.Addresses = ["127.0.0.1", "192.168.1.7"];
        Assert.Equal("192.168.1.7", await LookAsync(planner));

        _machine.Addresses = ["127.0.0.1", "172.16.0.7", "192.168.1.7"];
        Assert.Equal("192.168.1.7", await LookAsync(planner));
        _machine.Addresses = ["127.0.0.1", "172.16.0.7"];
        Assert.Equal("172.16.0.7", await LookAsync(planner));

        // It has it back, and then a route.
        _machine.Addresses = ["127.0.0.1", "172.16.0.7", "192.168.1.7", "10.0.0.7"];
        Assert.Equal("192.168.1.7", await LookAsync(planner));
        _machine.Routes[etcd == OverLoopback ? "198.51.100.1" : "unknown"] = ["10.0.0.7"];
        Assert.True(planner.IsOutdated);
        Assert.Equal("10.0.0.7", await LookAsync(planner));
        Assert.False(planner.IsOutdated);
    }

    [Fact]
    public async Task Without_a_route_that_decides_an_ipv4_address_that_every_client_understands_replaces_one_of_ipv6()
    {
        _machine.Addresses = ["127.0.0.1", "fd00::7"];
        var planner = Plan(OverLoopback, "http://*:5000");
        Assert.Equal("fd00::7", await LookAsync(planner));

        _machine.Addresses = ["127.0.0.1", "fd00::7", "192.168.1.7"];
        Assert.Equal("192.168.1.7", await LookAsync(planner));
    }

    /// <summary>Launch profiles bind loopback; elsewhere etcd may be reached through a forwarded port, and clients be on other machines.</summary>
    [Theory]
    [InlineData("Development", false)]
    [InlineData("Production", true)]
    [InlineData("", true)]
    public async Task Loopback_that_is_advertised_is_warned_of_unless_the_environment_is_development(string environment, bool isWarned)
    {
        var planner = PlanIn(environment, OverLoopback, "http://localhost:5000");

        Assert.Equal("127.0.0.1", await LookAsync(planner));
        Assert.Equal(isWarned ? 1 : 0, _log.At(LogLevel.Warning).Count);
    }

    /// <summary>The hosts that are registered.</summary>
    private async Task<string> LookAsync(RegistrationPlanner planner)
        => string.Join(' ', (await planner.PlanAsync(_options, default)).Endpoints.Where(static e => !e.IsAlternative).Select(static e => e.Host));

    private RegistrationPlanner Plan(string etcd, params string[] bound) => PlanIn("", etcd, bound);

    private RegistrationPlanner PlanIn(string environment, string etcd, params string[] bound)
    {
        var client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd] });
        _clients.Add(client);
        var server = new Server();
        var addresses = new ServerAddressesFeature();
        bound.ToList().ForEach(addresses.Addresses.Add);
        server.Features.Set<IServerAddressesFeature>(addresses);
        var services = new ServiceCollection().AddSingleton<IServer>(server);
        if (environment.Length > 0)
        {
            services.AddSingleton<IHostEnvironment>(new Microsoft.Extensions.Hosting.Internal.HostingEnvironment { EnvironmentName = environment });
        }

        return new RegistrationPlanner(
            services.BuildServiceProvider(),
            new ConfigurationBuilder().Build(),
            new Lazy<EtcdClient>(client),
            _machine,
            new LoggerFactory([_log]).CreateLogger<IServiceRegistration>());
    }

    /// <summary>A server that is bound to addresses.</summary>
    private sealed class Server : IServer
    {
        public IFeatureCollection Features { get; } = new FeatureCollection();

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull
            => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
