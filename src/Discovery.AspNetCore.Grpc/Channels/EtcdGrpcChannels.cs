using System.Collections.Concurrent;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Channels;

/// <summary>
/// The channels made so far, each over its service's shared pool, and forgotten with it. Without a cluster each goes to the one that the service's
/// settings name.
/// </summary>
internal sealed class EtcdGrpcChannels : IEtcdGrpcChannels, IDisposable
{
    private readonly PoolCache _pools;
    private readonly ILoggerFactory _loggerFactory;
    private readonly Cluster? _cluster;
    private readonly ConcurrentDictionary<string, Lazy<(GrpcChannel Channel, PoolHandle Pool)>> _channels = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, InstanceChannels> _instances = new(StringComparer.Ordinal);
    private volatile bool _disposed;

    public EtcdGrpcChannels(PoolCache pools, ILoggerFactory loggerFactory, Cluster? cluster)
    {
        _pools = pools;
        _loggerFactory = loggerFactory;
        _cluster = cluster;
        pools.Forgotten += OnForgotten;
    }

    public GrpcChannel GetChannel(string serviceName)
    {
        Check(serviceName);
        var made = _channels.GetOrAdd(
            serviceName, name => new Lazy<(GrpcChannel Channel, PoolHandle Pool)>(() => Create(name)));
        try
        {
            var (channel, pool) = made.Value;
            pool.Use();
            return channel;
        }
        catch
        {
            // Or settings that were wrong at the first use would stay wrong until a restart.
            _channels.TryRemove(new KeyValuePair<string, Lazy<(GrpcChannel Channel, PoolHandle Pool)>>(serviceName, made));
            throw;
        }
    }

    public IReadOnlyList<EtcdInstanceChannel> GetChannels(string serviceName)
    {
        Check(serviceName);
        return _instances.GetOrAdd(serviceName, name =>
        {
            var pool = new PoolHandle(_pools, name, _cluster);

            // Where settings are wrong, nothing is kept.
            pool.Use();
            return new InstanceChannels(pool, _loggerFactory);
        }).Get();
    }

    public void Dispose()
    {
        _disposed = true;
        _pools.Forgotten -= OnForgotten;
        foreach (var made in _channels.Values.Where(static c => c.IsValueCreated))
        {
            made.Value.Channel.Dispose();
        }
    }

    private (GrpcChannel Channel, PoolHandle Pool) Create(string serviceName)
    {
        var pool = new PoolHandle(_pools, serviceName, _cluster);
        var channel = GrpcChannel.ForAddress(
            ServiceAuthority.BaseAddress(pool.Use().Options.Scheme, serviceName),
            new GrpcChannelOptions
            {
                HttpHandler = new DiscoveryHandler(pool.Use),
                LoggerFactory = _loggerFactory,
            });
        return (channel, pool);
    }

    /// <summary>Drops the channels of a service that nobody calls. They are not disposed, for the application may keep one.</summary>
    private void OnForgotten(string serviceName, Cluster? cluster)
    {
        if (cluster == _cluster)
        {
            _channels.TryRemove(serviceName, out _);
            _instances.TryRemove(serviceName, out _);
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
