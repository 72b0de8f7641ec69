using System.Diagnostics;
using System.Globalization;
using Discovery.Benchmarks.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Changes;

/// <summary>From a put to the snapshot in an application that watches a thousand services, any of which changes, a hundred times a second.</summary>
internal sealed class ManyServices(string etcd)
{
    private const int Services = 1_000;
    private const int PutsPerSecond = 100;
    private const double MostMilliseconds = 20;

    private readonly Sightings _snapshots = new();

    public async Task RunAsync(Report report, int puts)
    {
        using var writer = new RawEtcd(etcd);
        var names = Enumerable.Range(0, Services).Select(static i => string.Create(CultureInfo.InvariantCulture, $"many-{i:0000}")).ToArray();
        await writer.PutAllAsync(names.Select(static n => (Records.KeyOf(n, Records.AddressOf(0)), Records.ValueOf(n, Records.AddressOf(0)))));
        await using var raw = await RawWatch.StartAsync(etcd, Records.Root + "many-");
        var services = BenchServices.Create(("Etcd:Endpoints", etcd));
        services.AddEtcdDiscovery();
        await using var provider = services.BuildServiceProvider();
        var directory = provider.GetRequiredService<IServiceDirectory>();
        await Task.WhenAll(names.Select(n => directory.WaitForReadyAsync(n).AsTask()));
        using var stop = new CancellationTokenSource();
        var observers = Task.WhenAll(names.Select(n => ObserveAsync(directory, n, stop.Token)));
        await Eventually.IsTrue(() => directory.Services.All(static s => s.IsConnected), TimeSpan.FromSeconds(60));

        var (ours, ofRaw) = (new List<double>(), new List<double>());
        const int WarmUps = 100;
        for (var i = 1; i <= puts + WarmUps; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1) / PutsPerSecond);
            var (name, address) = (names[Random.Shared.Next(names.Length)], Records.AddressOf(i));
            var since = Stopwatch.GetTimestamp();
            await writer.PutAsync(Records.KeyOf(name, address), Records.ValueOf(name, address));
            var (ofOurs, rawTime) = (await _snapshots.WaitAsync(address, since), await raw.Sightings.WaitAsync("put " + Records.KeyOf(name, address), since));
            if (i > WarmUps)
            {
                ours.Add(ofOurs);
                ofRaw.Add(rawTime);
            }
        }

        await stop.CancelAsync();
        await observers;
        report.AddRatioAtMost("changes", "1,000 services, put to snapshot", "ms", ours.Median(), ofRaw.Median(), 1.2);
        report.AddRatioAtMost("changes", "  p99 beside the bare watch", "ms", ours.Percentile(99), ofRaw.Percentile(99), null);
        report.AddValue("changes", "  p99", "ms", ours.Percentile(99), MostMilliseconds);
    }

    private async Task ObserveAsync(IServiceDirectory directory, string service, CancellationToken stop)
    {
        try
        {
            await foreach (var snapshot in directory.SubscribeAsync(service, stop))
            {
                foreach (var instance in snapshot.Instances)
                {
                    _snapshots.Saw(instance.Address);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The puts are over.
        }
    }
}
