using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Makes the options of a registration. One in a named cluster begins with all that is set for the default one: the configuration comes first,
/// then what code sets for all, then what code sets for the cluster.
/// </summary>
internal sealed class RegistrationOptionsFactory(
    IEnumerable<IConfigureOptions<EtcdRegistrationOptions>> setups,
    IEnumerable<IPostConfigureOptions<EtcdRegistrationOptions>> last,
    IEnumerable<IValidateOptions<EtcdRegistrationOptions>> validations,
    ClusterCatalog clusters) : IOptionsFactory<EtcdRegistrationOptions>
{
    public EtcdRegistrationOptions Create(string name)
    {
        // A name that is no cluster's is of the application's own options, for which nothing else counts.
        var isCluster = name.Length > 0 && clusters.Find(name) is not null;
        return OptionsLayers.Create(isCluster ? [Options.DefaultName, name] : [name], setups, last, validations);
    }
}
