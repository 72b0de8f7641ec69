using System.Collections.Frozen;
using Discovery.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>An endpoint with a network address, as the server is bound to it.</summary>
/// <param name="Name">Its name: Kestrel's, or the scheme of an unnamed one.</param>
/// <param name="Address">The address that the server told.</param>
/// <param name="Protocols">What it speaks, as <see cref="EndpointProtocols"/> says it; null when that is not known.</param>
internal sealed record BoundEndpoint(string Name, BindingAddress Address, string? Protocols)
{
    /// <summary>Names of endpoints that people give to what is not for clients.</summary>
    private static readonly FrozenSet<string> Administrative = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Admin", "Administration", "Management", "Metrics", "Prometheus", "Health", "Probes", "Diagnostics", "Debug");

    private bool IsLoopback => LoopbackHost.Is(Address.Host.Trim('[', ']'));

    /// <summary>Whether an endpoint's name says that it is not for clients.</summary>
    public static bool IsAdministrative(string name) => Administrative.Contains(name);

    /// <summary>
    /// Whether it is plainly not for clients: its name says so and it is not alone, or it is on loopback beside one for clients that
    /// others reach. What either is advertised as does not matter, nor whether the other one can be advertised at all.
    /// </summary>
    /// <param name="isAlone">Whether the server has no other endpoint, nor a socket.</param>
    /// <param name="all">All endpoints of the server.</param>
    public bool IsPrivate(bool isAlone, IReadOnlyList<BoundEndpoint> all)
        => (IsAdministrative(Name) && !isAlone) || (IsLoopback && all.Any(static e => !e.IsLoopback && !IsAdministrative(e.Name)));

    public override string ToString() => $"'{Name}' ({Address}{(string.IsNullOrEmpty(Protocols) ? "" : $", {Protocols}")})";
}
