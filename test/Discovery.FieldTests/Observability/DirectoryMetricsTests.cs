using System.Diagnostics.Metrics;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests.Observability;

/// <summary>The metrics of what is known of services, and of etcd, with the values that an operator expects.</summary>
public sealed class DirectoryMetricsTests
{
    private static readonly (string, object) Service = ("discovery.service", Field.Service);

    [Fact]
    public async Task Lists_changes_lag_and_bad_records_are_measured()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        var services = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service));
        using var metrics = new MetricRecorder(services);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        await client.GetStringAsync("x");

        Assert.Equal(1, metrics.Value("discovery.directory.lists", Service, ("discovery.list.cause", "start"), ("discovery.list.answered", true)));
        Assert.Equal(1, metrics.Value("discovery.directory.changes", Service, ("discovery.change.reason", "listed")));
        Assert.InRange(metrics.Value("discovery.directory.snapshot.age", Service), 0, 30);
        await Eventually.IsTrue(() => metrics.Value("discovery.directory.watches", Service, ("discovery.watch.state", "open")) == 1);

        await field.PutAsync($"services/{Field.Service}/garbage", "{");
        await Eventually.IsTrue(() => metrics.Value("discovery.directory.bad_records", Service) == 1);
        await field.StartServerAsync();
        await Eventually.IsTrue(() => metrics.Count("discovery.directory.event.lag", Service) == 1);
        Assert.Equal(1, metrics.Value("discovery.directory.changes", Service, ("discovery.change.reason", "watched")));
        Assert.InRange(metrics.Value("discovery.directory.event.lag", Service), 0, 10);
    }

    [Fact]
    public async Task A_listener_that_fails_costs_neither_a_change_nor_a_call()
    {
        await using var field = await Field.StartAsync();
        var first = await field.StartServerAsync();
        var services = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service));
        var meters = services.GetRequiredService<IMeterFactory>();
        var failures = 0;
        using var failing = new MeterListener();
        failing.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Meter.Name.StartsWith("Discovery.", StringComparison.Ordinal))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        failing.SetMeasurementEventCallback<long>((_, _, _, _) => Fail());
        failing.SetMeasurementEventCallback<double>((_, _, _, _) => Fail());
        failing.Start();
        using var metrics = new MetricRecorder(services, static i => i.Name == "discovery.client.active_calls");
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        Assert.Equal(first.Address, await client.GetStringAsync("x"));

        var second = await field.StartServerAsync();

        await Eventually.IsTrue(async () => await client.GetStringAsync("x") == second.Address);
        await Eventually.IsTrue(() => metrics.Value("discovery.client.active_calls", Service) == 0);
        Assert.True(failures > 0);

        void Fail()
        {
            Interlocked.Increment(ref failures);
            throw new InvalidOperationException("a mistake in a listener");
        }
    }

    [Fact]
    public async Task An_outage_of_etcd_shows_in_operations_streams_and_watches()
    {
        var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var services = Application(etcd.Endpoint, static s => s.AddEtcdDiscovery());
        using var metrics = new MetricRecorder(services);
        var directory = services.GetRequiredService<IServiceDirectory>();
        await directory.WaitForReadyAsync(Field.Service);
        await Eventually.IsTrue(() => directory.GetStatus(Field.Service).IsConnected);
        (string, object) endpoint = ("server.port", new Uri(etcd.Endpoint).Port);

        Assert.True(metrics.Count("etcd.client.operation.duration", ("rpc.method", "Range")) > 0);
        Assert.True(metrics.Count("etcd.client.attempt.duration", ("rpc.method", "Range"), ("server.address", "127.0.0.1"), endpoint) > 0);
        Assert.True(metrics.Value("etcd.client.open_connections", endpoint) is 1 or 2);
        Assert.Equal(0, metrics.Value("discovery.directory.watch.reopens"));
        var reopens = metrics.Value("etcd.client.watch.reopens");

        await etcd.DisposeAsync();
        await Eventually.IsTrue(() => metrics.Value("discovery.directory.watches", Service, ("discovery.watch.state", "not_open")) == 1);
        await Assert.ThrowsAnyAsync<Exception>(() => services.GetRequiredService<EtcdClient>().GetAsync("x"));
        await Eventually.IsTrue(() => metrics.Value("etcd.client.open_connections", endpoint) == 0);
        await Eventually.IsTrue(() => metrics.Value("etcd.client.watch.reopens", endpoint) > reopens);
        Assert.True(metrics.Count("etcd.client.attempt.duration", ("rpc.method", "Range"), ("error.type", "not_connected")) > 0);
        Assert.True(metrics.Count("etcd.client.operation.duration", ("rpc.method", "Range"), ("error.type", "DEADLINE_EXCEEDED"))
            + metrics.Count("etcd.client.operation.duration", ("rpc.method", "Range"), ("error.type", "UNAVAILABLE")) > 0);

        await using var restarted = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { Port = new Uri(etcd.Endpoint).Port });
        await Eventually.IsTrue(() => metrics.Value("discovery.directory.watches", Service, ("discovery.watch.state", "open")) == 1);
        Assert.Equal(1, metrics.Value("discovery.directory.watch.reopens", Service));
    }

    private static ServiceProvider Application(string endpoint, Action<IServiceCollection> add)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddEtcdClient(o => (o.Endpoints, o.RequestTimeout, o.AttemptTimeout) = ([endpoint], TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1)));
        add(services);
        return services.BuildServiceProvider();
    }
}
