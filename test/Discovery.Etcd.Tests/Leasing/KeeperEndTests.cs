using System.Collections.Concurrent;
using Discovery.EmbeddedEtcd;

namespace Discovery.Etcd.Tests.Leasing;

/// <summary>Keepers that end while something is under way.</summary>
public sealed class KeeperEndTests
{
    [Fact]
    public async Task A_keeper_that_is_stopped_just_as_a_key_was_removed_ends_in_good_order()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] });
        for (var round = 0; round < 200; round++)
        {
            await using var keeper = client.KeepLease(TimeSpan.FromMinutes(1));
            keeper.Put("key", "value"u8.ToArray());
            await keeper.FlushAsync();

            keeper.Remove("key");
            await keeper.FlushAsync();
            await keeper.StopAsync();
        }
    }

    [Fact]
    public async Task Nobody_hears_of_a_flush_that_its_caller_gave_up()
    {
        var unobserved = new ConcurrentQueue<Exception>();
        void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs e) => unobserved.Enqueue(e.Exception);
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        try
        {
            await GiveUpFlushAsync();
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= OnUnobserved;
        }

        Assert.DoesNotContain(unobserved, static e => e.ToString().Contains(nameof(EtcdLeaseKeeper), StringComparison.Ordinal));
    }

    private static async Task GiveUpFlushAsync()
    {
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = ["http://127.0.0.1:9"] });
        await using var keeper = client.KeepLease(TimeSpan.FromMinutes(1));
        keeper.Put("key", "value"u8.ToArray());
        using var limit = new CancellationTokenSource();
        var flush = keeper.FlushAsync(limit.Token);
        await limit.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flush);
    }
}
