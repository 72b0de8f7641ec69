using System.Collections.Concurrent;
using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>Replicas behind a proxy, which all advertise its URL.</summary>
public sealed class ReplicaTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task Each_has_its_own_key_clients_see_one_instance_and_a_rolling_restart_leaves_no_gap()
    {
        await using var client = node.Connect();
        await using var directoryHost = Directory();
        var directory = directoryHost.GetRequiredService<IServiceDirectory>();
        var first = await StartAsync();
        await using var second = await StartAsync();
        Assert.Equal(2, (await client.RecordsAsync(_service)).Count);
        await directory.WaitForReadyAsync(_service);
        await Eventually.IsTrue(() => directory.GetSnapshot(_service)?.Instances.Count == 1);
        using var stop = new CancellationTokenSource();
        var gaps = CountGapsAsync(directory, stop.Token);

        await first.DisposeAsync();
        first = await StartAsync();
        await second.StopAsync();

        Assert.Equal(ServiceRegistrationState.Registered, first.State);
        Assert.Single(await client.RecordsAsync(_service));
        Assert.DoesNotContain(first.Log.Lines.Concat(second.Log.Lines), static line => line.StartsWith("Error", StringComparison.Ordinal));
        await Eventually.IsTrue(() => directory.GetSnapshot(_service)!.Instances.ToList() is [var only] && only.InstanceId == first.Registration.Status.InstanceId);
        await stop.CancelAsync();
        Assert.Equal(0, await gaps);
        await first.DisposeAsync();
    }

    [Fact]
    public async Task Where_the_layout_has_the_address_in_the_key_they_share_it_and_it_outlives_each_of_them()
    {
        await using var client = node.Connect();
        var key = $"openim:///{_service}/shop.example:443";
        var replicas = new List<TestApp>();
        for (var i = 0; i < 3; i++)
        {
            replicas.Add(await StartSharingAsync());
        }

        var all = replicas.ToList();
        while (replicas.Count > 1)
        {
            await Eventually.IsTrue(() => replicas.TrueForAll(r => r.State == ServiceRegistrationState.Registered));
            var leaseId = (await client.GetAsync(key))!.LeaseId;
            var holder = replicas.Single(r => r.Registration.Status.LeaseId == leaseId);
            replicas.Remove(holder);

            await holder.StopAsync();

            await Eventually.IsTrue(async () => await client.GetAsync(key) is { } again && replicas.Exists(r => r.Registration.Status.LeaseId == again.LeaseId));
        }

        await replicas[0].StopAsync();
        Assert.Null(await client.GetAsync(key));
        Assert.DoesNotContain(all.SelectMany(r => r.Log.Lines), static line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Warning", StringComparison.Ordinal));
        Assert.All(all, static r => Assert.Null(r.Registration.Status.LastError));
        foreach (var app in all)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task While_replicas_that_share_a_key_are_restarted_one_after_another_it_is_never_absent()
    {
        await using var client = node.Connect();
        var key = $"openim:///{_service}/shop.example:443";
        var replicas = new List<TestApp>();
        for (var i = 0; i < 3; i++)
        {
            replicas.Add(await StartSharingAsync());
        }

        await using var watch = client.Watch(key, (await client.GetAsync(key))!.ModRevision + 1);
        using var stop = new CancellationTokenSource();
        var gaps = MeasureGapsAsync(watch, stop.Token);

        // Always the one that has the key, which is the worst.
        for (var i = 0; i < 6; i++)
        {
            await Eventually.IsTrue(() => replicas.TrueForAll(static r => r.State == ServiceRegistrationState.Registered));
            var leaseId = (await client.GetAsync(key))!.LeaseId;
            var holder = replicas.Single(r => r.Registration.Status.LeaseId == leaseId);
            replicas.Remove(holder);
            await holder.StopAsync();
            var taken = (await client.GetAsync(key))?.LeaseId;
            Assert.Contains(replicas, r => r.Registration.Status.LeaseId == taken);
            await holder.DisposeAsync();
            replicas.Add(await StartSharingAsync());
        }

        await stop.CancelAsync();
        var absent = await gaps;
        var line = $"gap of a shared key: {absent.Sum(static g => g.TotalMilliseconds):0.0} ms, absent {absent.Count} times, in 6 restarts of who holds it";
        output.WriteLine(line);
        Console.WriteLine(line);
        Assert.Empty(absent);
        foreach (var replica in replicas)
        {
            await replica.DisposeAsync();
        }

        Assert.Null(await client.GetAsync(key));
    }

    [Fact]
    public async Task A_key_that_is_handed_over_to_one_that_advertises_something_else_by_now_is_gone()
    {
        await using var client = node.Connect();
        var (key, other) = ($"openim:///{_service}/shop.example:443", $"openim:///{_service}/elsewhere.example:443");
        await using var moved = await StartSharingAsync();
        await using var holder = await StartSharingAsync();
        await Eventually.IsTrue(async () => (await client.GetAsync(key))?.LeaseId == holder.Registration.Status.LeaseId);
        await moved.ReachAsync(ServiceRegistrationState.Registered);
        moved.Reload("AdvertisedUrls=http://elsewhere.example:443");
        await Eventually.IsTrue(async () => await client.GetAsync(other) is not null && moved.Keys.SequenceEqual([other]));
        await Eventually.IsTrue(() => moved.State == ServiceRegistrationState.Registered);

        await holder.StopAsync();

        await Eventually.IsTrue(async () => await client.GetAsync(key) is null);
        Assert.NotNull(await client.GetAsync(other));
        Assert.Equal(ServiceRegistrationState.Registered, moved.State);
    }

    [Fact]
    public async Task An_unhealthy_replica_hands_the_key_over_and_takes_it_again_when_it_is_healthy()
    {
        await using var client = node.Connect();
        var key = $"openim:///{_service}/shop.example:443";
        await using var first = await StartSharingAsync();
        await using var second = await StartSharingAsync();
        await using var watch = client.Watch(key, (await client.GetAsync(key))!.ModRevision + 1);
        var log = WatchLog.Follow(watch);

        await second.Registration.WithdrawAsync();
        Assert.Equal(first.Registration.Status.LeaseId, (await client.GetAsync(key))!.LeaseId);
        await second.Registration.RestoreAsync();
        Assert.Equal(second.Registration.Status.LeaseId, (await client.GetAsync(key))!.LeaseId);
        await second.StopAsync();
        await first.StopAsync();

        await Eventually.IsTrue(() => log.Events is [.., { Deleted: true }]);
        Assert.Single(log.Events, static e => e.Deleted);
    }

    [Fact]
    public async Task When_who_holds_a_shared_key_crashes_a_replica_puts_it_at_once()
    {
        const int Crashes = 4;
        await using var client = node.Connect();
        var key = $"openim:///{_service}/shop.example:443";
        await using var replica = await StartSharingAsync();
        var record = (await client.GetAsync(key))!;
        await using var watch = client.Watch(key, record.ModRevision + 1);
        using var stop = new CancellationTokenSource();
        var gaps = new ConcurrentQueue<TimeSpan>();
        var measuring = MeasureGapsAsync(watch, gaps.Enqueue, stop.Token);

        for (var i = 1; i <= Crashes; i++)
        {
            // A replica that puts its key and is never heard of again.
            var lease = await client.GrantLeaseAsync(TimeSpan.FromSeconds(2));
            await client.PutAsync(key, record.Value, lease.Id);
            await Eventually.IsTrue(() => replica.Log.Lines.Count(static l => l.Contains("is held by a replica", StringComparison.Ordinal)) == i);

            await Eventually.IsTrue(async () => (await client.GetAsync(key))?.LeaseId == replica.Registration.Status.LeaseId);
            await replica.ReachAsync(ServiceRegistrationState.Registered);
        }

        // The last put is seen before the watch ends.
        await Eventually.IsTrue(() => gaps.Count == Crashes);
        await stop.CancelAsync();
        await measuring;
        var absent = gaps.ToList();
        var line = $"gap of a shared key whose holder crashed: {string.Join(", ", absent.Select(static g => $"{g.TotalMilliseconds:0.0}"))} ms";
        output.WriteLine(line);
        Console.WriteLine(line);
        Assert.Equal(Crashes, absent.Count);

        // A pause before the put, of a retry for example, would show in each.
        Assert.InRange(absent.Min().TotalMilliseconds, 0, 90);
    }

    private static async Task<IReadOnlyList<TimeSpan>> MeasureGapsAsync(EtcdWatch watch, CancellationToken stop)
    {
        var gaps = new List<TimeSpan>();
        await MeasureGapsAsync(watch, gaps.Add, stop);
        return gaps;
    }

    private static async Task MeasureGapsAsync(EtcdWatch watch, Action<TimeSpan> onGap, CancellationToken stop)
    {
        long? absentSince = null;
        try
        {
            await foreach (var update in watch.ReadAllAsync(stop))
            {
                foreach (var change in update.Events)
                {
                    if (absentSince is { } since && !change.Deleted)
                    {
                        onGap(Stopwatch.GetElapsedTime(since));
                    }

                    absentSince = change.Deleted ? absentSince ?? Stopwatch.GetTimestamp() : null;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task<int> CountGapsAsync(IServiceDirectory directory, CancellationToken stop)
    {
        var gaps = 0;
        try
        {
            await foreach (var snapshot in directory.SubscribeAsync(_service, stop))
            {
                gaps += snapshot.Instances.Count == 1 && !snapshot.Instances.Single().IsDraining ? 0 : 1;
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }

        return gaps;
    }

    private Task<TestApp> StartSharingAsync() => TestApp.StartAsync(node.Etcd.Endpoint, _service, "Layout=OpenIm;AdvertisedUrls=http://shop.example:443");

    private Task<TestApp> StartAsync() => TestApp.StartAsync(node.Etcd.Endpoint, _service, "AdvertisedUrls=https://shop.example");

    private ServiceProvider Directory() => new ServiceCollection()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().Build())
        .AddEtcdClient(o => o.Endpoints = [node.Etcd.Endpoint])
        .AddEtcdDiscovery()
        .BuildServiceProvider();
}
