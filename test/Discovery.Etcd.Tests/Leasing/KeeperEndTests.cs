using System.Collections.Concurrent;

namespace Discovery.Etcd.Tests.Leasing;

/// <summary>Keepers that end while something is under way.</summary>
public sealed class KeeperEndTests
{
    [Fact]
    public async Task Nobody_hears_of_a_flush_that_its_caller_gave_up()
    {
        var unobserved = new ConcurrentQueue<Exception>();
        void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs e) => unobserved.Enqueue(e.Exception);
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        try
        {
            // Of the last ones something may still stand on a stack.
            for (var i = 0; i < 10; i++)
            {
                await GiveUpFlushAsync();
            }

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
