namespace Discovery.AspNetCore;

/// <summary>A service that is registered, as <see cref="IServiceDirectory.ListServicesAsync"/> tells of it.</summary>
public sealed class ListedService
{
    /// <summary>The service's name, exact and case-sensitive.</summary>
    public required string ServiceName { get; init; }

    /// <summary>The cluster that it is registered in, or <see langword="null"/> for the default one. Default: <see langword="null"/>.</summary>
    public string? Cluster { get; init; }

    /// <summary>
    /// Its instances at that moment, one for each address, in the order of the addresses; those that drain are among them. They are what etcd
    /// has: nothing is selected, filtered or held.
    /// </summary>
    public required IReadOnlyList<ServiceInstance> Instances { get; init; }

    /// <summary>Name, cluster and number of instances in one line.</summary>
    public override string ToString() => $"{ServiceName}{(Cluster is null ? "" : $" in {Cluster}")}: {Instances.Count} instances";
}
