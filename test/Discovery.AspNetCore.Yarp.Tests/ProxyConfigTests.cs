using System.Net;
using System.Text;
using Discovery.AspNetCore.Yarp.ProxyConfig;
using Discovery.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>Routes and clusters that stand in etcd, as seen by a client of the proxy.</summary>
public sealed class ProxyConfigTests : ProxyTestBase
{
    private const string Route = """{ "ClusterId": "greeter", "Match": { "Path": "/greeter/{**rest}" } }""";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private const string Cluster = """{ "Destinations": { "all": { "Address": "etcd://Greeter" } } }""";

    [Fact]
    public async Task What_stands_in_etcd_is_there_for_the_first_request()
    {
        var server = await StartServerAsync();
        await PutAsync(("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));

        var proxy = await StartAsync();
        using var client = ClientOf(proxy);

        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client, "/greeter/x"));
    }

    [Fact]
    public async Task A_route_that_is_added_is_there_without_a_restart_and_gone_with_its_key()
    {
        var server = await StartServerAsync();
        var proxy = await StartAsync();
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/greeter/x")).Status);

        await PutAsync(("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));
        await Eventually.IsTrue(async () => await GetAsync(client, "/greeter/x") == (HttpStatusCode.OK, Port(server)));

        await DeleteAsync("yarp/routes/greeter");
        await Eventually.IsTrue(async () => (await GetAsync(client, "/greeter/x")).Status == HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/greeter""", "no JSON object")]
    [InlineData("""[ 1 ]""", "no JSON object")]
    [InlineData("", "no JSON object")]
    [InlineData("""{ "ClusterId": "a", "CLUSTERID": "b", "Match": { "Path": "/x" } }""", "no JSON object")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x" }, "AuthorisationPolicy": "admin" }""", "'AuthorisationPolicy'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x", "Headers": "x" } }""", "'Match:Headers'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x", "Methods": "GET" } }""", "'Match:Methods'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": { "x": "/x" } } }""", "'Match:Path:x'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x" }, "Order": "first" }""", "'Order'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x" }, "Timeout": "soon" }""", "'Timeout'")]
    [InlineData("""{ "ClusterId": "greeter" }""", "requires Hosts or Path")]
    [InlineData("""{}""", "requires Hosts or Path")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/{x" } }""", "/{x")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x" }, "AuthorizationPolicy": "nobody" }""", "'nobody'")]
    [InlineData("""{ "ClusterId": "greeter", "Match": { "Path": "/x" }, "Transforms": [ { "Unheard": "of" } ] }""", "Unheard")]
    public async Task A_bad_document_is_said_and_left_out_and_the_others_are_taken_over(string document, string problem)
    {
        var server = await StartServerAsync();
        await PutAsync(("yarp/routes/bad", document), ("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));

        var proxy = await StartAsync();
        using var client = ClientOf(proxy);

        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client, "/greeter/x"));
        Assert.Equal(["greeter"], RoutesOf(proxy));
        Assert.True(Log.Has(LogLevel.Error, "yarp/routes/bad", problem), string.Join('\n', Log.At(LogLevel.Error)));
    }

    [Theory]
    [InlineData("""{ "Destinations": { "a": { "Address": "" } } }""", "'a'")]
    [InlineData("""{ "LoadBalancingPolicy": "ByMood", "Destinations": {} }""", "ByMood")]
    [InlineData("""{ "HttpClient": { "SslProtocols": [ "Tls99" ] } }""", "SslProtocols")]
    [InlineData("""{ "HttpClient": { "MaxConnectionsPerServer": 0 } }""", "connections")]
    public async Task A_bad_cluster_is_left_out(string document, string problem)
    {
        await PutAsync(("yarp/clusters/bad", document), ("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));

        var proxy = await StartAsync();

        Assert.Equal(["greeter"], ClustersOf(proxy));
        Assert.True(Log.Has(LogLevel.Error, "yarp/clusters/bad", problem), string.Join('\n', Log.At(LogLevel.Error)));
    }

    [Fact]
    public async Task A_document_that_becomes_bad_stays_as_it_was_and_is_said_once()
    {
        var server = await StartServerAsync();
        await PutAsync(("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));
        var proxy = await StartAsync();
        using var client = ClientOf(proxy);

        await PutAsync(("yarp/routes/greeter", "{ no"), ("yarp/routes/other", """{ "ClusterId": "greeter", "Match": { "Path": "/other" } }"""));
        await Eventually.IsTrue(async () => (await GetAsync(client, "/other")).Status == HttpStatusCode.OK);
        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client, "/greeter/x"));

        await PutAsync(("yarp/routes/third", """{ "ClusterId": "greeter", "Match": { "Path": "/third" } }"""));
        await Eventually.IsTrue(async () => (await GetAsync(client, "/third")).Status == HttpStatusCode.OK);
        Assert.Single(Log.At(LogLevel.Error), static l => l.Contains("yarp/routes/greeter", StringComparison.Ordinal));

        await PutAsync(("yarp/routes/greeter", Route.Replace("/greeter/", "/moved/", StringComparison.Ordinal)));
        await Eventually.IsTrue(async () => (await GetAsync(client, "/moved/x")).Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_transaction_is_taken_over_at_once()
    {
        var proxy = await StartAsync();
        List<(string, string)> seen = [];
        var provider = proxy.Services.GetServices<IProxyConfigProvider>().Single();
        await using var client = NewEtcdClient();
        var writing = Task.Run(async () =>
        {
            for (var i = 1; i <= 300; i++)
            {
                await client.ExecuteAsync(new EtcdTransaction
                {
                    Then =
                    [
                        EtcdOperation.Put("yarp/clusters/a", Bytes($$"""{ "Metadata": { "version": "{{i}}" } }""")),
                        EtcdOperation.Put("yarp/routes/a", Bytes($$"""{ "ClusterId": "a", "Match": { "Path": "/a" }, "Metadata": { "version": "{{i}}" } }""")),
                    ],
                });
            }
        });

        while (seen.Count == 0 || seen[^1].Item1 != "300")
        {
            var config = provider.GetConfig();
            if (config.Routes.Count + config.Clusters.Count > 0)
            {
                seen.Add((Assert.Single(config.Routes).Metadata!["version"], Assert.Single(config.Clusters).Metadata!["version"]));
            }

            await Task.Yield();
        }

        await writing;
        Assert.All(seen, static s => Assert.Equal(s.Item1, s.Item2));
        await Eventually.IsTrue(() => proxy.Services.GetRequiredService<IProxyStateLookup>().TryGetRoute("a", out var route)
            && route.Config.Metadata!["version"] == "300");
    }

    [Fact]
    public async Task Without_etcd_the_proxy_starts_empty_and_recovers_and_an_outage_changes_nothing()
    {
        var server = await StartServerAsync();
        await PutAsync(("yarp/routes/greeter", Route), ("yarp/clusters/greeter", Cluster));
        ReadyTimeout = TimeSpan.FromMilliseconds(300);
        Etcd.Pause();
        var proxy = await StartAsync();
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/greeter/x")).Status);
        Assert.True(Log.Has(LogLevel.Warning, "yarp/", "until etcd can be asked"));

        Etcd.Resume();
        await Eventually.IsTrue(async () => await GetAsync(client, "/greeter/x") == (HttpStatusCode.OK, Port(server)));

        Etcd.Pause();
        Etcd.DropConnections();
        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client, "/greeter/x"));
        Etcd.Resume();
        await PutAsync(("yarp/routes/later", """{ "ClusterId": "greeter", "Match": { "Path": "/later" } }"""));
        await Eventually.IsTrue(async () => (await GetAsync(client, "/later")).Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task An_id_of_appsettings_wins_and_stops_nothing_and_is_free_when_it_goes()
    {
        var server = await StartServerAsync();
        await PutAsync(
            ("yarp/routes/MINE", """{ "ClusterId": "greeter", "Match": { "Path": "/etcd" } }"""),
            ("yarp/routes/greeter", Route),
            ("yarp/clusters/greeter", Cluster));
        var settings = new ChangingSettings(("Routes:mine:ClusterId", "greeter"), ("Routes:mine:Match:Path", "/file"));
        var proxy = await StartAsync(builder => builder.LoadFromConfig(settings.Root));
        using var client = ClientOf(proxy);

        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/file")).Status);
        Assert.Equal((HttpStatusCode.OK, Port(server)), await GetAsync(client, "/greeter/x"));
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/etcd")).Status);
        Assert.True(Log.Has(LogLevel.Error, "yarp/routes/MINE", "id is there already"));

        settings.Set();
        await Eventually.IsTrue(async () => (await GetAsync(client, "/etcd")).Status == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/file")).Status);

        settings.Set(("Routes:Greeter:ClusterId", "greeter"), ("Routes:Greeter:Match:Path", "/file"));
        await Eventually.IsTrue(async () => (await GetAsync(client, "/file")).Status == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/greeter/x")).Status);
    }

    [Fact]
    public async Task Another_provider_that_fails_at_a_change_in_etcd_is_said_and_later_changes_are_followed()
    {
        var other = new FailingProvider();
        var time = new ObservedTimeProvider();
        await using var services = ServicesWith(other);
        await using var client = NewEtcdClient();
        using var provider = NewProvider(client, services, time);
        Assert.Empty(provider.GetConfig().Routes);

        other.FailsOnce = true;
        await PutAsync(("yarp/routes/a", Route));
        await AdvanceUntilAsync(time, () => Log.Has(LogLevel.Error, "Following yarp/ failed unexpectedly"));

        await AdvanceUntilAsync(time, () => provider.GetConfig().Routes.Count == 1);
        await PutAsync(("yarp/routes/b", Route));
        await AdvanceUntilAsync(time, () => provider.GetConfig().Routes.Count == 2);
    }

    [Fact]
    public async Task Another_provider_that_fails_at_its_own_change_is_said_and_asked_again()
    {
        var other = new FailingProvider();
        var time = new ObservedTimeProvider();
        other.Set("A");
        await PutAsync(("yarp/routes/a", Route), ("yarp/routes/b", Route));
        await using var services = ServicesWith(other);
        await using var client = NewEtcdClient();
        using var provider = NewProvider(client, services, time);
        Assert.Equal("b", Assert.Single(provider.GetConfig().Routes).RouteId);

        other.FailsOnce = true;
        other.Set("B");
        await AdvanceUntilAsync(time, () => Log.Has(LogLevel.Error, "Following yarp/ failed unexpectedly"));

        await AdvanceUntilAsync(time, () => provider.GetConfig().Routes.Single().RouteId == "a");
    }

    [Fact]
    public async Task Two_prefixes_with_one_id_stop_nothing()
    {
        await StartServerAsync();
        await PutAsync(("one/routes/r", Route), ("one/clusters/greeter", Cluster), ("two/routes/r", Route), ("two/routes/q", Route.Replace("/greeter/", "/q/", StringComparison.Ordinal)));
        var proxy = await StartProxyAsync(builder => builder.Services.AddReverseProxy()
            .AddEtcdProxyConfig("one").AddEtcdProxyConfig("two/").AddEtcdDestinationResolver());

        Assert.Equal(["q", "r"], RoutesOf(proxy));
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/q/x")).Status);
    }

    [Fact]
    public async Task Ids_that_differ_by_case_and_keys_elsewhere_are_said_and_stop_nothing()
    {
        await PutAsync(
            ("yarp/routes/A", Route), ("yarp/routes/a", Route), ("yarp/routes/", Route), ("yarp/route/x", Route), ("yarp/clusters/eu:1/x", Cluster));

        var proxy = await StartAsync();

        Assert.Equal(["A"], RoutesOf(proxy));
        Assert.Equal(["eu:1/x"], ClustersOf(proxy));
        Assert.True(Log.Has(LogLevel.Error, "yarp/routes/a ", "same id"));
        Assert.True(Log.Has(LogLevel.Error, "yarp/routes/ ", "no id"));
        Assert.True(Log.Has(LogLevel.Warning, "yarp/route/x"));
    }

    [Fact]
    public async Task A_filter_that_throws_at_one_document_costs_that_document()
    {
        await PutAsync(("yarp/routes/bad", Route), ("yarp/routes/good", Route), ("yarp/clusters/greeter", Cluster));

        var proxy = await StartAsync(static builder => builder.AddConfigFilter<Picky>());

        Assert.Equal(["good"], RoutesOf(proxy));
        Assert.True(Log.Has(LogLevel.Error, "yarp/routes/bad", "not this one"));
    }

    [Fact]
    public void A_prefix_is_needed()
        => Assert.Throws<ArgumentException>(static () => new ServiceCollection().AddReverseProxy().AddEtcdProxyConfig(" "));

    [Fact]
    public async Task A_stop_does_not_wait_for_etcd()
    {
        ReadyTimeout = TimeSpan.FromMilliseconds(300);
        Etcd.Pause();
        var proxy = await StartAsync(static p => p.Services.Configure<EtcdClientOptions>(static o => o.RequestTimeout = TimeSpan.FromMinutes(10)));

        await proxy.StopAsync().WaitAsync(Limit);
        await proxy.DisposeAsync().AsTask().WaitAsync(Limit);
    }

    private static ReadOnlyMemory<byte> Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static IEnumerable<string> RoutesOf(WebApplication proxy)
        => proxy.Services.GetRequiredService<IProxyStateLookup>().GetRoutes().Select(static r => r.Config.RouteId).Order(StringComparer.Ordinal);

    private static IEnumerable<string> ClustersOf(WebApplication proxy)
        => proxy.Services.GetRequiredService<IProxyStateLookup>().GetClusters().Select(static c => c.ClusterId).Order(StringComparer.Ordinal);

    private EtcdClient NewEtcdClient() => new(new EtcdClientOptions { Endpoints = [Etcd.Endpoint] });

    private static ServiceProvider ServicesWith(IProxyConfigProvider other)
    {
        var services = new ServiceCollection();
        services.AddLogging().AddSingleton(other).AddReverseProxy();
        return services.BuildServiceProvider();
    }

    /// <summary>One whose pauses are on a clock of the test's, which the client's are not.</summary>
    private EtcdProxyConfigProvider NewProvider(EtcdClient client, IServiceProvider services, TimeProvider time) => new(
        client, "yarp/", ReadyTimeout, new DocumentCheck(services.GetRequiredService<IConfigValidator>(), []), services, time, Log);

    private static Task AdvanceUntilAsync(ObservedTimeProvider time, Func<bool> condition) => Eventually.IsTrue(() =>
    {
        time.Advance(TimeSpan.FromSeconds(1));
        return condition();
    });

    private Task<WebApplication> StartAsync(Action<IReverseProxyBuilder>? configure = null) => StartProxyAsync(builder =>
    {
        var proxy = builder.Services.AddReverseProxy().AddEtcdProxyConfig("yarp/").AddEtcdDestinationResolver(o => o.ReadyTimeout = ReadyTimeout);
        configure?.Invoke(proxy);
    });

    private async Task PutAsync(params (string Key, string Value)[] records)
    {
        await using var client = NewEtcdClient();
        foreach (var (key, value) in records)
        {
            await client.PutAsync(key, Bytes(value));
        }
    }

    private async Task DeleteAsync(string key)
    {
        await using var client = NewEtcdClient();
        await client.DeleteAsync(key);
    }

    /// <summary>Has routes that are replaced while the proxy runs, and fails once when it is told to.</summary>
    private sealed class FailingProvider : IProxyConfigProvider, IProxyConfig
    {
        private CancellationTokenSource _changed = new();
        private int _failures;
        private volatile IReadOnlyList<RouteConfig> _routes = [];

        public bool FailsOnce
        {
            set => Volatile.Write(ref _failures, value ? 1 : 0);
        }

        public IReadOnlyList<RouteConfig> Routes => Interlocked.Exchange(ref _failures, 0) == 1 ? throw new InvalidOperationException("not now") : _routes;

        public IReadOnlyList<ClusterConfig> Clusters => [];

        public IChangeToken ChangeToken => new CancellationChangeToken(_changed.Token);

        public IProxyConfig GetConfig() => this;

        public void Set(string route)
        {
            _routes = [new RouteConfig { RouteId = route }];
            Interlocked.Exchange(ref _changed, new CancellationTokenSource()).Cancel();
        }
    }

    private sealed class Picky : IProxyConfigFilter
    {
        public ValueTask<ClusterConfig> ConfigureClusterAsync(ClusterConfig cluster, CancellationToken cancel) => new(cluster);

        public ValueTask<RouteConfig> ConfigureRouteAsync(RouteConfig route, ClusterConfig? cluster, CancellationToken cancel)
            => route.RouteId == "bad" ? throw new InvalidOperationException("not this one") : new(route);
    }

    /// <summary>Settings that are replaced as a whole while the proxy runs.</summary>
    private sealed class ChangingSettings : ConfigurationProvider, IConfigurationSource
    {
        public ChangingSettings(params (string Key, string Value)[] settings)
        {
            Set(settings);
            Root = new ConfigurationBuilder().Add(this).Build();
        }

        public IConfiguration Root { get; }

        public void Set(params (string Key, string Value)[] settings)
        {
            Data = settings.ToDictionary(static s => s.Key, static s => (string?)s.Value, StringComparer.OrdinalIgnoreCase);
            OnReload();
        }

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;
    }
}
