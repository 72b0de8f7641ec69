using System.Diagnostics;
using Discovery.Benchmarks.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ServiceDiscovery;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.Benchmarks.Changes;

/// <summary>From a put to the snapshot, to Microsoft.Extensions.ServiceDiscovery and to YARP, all in one application.</summary>
internal sealed class PutLatency(string etcd)
{
    private const string Service = "put-latency";

    private readonly Sightings _snapshots = new();
    private readonly Sightings _serviceDiscovery = new();
    private readonly Sightings _yarp = new();

    public async Task RunAsync(Report report, int rounds)
    {
        using var writer = new RawEtcd(etcd);
        await PutAsync(writer, Records.AddressOf(0));
        await using var raw = await RawWatch.StartAsync(etcd, Records.PrefixOf(Service));
        await using var app = BuildApplication();
        app.MapReverseProxy();
        await app.StartAsync();
        using var stop = new CancellationTokenSource();
        var observers = Task.WhenAll(
            Task.Run(() => ObserveSnapshotsAsync(app.Services, stop.Token)), Task.Run(() => ObserveServiceDiscoveryAsync(app.Services, stop.Token)));
        await Task.WhenAll(_snapshots.WaitAsync(Records.AddressOf(0), 0), _serviceDiscovery.WaitAsync(Records.AddressOf(0), 0));

        var (ofRaw, ofSnapshot, ofServiceDiscovery, ofYarp) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        const int WarmUps = 5;
        for (var round = 1; round <= rounds + WarmUps; round++)
        {
            await ChangesBenchmark.PauseAsync();
            var address = Records.AddressOf(round);
            var since = Stopwatch.GetTimestamp();
            await PutAsync(writer, address);
            double[] times =
            [
                await raw.Sightings.WaitAsync("put " + Records.KeyOf(Service, address), since),
                await _snapshots.WaitAsync(address, since),
                await _serviceDiscovery.WaitAsync(address, since),
                await _yarp.WaitAsync(address, since),
            ];
            if (round > WarmUps)
            {
                ofRaw.Add(times[0]);
                ofSnapshot.Add(times[1]);
                ofServiceDiscovery.Add(times[2]);
                ofYarp.Add(times[3]);
            }
        }

        await stop.CancelAsync();
        await observers;
        ChangesBenchmark.Add(report, "put to snapshot", ofSnapshot, ofRaw);
        ChangesBenchmark.Add(report, "put to ServiceDiscovery's endpoints", ofServiceDiscovery, ofRaw);
        ChangesBenchmark.Add(report, "put to YARP's destinations", ofYarp, ofRaw);
    }

    private static Task PutAsync(RawEtcd writer, string address) => writer.PutAsync(Records.KeyOf(Service, address), Records.ValueOf(Service, address));

    private WebApplication BuildApplication()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = etcd;
        builder.Services.AddEtcdDiscovery();
        builder.Services.AddServiceDiscoveryCore();
        builder.Services.AddEtcdServiceEndpointProvider();
        builder.Services.AddSingleton<IConfigChangeListener>(s => new ProxyObserver(s, _yarp));
        builder.Services.AddReverseProxy()
            .LoadFromMemory(
                [new RouteConfig { RouteId = "all", ClusterId = Service, Match = new RouteMatch { Path = "{**rest}" } }],
                [
                    new ClusterConfig
                    {
                        ClusterId = Service,
                        Destinations = new Dictionary<string, DestinationConfig> { ["all"] = new() { Address = $"etcd://{Service}" } },
                    },
                ])
            .AddEtcdDestinationResolver();
        return builder.Build();
    }

    private async Task ObserveSnapshotsAsync(IServiceProvider services, CancellationToken stop)
    {
        try
        {
            await foreach (var snapshot in services.GetRequiredService<IServiceDirectory>().SubscribeAsync(Service, stop))
            {
                SawAll(_snapshots, snapshot.Instances.Select(static i => i.Address));
            }
        }
        catch (OperationCanceledException)
        {
            // The rounds are over.
        }
    }

    /// <summary>As ServiceDiscovery's own handler does: the endpoints are asked for, and again when the token says that they changed.</summary>
    private async Task ObserveServiceDiscoveryAsync(IServiceProvider services, CancellationToken stop)
    {
        var resolver = services.GetRequiredService<ServiceEndpointResolver>();
        while (!stop.IsCancellationRequested)
        {
            var source = await resolver.GetEndpointsAsync($"http://{Service}", CancellationToken.None);
            SawAll(_serviceDiscovery, source.Endpoints.Select(static e => e.Features.Get<IServiceInstanceFeature>()!.Instance.Address));
            var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using var registration = source.ChangeToken.RegisterChangeCallback(static t => ((TaskCompletionSource)t!).TrySetResult(), changed);
            await Task.WhenAny(changed.Task, Task.Delay(Timeout.Infinite, stop));
        }
    }

    private static void SawAll(Sightings sightings, IEnumerable<string> addresses)
    {
        foreach (var address in addresses)
        {
            sightings.Saw(address);
        }
    }

    /// <summary>Is told whenever YARP goes by new destinations.</summary>
    private sealed class ProxyObserver(IServiceProvider services, Sightings sightings) : IConfigChangeListener
    {
        public void ConfigurationLoadingFailed(IProxyConfigProvider configProvider, Exception exception)
        {
        }

        public void ConfigurationLoaded(IReadOnlyList<IProxyConfig> proxyConfigs)
        {
        }

        public void ConfigurationApplyingFailed(IReadOnlyList<IProxyConfig> proxyConfigs, Exception exception)
        {
        }

        public void ConfigurationApplied(IReadOnlyList<IProxyConfig> proxyConfigs)
        {
            if (services.GetRequiredService<IProxyStateLookup>().TryGetCluster(Service, out var cluster))
            {
                SawAll(sightings, cluster.DestinationsState.AllDestinations.Select(static d => new Uri(d.Model.Config.Address).Authority));
            }
        }
    }
}
