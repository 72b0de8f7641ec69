using Discovery.AspNetCore.Registration.Addresses;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

public sealed class EndpointResolverTests : IDisposable
{
    private readonly FakeLocalAddresses _machine = new("127.0.0.1", "169.254.3.4", "10.0.0.7", "192.168.1.7", "::1", "fe80::7", "fd00::7")
    {
        Routes = { ["etcd"] = ["10.0.0.7"], ["etcd6"] = ["fd00::7"], ["localhost"] = ["127.0.0.1", "::1"] },
    };

    private static readonly EndpointProtocols Unknown = new(new ConfigurationBuilder().Build(), bound: null);

    private readonly EtcdRegistrationOptions _options = new() { ServiceName = "greeter" };
    private readonly LogRecorder _log = new();

    [Theory]
    [InlineData("http://[::]:5000", "http://etcd:2379", "10.0.0.7")]
    [InlineData("http://[::]:5000", "http://etcd6:2379", "fd00::7")]
    [InlineData("http://[::]:5000", "http://localhost:2379", "10.0.0.7")]
    [InlineData("http://0.0.0.0:5000", "http://localhost:2379", "10.0.0.7")]
    [InlineData("http://[::]:5000", "http://unknown:2379", "10.0.0.7")]
    [InlineData("http://*:5000", "http://etcd:2379", "10.0.0.7")]
    [InlineData("http://+:5000", "http://etcd:2379", "10.0.0.7")]
    [InlineData("http://some.name:5000", "http://etcd:2379", "10.0.0.7")]
    [InlineData("http://0.0.0.0:5000", "http://etcd:2379", "10.0.0.7")]
    [InlineData("http://0.0.0.0:5000", "http://etcd6:2379", "10.0.0.7")]
    [InlineData("http://192.168.1.7:5000", "http://etcd:2379", "192.168.1.7")]
    [InlineData("http://[fd00::7]:5000", "http://etcd:2379", "fd00::7")]
    [InlineData("http://localhost:5000", "http://localhost:2379", "127.0.0.1")]
    [InlineData("http://shop.LocalHost:5000", "http://localhost:2379", "127.0.0.1")]
    [InlineData("http://shop.dev.localhost:5000", "http://etcd.localhost:2379", "127.0.0.1")]
    [InlineData("http://127.0.0.1:5000", "http://localhost:2379", "127.0.0.1")]
    [InlineData("http://[::1]:5000", "http://127.0.0.1:2379", "::1")]
    public async Task What_is_bound_is_advertised_by_an_address_that_can_be_dialled(string bound, string etcd, string host)
        => Assert.Equal([new AdvertisedEndpoint("http", "http", host, 5000)], await ResolveAsync([bound], etcd));

    [Theory]
    [InlineData("http://localhost:5000")]
    [InlineData("http://shop.localhost:5000")]
    [InlineData("http://127.0.0.1:5000")]
    [InlineData("http://[::1]:5000")]
    public async Task Loopback_is_refused_while_etcd_is_elsewhere_unless_it_is_allowed(string bound)
    {
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync([bound]));
        Assert.Contains(bound, error.Message, StringComparison.Ordinal);
        Assert.Contains("http://etcd:2379", error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:AdvertisedUrls", error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:AllowLoopback", error.Message, StringComparison.Ordinal);

        _options.AllowLoopback = true;
        Assert.Single(await ResolveAsync([bound]));
    }

    [Theory]
    [InlineData("tcp://0.0.0.0:18103")]
    [InlineData("net.tcp://10.0.0.7:808")]
    [InlineData("amqp://10.0.0.7:5672")]
    [InlineData("ws://10.0.0.7:5001")]
    public async Task What_another_server_than_Kestrel_listens_for_is_registered_only_if_it_is_HTTP(string bound)
    {
        Assert.Equal([new AdvertisedEndpoint("http", "http", "10.0.0.7", 5000)], await ResolveAsync([bound, "HTTP://0.0.0.0:5000"]));
        Assert.True(_log.Has(LogLevel.Warning, $"An endpoint is not registered: the scheme of '{bound}' is neither http nor https."));

        Assert.Empty(await ResolveAsync([bound]));
    }

    [Theory]
    [InlineData("198.51.100.1", "192.168.1.7")]
    [InlineData("[2001:db8::1]", "fd00::7")]
    public async Task Where_etcd_is_reached_by_loopback_the_default_route_decides(string elsewhere, string host)
    {
        _machine.Routes[elsewhere] = [host];

        Assert.Equal(host, Assert.Single(await ResolveAsync(["http://*:5000"], "http://localhost:2379")).Host);
        Assert.Equal("10.0.0.7", Assert.Single(await ResolveAsync(["http://*:5000"])).Host);
        Assert.Empty(_log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData("http://*:5000")]
    [InlineData("http://localhost:5000")]
    public async Task Loopback_is_advertised_only_without_anything_else_and_with_a_warning(string bound)
    {
        var lonely = new FakeLocalAddresses("127.0.0.1", "::1", "fe80::1") { Routes = { ["localhost"] = ["127.0.0.1"] } };
        var resolver = new EndpointResolver(lonely, [new Uri("http://localhost:2379")], [], Names(), Unknown, _log);

        Assert.Equal("127.0.0.1", Assert.Single(await resolver.ResolveAsync(_options, [bound], default)).Host);
        Assert.Contains("Etcd:Registration:PreferredNetworks or AdvertisedHost", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
        Assert.Equal(bound.Contains('*', StringComparison.Ordinal), resolver.IsProvisional);

        _options.AllowLoopback = true;
        await resolver.ResolveAsync(_options, [bound], default);
        Assert.Single(_log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task Loopback_that_is_advertised_in_development_is_no_warning()
    {
        var lonely = new FakeLocalAddresses("127.0.0.1") { Routes = { ["localhost"] = ["127.0.0.1"] } };
        var resolver = new EndpointResolver(lonely, [new Uri("http://localhost:2379")], [], Names(), Unknown, _log, isDevelopment: true);

        await resolver.ResolveAsync(_options, ["http://localhost:5000"], default);

        Assert.Empty(_log.At(LogLevel.Warning));
        Assert.Contains("advertised by 127.0.0.1:5000", Assert.Single(_log.At(LogLevel.Information)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Loopback_can_be_forbidden_while_etcd_is_local()
    {
        _options.AllowLoopback = false;

        Assert.Equal("10.0.0.7", Assert.Single(await ResolveAsync(["http://[::]:5000"], "http://localhost:2379")).Host);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(["http://localhost:5000"], "http://localhost:2379"));
    }

    [Theory]
    [InlineData("192.168.0.0/16", "192.168.1.7")]
    [InlineData("172.16.0.0/12,192.168.0.0/16", "192.168.1.7")]
    [InlineData("fd00::/8,192.168.0.0/16", "fd00::7")]
    [InlineData("172.16.0.0/12", "10.0.0.7")]
    [InlineData("169.254.0.0/16", "10.0.0.7")]
    public async Task The_first_preferred_network_with_an_address_decides(string networks, string host)
    {
        networks.Split(',').ToList().ForEach(_options.PreferredNetworks.Add);

        Assert.Equal(host, Assert.Single(await ResolveAsync(["http://[::]:5000"])).Host);
    }

    [Fact]
    public async Task Preferred_networks_without_an_address_of_the_machine_are_warned_of()
    {
        _options.PreferredNetworks.Add("172.20.0.0/16");

        Assert.Equal("10.0.0.7", Assert.Single(await ResolveAsync(["http://[::]:5000"])).Host);
        var warning = Assert.Single(_log.At(LogLevel.Warning));
        Assert.StartsWith(
            "Etcd:Registration:PreferredNetworks is '172.20.0.0/16', in which this machine has no address; 10.0.0.7 is advertised.", warning, StringComparison.Ordinal);

        _options.PreferredNetworks.Add("10.0.0.0/8");
        await ResolveAsync(["http://[::]:5000"]);
        Assert.Single(_log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData("http://169.254.3.4:5000")]
    [InlineData("http://[fe80::7]:5000")]
    public async Task A_link_local_address_is_refused(string bound)
    {
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync([bound]));
        Assert.Contains(bound, error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:AdvertisedHost", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_without_a_usable_address_is_told_what_to_set()
    {
        var resolver = new EndpointResolver(
            new FakeLocalAddresses("127.0.0.1", "fe80::1"), [new Uri("http://etcd:2379")], [], Names(), Unknown, _log);

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => resolver.ResolveAsync(_options, ["http://*:5000"], default));
        Assert.Contains("Etcd:Registration:AdvertisedHost", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://[::]:5000")]
    [InlineData("http://127.0.0.1:5000")]
    [InlineData("http://10.0.0.7:5000")]
    public async Task A_set_host_and_port_win_over_every_bound_address(string bound)
    {
        _options.AdvertisedHost = "shop.example";
        Assert.Equal([new AdvertisedEndpoint("http", "http", "shop.example", 5000)], await ResolveAsync([bound]));

        _options.AdvertisedPort = 80;
        Assert.Equal([new AdvertisedEndpoint("http", "http", "shop.example", 80)], await ResolveAsync([bound]));

        _options.AdvertisedHost = "[fd00::9]";
        Assert.Equal("fd00::9", Assert.Single(await ResolveAsync([bound])).Host);

        _options.AdvertisedUrls.Add("https://edge.example:8443");
        Assert.Equal([new AdvertisedEndpoint("https", "https", "edge.example", 8443) { IsShared = true }], await ResolveAsync([bound]));
    }

    [Theory]
    [InlineData("AdvertisedUrls:0", "http://127.0.0.1:80")]
    [InlineData("AdvertisedHost", "localhost")]
    [InlineData("AdvertisedHost", "shop.Localhost")]
    [InlineData("AdvertisedHost", "localhost.")]
    [InlineData("AdvertisedUrls:0", "http://shop.localhost.:80")]
    [InlineData("Endpoints:http:AdvertisedUrl", "http://[::1]:80")]
    [InlineData("AdvertisedUrls:0", "http://169.254.3.4:80")]
    [InlineData("AdvertisedHost", "fe80::7")]
    public async Task A_set_host_that_others_cannot_dial_is_refused_by_name(string setting, string value)
    {
        new ConfigurationBuilder().AddInMemoryCollection([new($"{setting}", value)]).Build().Bind(_options);

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(["http://[::]:80"]));
        Assert.Contains($"Etcd:Registration:{setting} is '{value}'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_port_cannot_stand_for_two_endpoints()
    {
        _options.AdvertisedPort = 80;

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(["http://[::]:5000", "https://[::]:5001"]));
        Assert.Contains("Etcd:Registration:AdvertisedPort is '80'", error.Message, StringComparison.Ordinal);

        _options.Endpoints["https"] = new RegisteredEndpointOptions { AdvertisedUrl = "https://shop.example:443" };
        Assert.Equal(2, (await ResolveAsync(["http://[::]:5000", "https://[::]:5001"])).Count);
    }

    [Fact]
    public async Task Sockets_are_skipped_with_a_line_in_the_log()
    {
        Assert.Single(await ResolveAsync(["http://unix:/run/shop.sock", "http://[::]:5000"]));
        Assert.True(_log.Has(LogLevel.Information, "unix:/run/shop.sock", "not registered"));
        Assert.Empty(await ResolveAsync(["http://unix:/run/shop.sock"]));
    }

    [Fact]
    public async Task An_endpoint_that_cannot_be_dialled_does_not_take_the_others_with_it()
    {
        Assert.Equal("10.0.0.7", Assert.Single(await ResolveAsync(["http://169.254.3.4:5001", "http://10.0.0.7:5000", "http://10.0.0.7:0", "nonsense"])).Host);
        Assert.True(_log.Has(LogLevel.Warning, "http://169.254.3.4:5001"));
        Assert.True(_log.Has(LogLevel.Warning, "nonsense"));
        Assert.True(_log.Has(LogLevel.Warning, "http://10.0.0.7:0", "no port"));
    }

    [Fact]
    public async Task Endpoints_have_names_and_can_be_switched_off_or_advertised_one_by_one()
    {
        _options.Endpoints["admin"] = new RegisteredEndpointOptions { Enabled = false };
        _options.Endpoints["web"] = new RegisteredEndpointOptions { AdvertisedUrl = "https://shop.example" };
        var names = Names(("Grpc", "http://*:5000"), ("Admin", "http://*:5001"), ("Web", "https://*:5002"));

        Assert.Equal(
            [new("Grpc", "http", "10.0.0.7", 5000), new("Web", "https", "shop.example", 443) { IsShared = true }],
            await ResolveAsync(["http://[::]:5000", "http://[::]:5001", "https://[::]:5002"], names: names));
    }

    [Fact]
    public async Task Two_endpoints_behind_one_url_are_both_there_for_the_services_that_name_them()
    {
        _options.Endpoints["Grpc"] = new RegisteredEndpointOptions { AdvertisedUrl = "https://shop.example" };
        _options.Endpoints["Web"] = new RegisteredEndpointOptions { AdvertisedUrl = "https://shop.example:443" };
        var names = Names(("Grpc", "http://*:5000"), ("Web", "http://*:5001"));

        Assert.Equal(
            [new("Grpc", "https", "shop.example", 443) { IsShared = true }, new("Web", "https", "shop.example", 443) { IsShared = true }],
            await ResolveAsync(["http://[::]:5000", "http://[::]:5001"], names: names));
    }

    [Fact]
    public async Task Metrics_are_private_beside_what_cannot_be_advertised_and_the_service_is_not_registered_by_them()
    {
        var names = Names(("Web", "http://localhost:5000"), ("Metrics", "http://*:9090"));

        Assert.Empty(await ResolveAsync(["http://unix:/run/shop.sock", "http://[::]:9090"], names: names));
        Assert.Empty(await ResolveAsync(["http://[::]:0", "http://unix:/run/shop.sock", "http://[::]:9090"], names: names));
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(["http://localhost:5000", "http://[::]:9090"], names: names));
        Assert.StartsWith("'http://localhost:5000' can be reached from this machine only", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("'Metrics' (http://[::]:9090) is taken for one that is not for clients.", error.Message, StringComparison.Ordinal);
        Assert.Equal("Web", Assert.Single(await ResolveAsync(["http://localhost:5000", "http://[::]:9090"], "http://localhost:2379", names)).Name);

        _options.Endpoints["Web"] = new RegisteredEndpointOptions { Enabled = false };
        Assert.Empty(await ResolveAsync(["http://[::]:5000", "http://[::]:9090"], names: Names(("Web", "http://*:5000"), ("Metrics", "http://*:9090"))));
    }

    [Theory]
    [InlineData("http://etcd:2379", "", "10.0.0.7")]
    [InlineData("http://etcd6:2379", "", "fd00::7")]
    [InlineData("http://etcd:2379", "172.16.0.0/12,192.168.0.0/16,10.0.0.0/8", "192.168.1.7")]
    [InlineData("http://localhost:2379", "", "10.0.0.7")]
    [InlineData("http://unknown:2379", "", "fd00::7")]
    public async Task Of_the_addresses_of_one_port_the_one_is_registered_that_would_be_if_it_were_bound_to_all(string etcd, string preferred, string host)
    {
        _machine.Routes["198.51.100.1"] = ["10.0.0.7"];
        foreach (var network in preferred.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            _options.PreferredNetworks.Add(network);
        }

        var all = await ResolveAsync(["http://[fd00::7]:5000", "http://192.168.1.7:5000", "http://10.0.0.7:5000", "https://10.0.0.7:5001"], etcd);

        Assert.Equal([host, "10.0.0.7"], all.Where(static e => !e.IsAlternative).Select(static e => e.Host));
    }

    [Fact]
    public async Task Of_the_addresses_of_one_port_those_are_registered_that_the_settings_name()
    {
        _options.Endpoints["b"] = new RegisteredEndpointOptions();
        var names = Names(("A", "http://10.0.0.7:5000"), ("B", "http://192.168.1.7:5000"), ("C", "http://[fd00::7]:5000"));

        var all = await ResolveAsync(["http://10.0.0.7:5000", "http://192.168.1.7:5000", "http://[fd00::7]:5000"], names: names);

        Assert.Equal("B", Assert.Single(EndpointSelector.Select(_options, new RegisteredServiceOptions(), all)).Name);
        Assert.Equal("C", Assert.Single(EndpointSelector.Select(_options, new RegisteredServiceOptions { Endpoints = { "c" } }, all)).Name);
    }

    [Fact]
    public async Task An_endpoint_on_loopback_that_shares_its_name_is_not_to_be_switched_off_by_it()
    {
        Assert.Single(await ResolveAsync(["http://[::]:5000", "http://localhost:5001"]));

        Assert.True(_log.Has(LogLevel.Information, "'http' (http://localhost:5001)", "give it a name of its own"));
    }

    [Fact]
    public async Task An_internal_endpoint_is_one_for_the_services_that_call()
        => Assert.Equal(
            ["Internal", "Public"],
            (await ResolveAsync(["http://[::]:5001", "https://[::]:5000"], names: Names(("Internal", "http://*:5001"), ("Public", "https://*:5000"))))
                .Where(static e => !e.IsPrivate).Select(static e => e.Name));

    [Fact]
    public async Task An_only_endpoint_is_registered_whatever_its_name()
    {
        Assert.Single(await ResolveAsync(["http://[::]:9090"], names: Names(("Metrics", "http://*:9090"))));

        // What does not listen is no other endpoint.
        Assert.Single(await ResolveAsync(["http://[::]:9090", "http://[::]:0", "nonsense"], names: Names(("Metrics", "http://*:9090"))));
    }

    [Theory]
    [InlineData("AdvertisedHost", "10.0.0.9")]
    [InlineData("AdvertisedPort", "8080")]
    public async Task What_is_set_for_all_is_not_for_endpoints_on_loopback_beside_others(string setting, string value)
    {
        new ConfigurationBuilder().AddInMemoryCollection([new(setting, value)]).Build().Bind(_options);
        var names = Names(("Tools", "http://localhost:5001"), ("Web", "http://*:5000"), ("Metrics", "http://*:5002"));
        string[] bound = ["http://localhost:5001", "http://[::]:5000", "http://[::]:5002"];

        var only = Assert.Single(await ResolveAsync(bound, names: names));
        Assert.Equal(("Web", _options.AdvertisedHost ?? "10.0.0.7", _options.AdvertisedPort ?? 5000), (only.Name, only.Host, only.Port));
        Assert.True(_log.Has(LogLevel.Information, "'Tools' (http://localhost:5001)", "Etcd:Registration:Endpoints:Tools:Enabled"));

        // The settings win, and a port cannot stand for both.
        _options.Services["tools"] = new RegisteredServiceOptions { Endpoints = { "tools" } };
        if (_options.AdvertisedPort is null)
        {
            var both = await ResolveAsync(bound, names: names);
            Assert.Equal([("Tools", "10.0.0.9", true), ("Web", "10.0.0.9", false)], both.Select(static e => (e.Name, e.Host, e.IsPrivate)));
        }
        else
        {
            _options.AllowLoopback = true;
            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(bound, names: names));
            Assert.Contains("2 endpoints are bound (http://localhost:5001, http://[::]:5000)", error.Message, StringComparison.Ordinal);
        }
    }

    public void Dispose() => _log.Dispose();

    private static EndpointNames Names(params (string Name, string Url)[] endpoints) => new(
        new ConfigurationBuilder()
            .AddInMemoryCollection(endpoints.Select(e => new KeyValuePair<string, string?>($"Kestrel:Endpoints:{e.Name}:Url", e.Url)))
            .Build(),
        bound: null);

    private Task<IReadOnlyList<AdvertisedEndpoint>> ResolveAsync(
        string[] bound, string etcd = "http://etcd:2379", EndpointNames? names = null)
        => new EndpointResolver(_machine, [new Uri(etcd)], [], names ?? Names(), Unknown, _log).ResolveAsync(_options, bound, default);
}
