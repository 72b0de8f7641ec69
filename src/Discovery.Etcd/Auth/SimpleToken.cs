using System.Globalization;

namespace Discovery.Etcd.Auth;

/// <summary>
/// etcd's own kind of token: random text, a dot, and the index of the cluster's log at which it was issued. A member that gets one waits until
/// it is as far itself; restored from a backup it may never be, and the call is never answered.
/// </summary>
internal static class SimpleToken
{
    /// <summary>The index in a token; 0 where there is none, as in a JWT.</summary>
    public static ulong IndexOf(string token)
    {
        var dot = token.LastIndexOf('.');
        return dot == token.IndexOf('.', StringComparison.Ordinal) && ulong.TryParse(token.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            ? index
            : 0;
    }
}
