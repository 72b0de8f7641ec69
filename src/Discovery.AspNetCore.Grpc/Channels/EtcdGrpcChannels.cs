using System.Collections.Concurrent;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Channels;

/// <summary>The channels made so far, each over its service's shared pool. Without a cluster each goes to the one that the service's settings name.</summary>
internal sealed class EtcdGrpcChannels(PoolCache pools, ILoggerFactory loggerFactory, Cluster? cluster) : IEtcdGrpcChannels, IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<GrpcChannel>> _channels = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, InstanceChannels> _instances = new(StringComparer.Ordinal);

    private volatile bool _disposed;

    public GrpcChannel GetChannel(string serviceName)
    {
        Check(serviceName);
        var channel = _channels.GetOrAdd(serviceName, name => new Lazy<GrpcChannel>(() =>
        {
            var pool = pools.OfService(name, cluster);
            return GrpcChannel.ForAddress(
                ServiceAuthority.BaseAddress(pool.Options.Scheme, name),
                new GrpcChannelOptions
                {
                    HttpHandler = new DiscoveryHandler(() => pool),
                    LoggerFactory = loggerFactory,
                });
        }));
        try
        {
            return channel.Value;
        }
        catch
        {
            // Or settings that were wrong at the first use would stay wrong until a restart.
            _channels.TryRemove(new KeyValuePair<string, Lazy<GrpcChannel>>(serviceName, channel));
            throw;
        }
    }

    public IReadOnlyList<EtcdInstanceChannel> GetChannels(string serviceName)
    {
        Check(serviceName);
        return _instances.GetOrAdd(serviceName, name => new InstanceChannels(pools.OfService(name, cluster), loggerFactory)).Get();
    }

    public void Dispose()
    {
        _disposed = true;
        foreach (var channel in _channels.Values.Where(static c => c.IsValueCreated))
        {
            channel.Value.Dispose();
        }
    }

    private void Check(string serviceName)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(IEtcdGrpcChannels));
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }
    }
}
