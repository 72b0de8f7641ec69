using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Channels;
using Discovery.AspNetCore.Pools;
using Grpc.Net.Client;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// The last word on the channels of gRPC clients that discover their service: addresses such as <c>etcd:///greeter</c> become those that calls
/// go by, and options that would go round discovery are errors. Where gRPC itself makes several attempts of calls, it links them.
/// </summary>
internal sealed class ConfigureDiscoveringChannels(ClientCatalog clients, IOptionsMonitor<EtcdDiscoveryOptions> discovery)
    : IPostConfigureOptions<GrpcClientFactoryOptions>
{
    public void PostConfigure(string? name, GrpcClientFactoryOptions options)
    {
        // Without discovery, the address is one for the balancing of Grpc.Net.Client.
        if (name is null || clients.Find(name) is not { } client)
        {
            return;
        }

        var linking = new AttemptsLinking(options);
        options.ChannelOptionsActions.Add(channel =>
        {
            Check(client, channel);
            linking.AddFor(channel);
        });
        if (EtcdAddress.Is(options.Address))
        {
            var service = EtcdAddress.ServiceNameOf(options.Address!);
            if (service != client.ServiceName)
            {
                throw new InvalidOperationException(
                    $"The client '{name}' discovers service '{client.ServiceName}', but its address is '{options.Address}'. Name one service: "
                    + $"AddEtcdDiscovery(\"{service}\").");
            }

            options.Address = ServiceAuthority.BaseAddress(discovery.Get(client.OptionsName).Scheme, service);
        }

        // All calls name the host of the channel's address.
        client.AddHost(options.Address);
    }

    private static void Check(RegisteredClient client, GrpcChannelOptions channel)
    {
        var handler = channel.HttpHandler;
        while (handler is DelegatingHandler { InnerHandler: { } inner })
        {
            handler = inner;
        }

        if (channel.HttpClient is not null || handler is not DiscoveryHandler)
        {
            throw new InvalidOperationException(
                $"The client '{client.Name}' discovers service '{client.ServiceName}', but its channel was given another "
                + $"{(channel.HttpClient is null ? "HttpHandler" : "HttpClient")} (GrpcChannelOptions), which would call another. Use ConfigureEtcdTransport, which "
                + "changes the SocketsHttpHandler of each instance: .ConfigureEtcdTransport(handler => handler.SslOptions = …).");
        }

        if (channel.ServiceConfig?.LoadBalancingConfigs is [var balancing, ..])
        {
            throw new InvalidOperationException(
                $"The client '{client.Name}' discovers service '{client.ServiceName}', whose calls are balanced by Etcd:Discovery:Policy, e.g. RoundRobin; "
                + $"leave LoadBalancingConfigs ('{balancing.PolicyName}') out of the channel's ServiceConfig.");
        }
    }

    /// <summary>
    /// Adds the interceptor where it is of use, which is known when the channel is made: then its options are set, and its interceptors are not made yet.
    /// Several threads may make it at once.
    /// </summary>
    private sealed class AttemptsLinking(GrpcClientFactoryOptions options)
    {
        private readonly Lock _gate = new();
        private bool _isAdded;

        public void AddFor(GrpcChannelOptions channel)
        {
            if (!AttemptsInterceptor.IsFor(channel.ServiceConfig))
            {
                return;
            }

            lock (_gate)
            {
                if (!_isAdded)
                {
                    _isAdded = true;
                    var interceptor = new AttemptsInterceptor(channel.ServiceConfig!);
                    options.InterceptorRegistrations.Add(new InterceptorRegistration(InterceptorScope.Channel, _ => interceptor));
                }
            }
        }
    }
}
