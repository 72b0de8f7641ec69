using Discovery.AspNetCore.Channels;
using Discovery.AspNetCore.Feeds;
using Grpc.Net.Client.Balancer;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Resolving;

/// <summary>Makes the resolver of a channel whose address is <c>etcd:///greeter</c>.</summary>
internal sealed class EtcdResolverFactory(
    [FromKeyedServices(typeof(EtcdResolverFactory))] FeedCatalog feeds, AddressList addresses, ILogger<IServiceDirectory> logger) : ResolverFactory
{
    /// <summary>The options tell the credentials by their port alone.</summary>
    private const int DefaultPortOfTls = 443;

    public override string Name => EtcdAddress.Scheme;

    public override Resolver Create(ResolverOptions options)
        => new EtcdResolver(
            EtcdAddress.ServiceNameOf(options.Address),
            options.DefaultPort == DefaultPortOfTls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp,
            feeds,
            addresses,
            logger);
}
