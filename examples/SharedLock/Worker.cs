using Grpc.Core;
using dotnet_etcd.interfaces;

namespace SharedLock;

/// <summary>One of several workers, of which only the one that holds the lock works.</summary>
internal sealed class Worker(string name, Discovery.Etcd.EtcdClient etcd, IEtcdClient locks, LiveSettings settings, ILogger<Worker> logger) : BackgroundService
{
    private const int RoundsPerTurn = 5;

    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await TakeTurnAsync(stoppingToken);
            }
            catch (RpcException e)
            {
                logger.LogWarning("{Name} lost its place: {Reason}", name, e.Message);
                await Task.Delay(RetryPause, stoppingToken);
            }
            catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("{Name} lost its lease, and the lock with it.", name);
            }
        }
    }

    private async Task TakeTurnAsync(CancellationToken stoppingToken)
    {
        // The keeper renews the lease for as long as it takes, whatever happens to etcd's members.
        await using var keeper = etcd.KeepLease(TimeToLive);
        keeper.Put($"example/workers/{name}", "here"u8.ToArray());
        await keeper.FlushAsync(stoppingToken);
        var lease = keeper.Status.LeaseId;

        // Whoever loses the lease loses the lock, and must stop.
        using var lost = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        void OnStatus(Discovery.Etcd.EtcdLeaseStatus status)
        {
            if (status.LeaseId != lease)
            {
                lost.Cancel();
            }
        }

        keeper.StatusChanged += OnStatus;
        OnStatus(keeper.Status);
        try
        {
            await locks.LockAsync("example/lock", lease, cancellationToken: lost.Token);
            logger.LogInformation("{Name} holds the lock.", name);
            for (var round = 1; round <= RoundsPerTurn; round++)
            {
                logger.LogInformation("{Name} works, round {Round}.", name, round);
                await Task.Delay(settings.Pause, lost.Token);
            }
        }
        finally
        {
            // Ends the lease, which frees the lock and wakes the next one.
            keeper.StatusChanged -= OnStatus;
            await keeper.StopAsync(CancellationToken.None);
        }
    }
}
