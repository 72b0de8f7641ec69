using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.Net.ClientFactory;

/// <summary>Calls the constructor of a client type; found once.</summary>
internal sealed class ClientActivator<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(IServiceProvider services)
    where TClient : class
{
    private readonly Lazy<ObjectFactory<TClient>> _factory = new(static () => ActivatorUtilities.CreateFactory<TClient>([typeof(CallInvoker)]));

    public TClient Create(CallInvoker invoker) => _factory.Value(services, [invoker]);
}
