using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>A directory that has the instances a test gives it, for one subscriber.</summary>
internal sealed class FakeDirectory : IServiceDirectory
{
    private readonly Channel<ServiceSnapshot> _changes = Channel.CreateUnbounded<ServiceSnapshot>();
    private ServiceSnapshot _current;

    public FakeDirectory(params ServiceInstance[] instances) => _current = new ServiceSnapshot("svc", instances);

    public IReadOnlyCollection<ServiceStatus> Services => [];

    public void Publish(params ServiceInstance[] instances) => _changes.Writer.TryWrite(_current = new ServiceSnapshot("svc", instances));

    public ServiceSnapshot? GetSnapshot(string serviceName) => _current;

    public ServiceStatus GetStatus(string serviceName)
        => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default) => new(_current);

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        yield return _current;
        await foreach (var snapshot in _changes.Reader.ReadAllAsync(cancellationToken))
        {
            yield return snapshot;
        }
    }
}
