namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Chooses the endpoints that one of many clients uses. All clients see the endpoints in the same order (by the hash of their keys) on a
/// ring, and each takes a window of it. Windows move by at most one place when an endpoint comes or goes, and since the endpoints are
/// evenly spaced on the ring, evenly spaced windows load them evenly.
/// </summary>
internal static class Subset
{
    /// <summary>The golden ratio: its multiples, modulo 1, stay evenly spaced however many there are.</summary>
    private const double GoldenRatio = 0.618033988749894848;

    public static (IReadOnlyList<ServiceEndpoint> Chosen, IReadOnlyList<ServiceEndpoint> Others) Choose(
        IReadOnlyList<ServiceEndpoint> endpoints, int size, string clientId)
    {
        if (size <= 0 || size >= endpoints.Count)
        {
            return (endpoints, []);
        }

        var ring = endpoints.OrderBy(e => StableHash.Of(e.Instance.Key)).ThenBy(e => e.Instance.Key, StringComparer.Ordinal).ToArray();
        var first = (int)(PositionOf(clientId) * ring.Length);
        ServiceEndpoint[] turned = [.. ring[first..], .. ring[..first]];
        return (turned[..size], turned[size..]);
    }

    /// <summary>
    /// Where the client's window begins, from 0 to 1. The number at the end of a client's name (a pod of a stateful set, a numbered host)
    /// spaces it evenly from its siblings; without one it is the name's hash.
    /// </summary>
    private static double PositionOf(string clientId)
    {
        var digits = clientId.Length;
        while (digits > 0 && clientId.Length - digits < 9 && char.IsAsciiDigit(clientId[digits - 1]))
        {
            digits--;
        }

        var name = clientId.AsSpan(0, digits);
        var ordinal = digits == clientId.Length ? 0 : int.Parse(clientId.AsSpan(digits), System.Globalization.CultureInfo.InvariantCulture);
        var position = ((StableHash.Of(name) >> 11) * Math.ScaleB(1, -53)) + (ordinal * GoldenRatio);
        return position - Math.Floor(position);
    }
}
