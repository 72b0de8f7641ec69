using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Tells calls that failed with one connection from calls that failed one by one. All streams of an HTTP/2 connection that breaks fail for the same
/// reason, which is one object; a stream that the server resets, and a call by HTTP/1.1, has its own. BrokenConnectionsTests shows it.
/// </summary>
internal static class BrokenConnections
{
    private static readonly object s_mark = new();

    private static readonly ConditionalWeakTable<Exception, object> s_reasons = [];

    /// <summary>Whether no call failed for the same reason before. Asked once for each call.</summary>
    public static bool IsFirst(Exception exception)
    {
        var reason = exception;
        while (reason.InnerException is { } inner)
        {
            reason = inner;
        }

        return s_reasons.TryAdd(reason, s_mark);
    }
}
