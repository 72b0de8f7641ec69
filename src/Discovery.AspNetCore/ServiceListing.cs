namespace Discovery.AspNetCore;

/// <summary>All services that are registered. Immutable.</summary>
public sealed class ServiceListing
{
    /// <summary>The services, in the order of their names. One that is registered in two clusters is there twice.</summary>
    public required IReadOnlyList<ListedService> Services { get; init; }

    /// <summary>How many records stand among those of services that are no instances; they are skipped. Default: 0.</summary>
    public int SkippedRecords { get; init; }

    /// <summary>
    /// The layouts in which services are read but cannot be listed, because their keys do not begin alike, e.g. <c>GoZero</c>. Default: none.
    /// </summary>
    public IReadOnlyList<string> UnlistedLayouts { get; init; } = [];

    /// <summary>Whether the other listing has the same services, whatever their instances.</summary>
    internal bool HasSameServices(ServiceListing other)
        => Services.Select(static s => (s.ServiceName, s.Cluster)).SequenceEqual(other.Services.Select(static s => (s.ServiceName, s.Cluster)));
}
