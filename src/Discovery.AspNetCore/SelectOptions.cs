namespace Discovery.AspNetCore;

/// <summary>Which instances of a service a client calls, by what their records say. An instance must fit all that is set.</summary>
public sealed class SelectOptions
{
    /// <summary>The version that instances must have (<see cref="ServiceInstance.Version"/>), exactly. Default: <see langword="null"/>, any.</summary>
    public string? Version { get; set => field = value is "" ? null : value; }

    /// <summary>The tags that instances must have, all of them. Default: none.</summary>
    public IList<string> Tags { get; set; } = [];

    /// <summary>The metadata that instances must have, with these values. Default: none.</summary>
    public IDictionary<string, string> Metadata { get; set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    internal bool IsEmpty => Version is null && Tags.Count == 0 && Metadata.Count == 0;

    internal bool Fits(ServiceInstance instance)
        => (Version is null || instance.Version == Version)
            && Tags.All(t => instance.Tags.Contains(t, StringComparer.Ordinal))
            && Metadata.All(m => instance.Metadata.TryGetValue(m.Key, out var value) && value == m.Value);

    /// <inheritdoc />
    public override string ToString()
        => string.Join(", ", new[]
        {
            Version is null ? null : $"Version {Version}",
            Tags.Count == 0 ? null : $"Tags {string.Join(' ', Tags)}",
            Metadata.Count == 0 ? null : $"Metadata {string.Join(' ', Metadata.Select(static m => $"{m.Key}={m.Value}"))}",
        }.OfType<string>());

    internal SelectOptions Copy() => new()
    {
        Version = Version,
        Tags = [.. Tags],
        Metadata = new Dictionary<string, string>(Metadata, StringComparer.Ordinal),
    };
}
