using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

/// <summary>An application's own directory: port 1 when it is asked, port 2 for those who subscribe.</summary>
internal sealed class CountingDirectory : IServiceDirectory
{
    private int _subscribed;
    private int _ended;

    public int Subscribed => Volatile.Read(ref _subscribed);

    public int Ended => Volatile.Read(ref _ended);

    /// <summary>How many subscriptions fail.</summary>
    public int Failures { get; init; }

    public IReadOnlyCollection<ServiceStatus> Services => [];

    public ServiceSnapshot? GetSnapshot(string serviceName) => Snapshot(serviceName, 1);

    public ServiceStatus GetStatus(string serviceName)
        => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => ValueTask.FromResult(Snapshot(serviceName, 1));

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (Interlocked.Increment(ref _subscribed) <= Failures)
        {
            throw new IOException("The directory is broken.");
        }

        try
        {
            yield return Snapshot(serviceName, 2);
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
        finally
        {
            Interlocked.Increment(ref _ended);
        }
    }

    private static ServiceSnapshot Snapshot(string serviceName, int port)
        => new(serviceName, [new ServiceInstance { Key = "key", ServiceName = serviceName, Host = "127.0.0.1", Port = port }]);
}
