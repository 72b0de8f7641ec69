using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Grpc.Net.ClientFactory;

/// <summary>Creates clients in the scope that asks for them.</summary>
internal sealed class DefaultGrpcClientFactory(
    IServiceProvider services, ChannelFactory channels, IOptionsMonitor<GrpcClientFactoryOptions> clientOptions) : GrpcClientFactory
{
    public override TClient CreateClient<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(string name)
    {
        var activator = services.GetService<ClientActivator<TClient>>()
            ?? throw new InvalidOperationException($"No gRPC client configured with name '{name}'.");
        var invoker = channels.GetInvoker(name, typeof(TClient));
        var options = clientOptions.Get(name);
        if (options.CallOptionsActions.Count > 0)
        {
            invoker = new CallOptionsInvoker(invoker, options.CallOptionsActions, services);
        }

        if (options.Creator is null)
        {
            return activator.Create(invoker);
        }

        return options.Creator(invoker) switch
        {
            TClient client => client,
            null => throw new InvalidOperationException("A null instance was returned by the configured client creator."),
            var other => throw new InvalidOperationException(
                $"The {other.GetType().FullName} instance returned by the configured client creator is not compatible with {typeof(TClient).FullName}."),
        };
    }
}
