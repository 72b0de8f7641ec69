using Grpc.Net.Client;

namespace Discovery.AspNetCore;

/// <summary>The channel to one instance of a service, from <see cref="IEtcdGrpcChannels.GetChannels"/>.</summary>
public sealed class EtcdInstanceChannel
{
    /// <summary>Puts the two together. For tests and infrastructure, such as an <see cref="IEtcdGrpcChannels"/> of your own.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="channel">The channel whose calls go to it.</param>
    public EtcdInstanceChannel(ServiceInstance instance, GrpcChannel channel)
    {
        ArgumentNullException.ThrowIfNull(instance);
        ArgumentNullException.ThrowIfNull(channel);
        Instance = instance;
        Channel = channel;
    }

    /// <summary>The instance, as etcd had it when it was asked for.</summary>
    public ServiceInstance Instance { get; }

    /// <summary>The channel, whose calls go to this instance and to no other; when it has left, they fail. Never dispose it.</summary>
    public GrpcChannel Channel { get; }
}
