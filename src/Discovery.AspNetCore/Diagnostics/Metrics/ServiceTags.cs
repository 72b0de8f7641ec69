using System.Diagnostics;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>
/// The tags of what is measured of one service. They are bounded: services are those that the application watches, clients those that it
/// registers, and what comes from a record is never among them.
/// </summary>
/// <param name="Service">The service.</param>
/// <param name="Cluster">The cluster; null for the default one.</param>
/// <param name="Client">The client, where it has a pool of its own.</param>
internal readonly record struct ServiceTags(string Service, string? Cluster, string? Client = null)
{
    private const string ClusterTag = "discovery.cluster";

    /// <summary>The tags of what is measured of a cluster.</summary>
    public static TagList OfCluster(string? cluster) => cluster is null ? default : new TagList { { ClusterTag, cluster } };

    /// <summary>The tags, and one more.</summary>
    public TagList With(string name, object value)
    {
        var tags = ToList();
        tags.Add(name, value);
        return tags;
    }

    /// <summary>The tags.</summary>
    public TagList ToList()
    {
        var tags = new TagList { { "discovery.service", Service } };
        if (Client is not null)
        {
            tags.Add("discovery.client", Client);
        }

        if (Cluster is not null)
        {
            tags.Add(ClusterTag, Cluster);
        }

        return tags;
    }
}
