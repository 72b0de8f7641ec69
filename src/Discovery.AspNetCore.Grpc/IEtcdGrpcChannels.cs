using Discovery.AspNetCore.Channels;
using Grpc.Net.Client;

namespace Discovery.AspNetCore;

/// <summary>
/// One channel per service, or per instance, for code that makes its own clients. The channels belong to the container and are shared: never dispose one.
/// </summary>
/// <remarks>
/// Names may come from requests: a service that no registered client is for is forgotten once it gets no call for 10 minutes, nobody asks for its channel
/// and no call is under way. A channel that was kept goes on working; its next call waits for the list of the service as a first call does.
/// </remarks>
public interface IEtcdGrpcChannels
{
    /// <summary>The channel to a service; the same object at every call until the service is forgotten. Nothing is dialled before the first call on it.</summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <returns>The channel, thread-safe, whose calls are balanced over the service's instances.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    GrpcChannel GetChannel(string serviceName);

    /// <summary>The channel to the service that an address names; the same object as by the service's name.</summary>
    /// <param name="address">The address, e.g. <c>etcd:///greeter</c>.</param>
    /// <returns>The channel.</returns>
    /// <exception cref="ArgumentException">The address names no service.</exception>
    GrpcChannel GetChannel(Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return GetChannel(EtcdAddress.ServiceNameOf(address));
    }

    /// <summary>
    /// A channel for each instance of a service that gRPC calls may go to, to call all of them: to push a message to every gateway, for example. An instance has the
    /// same channel for as long as it is there; ask anew for each round, for the list follows the service. One that has instances is not forgotten.
    /// </summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <returns>
    /// The instances, with those that drain; empty until the service has been listed for the first time, or again after it was forgotten, which
    /// <see cref="IServiceDirectory.WaitForReadyAsync"/> waits for.
    /// </returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    IReadOnlyList<EtcdInstanceChannel> GetChannels(string serviceName);
}
