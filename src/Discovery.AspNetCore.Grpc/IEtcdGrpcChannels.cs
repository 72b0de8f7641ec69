using Grpc.Net.Client;

namespace Discovery.AspNetCore;

/// <summary>
/// One channel per service, for code that makes its own clients. The channels belong to the container and are shared: never dispose one.
/// </summary>
public interface IEtcdGrpcChannels
{
    /// <summary>The channel to a service; the same object at every call. Nothing is dialled before the first call on it.</summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <returns>The channel, thread-safe, whose calls are balanced over the service's instances.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    GrpcChannel GetChannel(string serviceName);
}
