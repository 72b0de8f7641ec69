using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>
/// The ids that the proxy has from elsewhere, such as appsettings.json. YARP refuses all of its configuration when two providers have one id,
/// so nothing from etcd may have an id that is there already.
/// </summary>
internal sealed class OtherProviders(EtcdProxyConfigProvider self, IServiceProvider services)
{
    /// <summary>Those whose ids count before ours: all others, and of those like this one the ones that were added before.</summary>
    private readonly Lazy<IReadOnlyList<IProxyConfigProvider>> _providers = new(() =>
    {
        var all = services.GetServices<IProxyConfigProvider>().ToList();
        return [.. all.Where((provider, i) => provider is not EtcdProxyConfigProvider || i < all.IndexOf(self))];
    });

    /// <summary>The ids now, and what tells that they may be others.</summary>
    public OtherIds Read()
    {
        var routes = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var clusters = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        List<IChangeToken> tokens = [];
        foreach (var provider in _providers.Value)
        {
            if (TryGetConfig(provider) is { } config)
            {
                routes.UnionWith((config.Routes ?? []).Select(static r => r.RouteId));
                clusters.UnionWith((config.Clusters ?? []).Select(static c => c.ClusterId));
                tokens.Add(config.ChangeToken);
            }
        }

        return new OtherIds(routes, clusters, new AnyChangeToken(tokens));
    }

    private static IProxyConfig? TryGetConfig(IProxyConfigProvider provider)
    {
        try
        {
            return provider is EtcdProxyConfigProvider own ? own.Current : provider.GetConfig();
        }
        catch (Exception)
        {
            // The proxy asks it too, and says what is wrong.
            return null;
        }
    }
}

/// <summary>What is there already.</summary>
internal sealed record OtherIds(IReadOnlySet<string> Routes, IReadOnlySet<string> Clusters, IChangeToken Changed);
