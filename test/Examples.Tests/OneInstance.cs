using System.Runtime.CompilerServices;
using Discovery.AspNetCore;

namespace Examples.Tests;

/// <summary>A directory that knows one instance, which serves whatever is asked for.</summary>
internal sealed class OneInstance(string host, int port) : IServiceDirectory
{
    public IReadOnlyCollection<ServiceStatus> Services => [];

    public ServiceSnapshot GetSnapshot(string serviceName)
        => new(serviceName, [new ServiceInstance { Key = "1", ServiceName = serviceName, Host = host, Port = port }]);

    public ServiceStatus GetStatus(string serviceName)
        => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => new(GetSnapshot(serviceName));

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        yield return GetSnapshot(serviceName);
        await Task.CompletedTask;
    }
}
