using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Channels;

/// <summary>
/// A channel for each instance of a service. They go by the connections of the service's pool, so one that is forgotten has nothing to close.
/// </summary>
internal sealed class InstanceChannels(PoolHandle handle, ILoggerFactory loggerFactory)
{
    private readonly Lock _gate = new();
    private Dictionary<string, GrpcChannel> _byAddress = new(StringComparer.Ordinal);

    /// <summary>The instances that gRPC calls may go to now: no REST ports of the same application, for example. An instance has the same channel as long as it stays.</summary>
    public IReadOnlyList<EtcdInstanceChannel> Get()
    {
        var pool = handle.UseInstances();
        List<InstanceState> instances =
            [.. (pool.Current?.Instances ?? []).Where(i
                => i.Record.Supports(pool.Options.Scheme) && i.Record.MaySpeakHttp2 && pool.Options.Select.Fits(i.Record))];
        lock (_gate)
        {
            var next = new Dictionary<string, GrpcChannel>(instances.Count, StringComparer.Ordinal);
            var channels = new List<EtcdInstanceChannel>(instances.Count);
            foreach (var instance in instances)
            {
                var address = instance.Record.Address;
                var channel = _byAddress.GetValueOrDefault(address) ?? Create(pool, address);
                next[address] = channel;
                channels.Add(new EtcdInstanceChannel(instance.Record, channel));
            }

            _byAddress = next;
            return channels;
        }
    }

    private GrpcChannel Create(ServicePool pool, string address) => GrpcChannel.ForAddress(
        ServiceAuthority.BaseAddress(pool.Options.Scheme, pool.ServiceName),
        new GrpcChannelOptions
        {
            HttpHandler = new PinnedHandler(address) { InnerHandler = new DiscoveryHandler(handle.Use) },
            LoggerFactory = loggerFactory,
        });

    /// <summary>Sends all calls to one address.</summary>
    private sealed class PinnedHandler(string address) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Options.Set(EtcdRequestOptions.Instance, address);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
