using Discovery.AspNetCore.Clusters;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Where a setting that is missing stands instead: under a mistyped name, or in another place. The warnings of unknown names come too late, for
/// an application without the setting does not start.
/// </summary>
internal static class MissingSettings
{
    private const string ConnectionStrings = "ConnectionStrings";

    /// <summary>What may be meant to be settings of the client.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="cluster">The cluster of the client.</param>
    /// <param name="wantsEndpoints">Whether it has no endpoints.</param>
    /// <param name="isAdded">Whether the application asked for the client itself, so that there is no way without etcd.</param>
    /// <param name="registers">Whether it registers itself in the cluster.</param>
    public static IEnumerable<string> OfClient(IConfiguration configuration, Cluster cluster, bool wantsEndpoints, bool isAdded, bool registers)
    {
        var mistyped = UnknownNames.Find(configuration.GetSection(cluster.Section), EtcdClientSection.Shape)
            .Where(static u => u.Similar is not (null or "Registration" or "Discovery" or "Clusters")).Select(Say);
        return wantsEndpoints
            ?
            [
                .. mistyped,
                .. OtherSections(configuration, cluster),
                .. SingleUnderscores(configuration, $"{cluster.Section}:{nameof(EtcdClientOptions.Endpoints)}"),
                .. OtherClusters(configuration, cluster),
                .. OtherConnectionStrings(configuration, cluster),
                OtherWays(cluster, isAdded, registers),
            ]
            : mistyped;
    }

    /// <summary>What may be meant to be settings of the registration.</summary>
    public static IEnumerable<string> OfRegistration(IConfiguration configuration)
    {
        var etcd = configuration.GetSection(Sections.Etcd);
        return UnknownNames.Find(etcd, KnownSettings.Etcd([]))
            .Where(static u => u.Similar is not null
                && (u.Path.StartsWith(Sections.Registration + ":", StringComparison.OrdinalIgnoreCase) || u.Similar.StartsWith("Registration", StringComparison.Ordinal)))
            .Select(Say)
            .Concat(OtherSections(configuration, Cluster.Default))
            .Concat(SingleUnderscores(configuration, $"{Sections.Registration}:{nameof(EtcdRegistrationOptions.ServiceName)}"));
    }

    /// <summary>What does instead of endpoints.</summary>
    private static string OtherWays(Cluster cluster, bool isAdded, bool registers)
    {
        var instead = EtcdConnectionString.DescribeInstead(cluster.Name ?? Sections.ConnectionString) + (cluster.Name is null ? ", and for development AddEmbeddedEtcd()." : ".");
        return isAdded
            ? instead
            : $"{instead} To do without {(cluster.Name is null ? "etcd" : "this cluster")}, set {(registers ? $"{Sections.RegistrationOf(cluster)}:Enabled=false, and " : "")}"
                + $"{Sections.Services}:<name>:Instances for each service that is called.";
    }

    private static string Say(UnknownName unknown) => $"The setting {unknown.Path} is not known. {unknown.Hint}";

    private static IEnumerable<string> OtherSections(IConfiguration configuration, Cluster cluster)
        => cluster == Cluster.Default && !configuration.GetSection(Sections.Etcd).Exists()
            ? configuration.GetChildren()
                .Where(static c => SimilarName.Find(c.Key, [Sections.Etcd]) is not null && c.GetChildren().Any(static g => EtcdClientSection.Shape.Find(g.Key) is not null))
                .Select(static c => $"The section {c.Path} is not read. Did you mean '{Sections.Etcd}'?")
            : [];

    /// <summary>Variables of the environment with one underscore between the names of sections instead of two.</summary>
    private static IEnumerable<string> SingleUnderscores(IConfiguration configuration, string missing)
        => configuration.GetChildren()
            .Where(c => $"{c.Key.Replace('_', ':')}:".StartsWith($"{missing}:", StringComparison.OrdinalIgnoreCase))
            .Select(static c => $"The variable {c.Key} is not read. Did you mean '{c.Key.Replace("_", "__", StringComparison.Ordinal)}'?");

    private static IEnumerable<string> OtherClusters(IConfiguration configuration, Cluster cluster)
    {
        foreach (var other in configuration.GetSection(Sections.Clusters).GetChildren())
        {
            var endpoints = other.GetSection(nameof(EtcdClientOptions.Endpoints));
            if (!endpoints.Exists())
            {
                continue;
            }

            if (cluster == Cluster.Default)
            {
                yield return $"{endpoints.Path} is for the cluster '{other.Key}', which AddKeyedEtcdClient(\"{other.Key}\") adds; "
                    + $"the default cluster has {Sections.Etcd}:{nameof(EtcdClientOptions.Endpoints)}.";
            }
            else if (SimilarName.Find(other.Key, [cluster.Name!]) is { } name && !name.Equals(other.Key, StringComparison.OrdinalIgnoreCase))
            {
                yield return $"{endpoints.Path} is for the cluster '{other.Key}'. Did you mean '{name}'?";
            }
        }
    }

    private static IEnumerable<string> OtherConnectionStrings(IConfiguration configuration, Cluster cluster)
    {
        var name = cluster.Name ?? Sections.ConnectionString;
        return configuration.GetSection(ConnectionStrings).GetChildren()
            .Where(c => !c.Key.Equals(name, StringComparison.OrdinalIgnoreCase)
                && (c.Key.Contains(name, StringComparison.OrdinalIgnoreCase) || SimilarName.Find(c.Key, [name]) is not null))
            .Select(c => $"The connection string {c.Path} is not read. Did you mean '{name}'?");
    }
}
