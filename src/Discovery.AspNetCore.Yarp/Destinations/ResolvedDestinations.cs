using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>The destinations of a cluster, and the services that they stand for, of which some may have no instance.</summary>
internal sealed class ResolvedDestinations() : Dictionary<string, DestinationConfig>(StringComparer.OrdinalIgnoreCase)
{
    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);
}
