using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Makes options in layers, whatever the order in which the application added them: the configuration, then what code sets for all services,
/// for the one service, and for the one client. Code that sets options without a name means all services.
/// </summary>
internal sealed class DiscoveryOptionsFactory(
    IEnumerable<IConfigureOptions<EtcdDiscoveryOptions>> setups,
    IEnumerable<IPostConfigureOptions<EtcdDiscoveryOptions>> last,
    IEnumerable<IValidateOptions<EtcdDiscoveryOptions>> validations,
    ClientCatalog clients) : IOptionsFactory<EtcdDiscoveryOptions>
{
    public EtcdDiscoveryOptions Create(string name)
    {
        string[] names = [Options.DefaultName, clients.ServiceOf(name), name];
        return OptionsLayers.Create([.. names.Distinct(StringComparer.Ordinal)], setups, last, validations);
    }
}
