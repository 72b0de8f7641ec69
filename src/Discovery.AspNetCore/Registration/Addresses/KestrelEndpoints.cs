using System.Net;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>The endpoints that Kestrel has bound.</summary>
internal static class KestrelEndpoints
{
    private const string Configured = "Microsoft.AspNetCore.Server.Kestrel.Core.Internal.EndpointConfig, Microsoft.AspNetCore.Server.Kestrel.Core";

    /// <summary>
    /// Reads them. Kestrel publishes addresses only; what code configured, as by <c>ListenAnyIP(5000, o => o.Protocols = …)</c>, is in a
    /// list that is not public. Where a later Kestrel has no such list, the configuration has to do.
    /// </summary>
    public static IReadOnlyList<ListenOptions> Read(KestrelServerOptions options)
    {
        try
        {
            return [.. GetOptionsInUse(options)];
        }
        catch (MissingMethodException)
        {
            return [];
        }
    }

    /// <summary>The endpoint behind an address that Kestrel told; null when that is not certain.</summary>
    public static ListenOptions? Find(IReadOnlyList<ListenOptions> bound, BindingAddress address)
    {
        // Of localhost Kestrel lists both loopback addresses.
        var ip = LoopbackHost.IsName(address.Host) ? IPAddress.Loopback : IPAddress.TryParse(address.Host, out var parsed) ? parsed : null;
        var onPort = bound.Where(b => b.IPEndPoint?.Port == address.Port).ToList();
        return onPort.Find(b => b.IPEndPoint!.Address.Equals(ip)) ?? (onPort is [var only] ? only : null);
    }

    /// <summary>Tells the name that an endpoint has in the configuration; null for one that code or a list of URLs made.</summary>
    /// <returns>Whether this Kestrel tells; a later one may not.</returns>
    public static bool TryGetName(ListenOptions endpoint, out string? name)
    {
        name = null;
        try
        {
            name = GetConfigured(endpoint) is { } configured ? GetName(configured) : null;
            return true;
        }
        catch (Exception e) when (e is MissingMethodException or TypeLoadException)
        {
            return false;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_OptionsInUse")]
    private static extern List<ListenOptions> GetOptionsInUse(KestrelServerOptions options);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_EndpointConfig")]
    [return: UnsafeAccessorType(Configured)]
    private static extern object? GetConfigured(ListenOptions options);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Name")]
    private static extern string GetName([UnsafeAccessorType(Configured)] object configured);
}
