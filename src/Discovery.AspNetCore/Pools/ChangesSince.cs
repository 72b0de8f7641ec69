namespace Discovery.AspNetCore.Pools;

/// <summary>What may be different since the pool was built last.</summary>
/// <param name="Addresses">Where the snapshot is different; null if that may be anywhere.</param>
/// <param name="Instances">The instances whose own state is different.</param>
internal readonly record struct ChangesSince(IReadOnlySet<string>? Addresses, IReadOnlyCollection<InstanceState> Instances)
{
    /// <summary>Everything may be different.</summary>
    public static ChangesSince Everything { get; } = new(Addresses: null, []);
}
