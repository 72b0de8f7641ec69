using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// The registrations of this application in all clusters, as far as they have begun. Two clusters of the settings may be one etcd: then both have the
/// same keys, and one of them stands aside for the other. Thread-safe.
/// </summary>
internal sealed partial class OwnRegistrations
{
    private readonly Lock _gate = new();
    private readonly HashSet<(string, string)> _said = [];
    private volatile IReadOnlyList<Registrar> _all = [];

    public void Add(Registrar registrar)
    {
        lock (_gate)
        {
            _all = [.. _all, registrar];
        }
    }

    /// <summary>The other registration whose lease it is, or was; null if it is another process's.</summary>
    public Registrar? FindOwner(long leaseId, Registrar than) => _all.FirstOrDefault(r => r != than && r.Owns(leaseId));

    /// <summary>Whether another registration has a key in etcd that this one stands aside for.</summary>
    public bool IsHeld(string key, Registrar than) => _all.Any(r => r != than && r.Holds(key));

    /// <summary>Whether another registration stands aside for this one, and still desires the key.</summary>
    public bool IsDesired(string key, Registrar than) => _all.Any(r => r != than && r.StandsAside(key));

    /// <summary>Says once of two registrations that they are in one etcd.</summary>
    public void ReportSameCluster(Registrar one, Registrar other, ILogger logger)
    {
        // The default cluster first, and else in the order of the names, whichever of them stands aside at present.
        var (first, second) = string.CompareOrdinal(one.Cluster, other.Cluster) <= 0 ? (one.Cluster, other.Cluster) : (other.Cluster, one.Cluster);
        var (before, after) = (Cluster.SectionOf(first), Cluster.SectionOf(second));
        lock (_gate)
        {
            if (!_said.Add((before, after)))
            {
                return;
            }
        }

        Log.SameCluster(logger, $"{after}:Endpoints", $"{before}:Endpoints");
    }

    private static partial class Log
    {
        [LoggerMessage(2727, LogLevel.Warning, "{Endpoints} is the cluster of {Others}, and this application registers itself in both under the same keys. "
            + "They stand once, for as long as one of the two registrations is in service. Remove one, or set {Endpoints} to another cluster.")]
        public static partial void SameCluster(ILogger logger, string endpoints, string others);
    }
}
