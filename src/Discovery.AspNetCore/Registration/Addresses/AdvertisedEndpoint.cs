namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>An endpoint as others are to reach it.</summary>
/// <param name="Name">Its name: Kestrel's, or the scheme of an unnamed one.</param>
/// <param name="Scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="Host">The host; IPv6 without brackets.</param>
/// <param name="Port">The port.</param>
internal sealed record AdvertisedEndpoint(string Name, string Scheme, string Host, int Port)
{
    /// <summary>What it speaks, as <see cref="EndpointProtocols"/> says it; null when that is not known.</summary>
    public string? Protocols { get; init; }

    /// <summary>Whether its URL was set, so that other replicas behind a proxy may advertise the same one.</summary>
    public bool IsShared { get; init; }

    /// <summary>Whether it serves only those services that name it, see <see cref="BoundEndpoint.IsPrivate"/>.</summary>
    public bool IsPrivate { get; init; }

    /// <summary>
    /// Whether another one has the same port, scheme and protocols on another address, and is registered in its place: to whoever calls they are one.
    /// </summary>
    public bool IsAlternative { get; init; }

    /// <summary>Host and port; IPv6 in brackets.</summary>
    public string Address => $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}";

    public override string ToString() => $"'{Name}' ({Scheme}://{Address}{(Protocols is null ? "" : $", {Protocols}")})";
}
