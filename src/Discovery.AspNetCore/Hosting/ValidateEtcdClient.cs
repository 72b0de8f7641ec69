using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Says at start what is wrong with the settings of the etcd client.</summary>
internal sealed class ValidateEtcdClient(EtcdUse use, ClusterCatalog clusters, IConfiguration configuration, IServiceProvider services)
    : IValidateOptions<EtcdClientOptions>
{
    public ValidateOptionsResult Validate(string? name, EtcdClientOptions options)
    {
        var cluster = clusters.Find(name);
        if (cluster is not null && options.Endpoints.Count == 0 && !use.IsNeeded(services, cluster))
        {
            return ValidateOptionsResult.Success;
        }

        var failures = options.Validate(cluster?.Section ?? Cluster.Default.Section);
        if (failures.Count == 0)
        {
            return ValidateOptionsResult.Success;
        }

        var hints = cluster is null
            ? []
            : MissingSettings.OfClient(configuration, cluster, options.Endpoints.Count == 0, use.IsAdded(cluster), use.HasRegistration(cluster));
        return ValidateOptionsResult.Fail([.. failures, .. hints]);
    }
}
