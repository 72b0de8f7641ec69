using System.Net;

namespace Discovery.AspNetCore.Connections;

/// <summary>Tells hosts that are the same machine for whoever dials them: loopback addresses, and the names of RFC 6761 for them.</summary>
internal static class LoopbackHost
{
    /// <summary>Whether a host, without brackets, can be reached from this machine only.</summary>
    public static bool Is(string host) => IsName(host.TrimEnd('.')) || (IPAddress.TryParse(host, out var ip) && IPAddress.IsLoopback(ip));

    /// <inheritdoc cref="Is(string)"/>
    public static bool Is(Uri uri) => uri.IsLoopback || Is(uri.DnsSafeHost);

    /// <summary>Whether a name is <c>localhost</c> or one below it. With a dot at its end Kestrel takes it for any other name.</summary>
    public static bool IsName(string host)
        => host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
}
