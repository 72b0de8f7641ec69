using System.Diagnostics.CodeAnalysis;

namespace Grpc.Net.ClientFactory;

/// <summary>Creates the clients that <c>AddGrpcClient</c> registered.</summary>
public abstract class GrpcClientFactory
{
    /// <summary>Creates a client.</summary>
    /// <param name="name">The name that it was registered with.</param>
    /// <exception cref="InvalidOperationException">There is no such client, or it has no address.</exception>
    public abstract TClient CreateClient<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(string name)
        where TClient : class;
}
