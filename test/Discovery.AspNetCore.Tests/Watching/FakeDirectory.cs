using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>A directory as a user's test fakes it, with public members only.</summary>
internal sealed class FakeDirectory : IServiceDirectory
{
    private TaskCompletionSource<ServiceSnapshot> _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ServiceSnapshot? _current;

    public IReadOnlyCollection<ServiceStatus> Services => [];

    public void Publish(string serviceName, params string[] addresses)
    {
        var snapshot = new ServiceSnapshot(serviceName, addresses.Select(address => new ServiceInstance
        {
            Key = address,
            ServiceName = serviceName,
            Host = address[..address.LastIndexOf(':')],
            Port = int.Parse(address[(address.LastIndexOf(':') + 1)..]),
        }));
        _current = snapshot;
        Interlocked.Exchange(ref _next, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult(snapshot);
    }

    public ServiceSnapshot? GetSnapshot(string serviceName) => _current;

    public ServiceStatus GetStatus(string serviceName)
        => new() { ServiceName = serviceName, Prefix = "", IsReady = _current is not null, IsConnected = true, Revision = 0 };

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => _current is { } current
            ? new(current)
            : throw new ServiceDiscoveryException(serviceName, "The fake has no snapshot.");

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var next = Volatile.Read(ref _next).Task;
            if (_current is { } current)
            {
                yield return current;
            }

            await next.WaitAsync(cancellationToken);
        }
    }
}
