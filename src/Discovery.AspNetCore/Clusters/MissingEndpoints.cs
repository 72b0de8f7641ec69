using System.Collections.Concurrent;

namespace Discovery.AspNetCore.Clusters;

/// <summary>
/// The clusters that turned out to be used although they have no endpoints. No start foresees it where code names a service that no setting and no
/// client does.
/// </summary>
internal sealed class MissingEndpoints
{
    private readonly ConcurrentDictionary<Cluster, string> _errors = new();

    /// <summary>Whoever uses a cluster was refused with this error.</summary>
    public void Add(Cluster cluster, string error) => _errors[cluster] = error;

    /// <summary>The error with which the use of a cluster was refused; null if nothing used it yet.</summary>
    public string? Find(Cluster cluster) => _errors.GetValueOrDefault(cluster);
}
