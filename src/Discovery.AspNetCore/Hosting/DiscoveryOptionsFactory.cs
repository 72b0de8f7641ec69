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
    private enum Layer
    {
        Configuration,
        AllServices,
        Service,
        Client,
    }

    public EtcdDiscoveryOptions Create(string name)
    {
        var options = new EtcdDiscoveryOptions();
        foreach (var setup in setups.OrderBy(LayerOf))
        {
            Apply(setup, name, options);
        }

        foreach (var setup in last)
        {
            setup.PostConfigure(name, options);
        }

        var failures = validations.Select(v => v.Validate(name, options)).Where(static r => r.Failed).SelectMany(static r => r.Failures!).ToList();
        return failures.Count == 0 ? options : throw new OptionsValidationException(name, typeof(EtcdDiscoveryOptions), failures);
    }

    private Layer LayerOf(IConfigureOptions<EtcdDiscoveryOptions> setup) => setup switch
    {
        ConfigureDiscovery => Layer.Configuration,
        ConfigureDiscoveringClient => Layer.Client,
        ConfigureNamedOptions<EtcdDiscoveryOptions> { Name: { Length: > 0 } name } => clients.ServiceOf(name) == name ? Layer.Service : Layer.Client,
        _ => Layer.AllServices,
    };

    private void Apply(IConfigureOptions<EtcdDiscoveryOptions> setup, string name, EtcdDiscoveryOptions options)
    {
        switch (setup)
        {
            case ConfigureNamedOptions<EtcdDiscoveryOptions> { Name: "" }:
                setup.Configure(options);
                break;
            case ConfigureNamedOptions<EtcdDiscoveryOptions> named when named.Name == clients.ServiceOf(name):
                named.Configure(named.Name, options);
                break;
            case IConfigureNamedOptions<EtcdDiscoveryOptions> named:
                named.Configure(name, options);
                break;
            default:
                setup.Configure(options);
                break;
        }
    }
}
