using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// Chooses the instances that one of many clients uses. All clients see the instances in the same order (by the hash of their keys) on a
/// ring, and each takes a window of it. Windows move by at most one place when an instance comes or goes, and since the instances are
/// evenly spaced on the ring, evenly spaced windows load them evenly.
/// </summary>
internal static class Subset
{
    /// <summary>The golden ratio: its multiples, modulo 1, stay evenly spaced however many there are.</summary>
    private const double GoldenRatio = 0.618033988749894848;

    public static (IReadOnlyList<InstanceState> Chosen, IReadOnlyList<InstanceState> Others) Choose(
        IReadOnlyList<InstanceState> instances, int size, string clientId)
    {
        if (size <= 0 || size >= instances.Count)
        {
            return (instances, []);
        }

        InstanceState[] ring = [.. instances];
        Array.Sort(ring, static (a, b) => Compare(a.KeyHash, a.Record.Key, a, b.KeyHash, b.Record.Key, b));
        var first = (int)(PositionOf(clientId) * ring.Length);
        InstanceState[] turned = [.. ring[first..], .. ring[..first]];
        return (turned[..size], turned[size..]);
    }

    /// <summary>
    /// The order on the ring. Of two instances with one key, as of a record that has two addresses, the address decides, or clients would not agree.
    /// </summary>
    public static int Compare(ulong hash, string key, InstanceState instance, ulong otherHash, string otherKey, InstanceState other)
    {
        if (hash != otherHash)
        {
            return hash.CompareTo(otherHash);
        }

        var byKey = string.CompareOrdinal(key, otherKey);
        return byKey != 0 || ReferenceEquals(instance, other) ? byKey : string.CompareOrdinal(instance.Record.Address, other.Record.Address);
    }

    /// <summary>
    /// Where the client's window begins, from 0 to 1. The number at the end of a client's name (a pod of a stateful set, a numbered host)
    /// spaces it evenly from its siblings; without one it is the name's hash.
    /// </summary>
    public static double PositionOf(string clientId)
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
