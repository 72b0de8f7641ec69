using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>The endpoints that Kestrel has bound.</summary>
internal static class KestrelEndpoints
{
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

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_OptionsInUse")]
    private static extern List<ListenOptions> GetOptionsInUse(KestrelServerOptions options);
}
